/** What the import refuses, and the words in which it says so: each names the file, key or export option to change. */
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { PassThrough } from 'node:stream';
import { pino } from 'pino';
import ts from 'typescript';
import { type Data, startTestApp, type TestApp } from '../support/app.js';
import { createStore, type TestStore } from '../support/model-store.js';
import { ALL_REFUSED, ONLY_LOGGED } from './refused-folders.js';

/** What a reason must name: a file of the owner, a key of one, or how to export. */
const NAMED =
  /model\.yaml|config_sentence_transformers\.json|README\.md|golden\.json|config\.json|tokenizer\.json|modules\.json|model\.onnx|the ONNX file|dataset\.yaml|data\.jsonl|the folder name|\bexport\b/;

const PAGE = `query ($after: String) { models(first: 50, after: $after) {
  nodes { name versions { nodes { state stateReason } } } pageInfo { hasNextPage endCursor }
} }`;

let store: TestStore;
let app: TestApp;
const reasons = new Map<string, string>();
const logged: { model?: string; dataset?: string; reason?: string }[] = [];
beforeAll(async () => {
  store = await createStore();
  for (const { name, files } of [...ALL_REFUSED, ...ONLY_LOGGED]) await store.write(name, files);
  const lines = new PassThrough().on('data', (line) => logged.push(JSON.parse(line)));
  app = await startTestApp({ modelStore: store.folder, log: pino({ level: 'error' }, lines) });
  let after: string | null = null;
  do {
    const { models } = await app.query(PAGE, { after });
    for (const { name, versions } of models.nodes as Data[])
      reasons.set(name, versions.nodes[0]?.stateReason ?? versions.nodes[0]?.state);
    after = models.pageInfo.hasNextPage ? models.pageInfo.endCursor : null;
  } while (after !== null);
});
afterAll(async () => {
  await app.stop();
  await store.remove();
});

test.each(ALL_REFUSED)('$name is refused with what to change', ({ name, reason }) => {
  if (typeof reason === 'string') expect(reasons.get(name)).toBe(reason);
  else expect(reasons.get(name)).toMatch(reason);
  expect(reasons.get(name)).toMatch(NAMED);
});

test.each(ONLY_LOGGED)('$name is refused in the log with what to change', ({ name, reason }) => {
  const line = logged.find(({ model, dataset }) => name === model || name === `datasets/${dataset}`);

  if (typeof reason === 'string') expect(line?.reason).toBe(reason);
  else expect(line?.reason).toMatch(reason);
  expect(line?.reason).toMatch(NAMED);
});

/** Said of files that change while they are read, of changed datasets after a restart, and of files of 2 GB. */
const NOT_FROM_A_FOLDER =
  /was changed while it was being read|the data has changed since the dataset was registered|an ONNX file can have at most/;

test('each sentence of a refusal is said to one of these folders, or checked in another test', () => {
  const tests = filesOf('test').map((file) => readFileSync(file, 'utf8').replaceAll(/\\(?=[^\w\s])/g, ''));
  const isTested = (text: string) => runsOfWords(text).some((run) => tests.some((test) => test.includes(run)));
  const isSaid = (fragments: readonly string[]) => {
    const pattern = new RegExp(fragments.map((text) => text.replaceAll(/[\\^$.*+?()[\]{}|]/g, '\\$&')).join('[^]*'));
    const said = [...reasons.values(), ...logged.map(({ reason = '' }) => reason)];
    return said.some((reason) => pattern.test(reason)) || NOT_FROM_A_FOLDER.test(fragments.join(''));
  };

  const sentences = ['src/importing', 'src/tasks'].flatMap(filesOf).flatMap(sentencesOf);

  expect(sentences.length).toBeGreaterThan(40);
  const unchecked = sentences.filter(({ fragments }) => !isSaid(fragments) && !fragments.some(isTested));
  expect(unchecked.map(({ file, fragments }) => `${file}: ${fragments.join('…')}`)).toEqual([]);
});

/** Each four words in a row. */
function runsOfWords(text: string): string[] {
  const words = text.trim().split(' ');
  return Array.from({ length: Math.max(0, words.length - 3) }, (_, i) => words.slice(i, i + 4).join(' '));
}

function filesOf(folder: string): string[] {
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
    .map(({ parentPath, name }) => path.join(parentPath, name));
}

/** The literals that are thrown as a ManifestError, as the texts between their placeholders. */
function sentencesOf(file: string): { file: string; fragments: string[] }[] {
  const source = ts.createSourceFile(file, readFileSync(file, 'utf8'), ts.ScriptTarget.Latest, true);
  const found: { file: string; fragments: string[] }[] = [];
  const visit = (node: ts.Node): void => {
    if (ts.isCallExpression(node) || ts.isNewExpression(node)) {
      const [text] = node.arguments ?? [];
      const isRefusal = node.expression.getText() === 'ManifestError';
      const fragments = isRefusal && text ? fragmentsOf(text) : [];
      if (fragments.length > 0) found.push({ file, fragments });
    }
    ts.forEachChild(node, visit);
  };
  visit(source);
  return found;
}

function fragmentsOf(text: ts.Expression): string[] {
  if (ts.isStringLiteralLike(text)) return [text.text];
  return ts.isTemplateExpression(text)
    ? [text.head.text, ...text.templateSpans.map(({ literal }) => literal.text)]
    : [];
}
