/** What is generated for clients compiles with `strict`: the code generator's types, and the client of a catalog. */
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { buildSchema } from 'graphql';
import ts from 'typescript';
import { scalars } from '../../schema/codegen.ts';
import { clientFor, readVersions, sender, type VersionOf } from '../../schema/write-client.ts';
import { startTestApp, type TestApp } from '../support/app.js';
import { generatedTypes } from './generated-types.js';
import { APP, DOCUMENTS } from './sample-app-server.js';

const SDL = readFileSync('schema/schema.graphql', 'utf8');
const FOLDER = path.resolve('test/clients/generated');
const APP_TYPES = path.resolve(APP, 'src/gql/graphql.ts');
const OPERATIONS = readdirSync('schema/operations')
  .filter((file) => file.endsWith('.graphql'))
  .map((file) => `schema/operations/${file}`);
const OPTIONS: ts.CompilerOptions = {
  strict: true,
  noUncheckedIndexedAccess: true,
  exactOptionalPropertyTypes: true,
  target: ts.ScriptTarget.ES2022,
  module: ts.ModuleKind.ESNext,
  moduleResolution: ts.ModuleResolutionKind.Bundler,
  lib: ['lib.es2024.d.ts', 'lib.dom.d.ts', 'lib.dom.iterable.d.ts'],
  types: [],
  jsx: ts.JsxEmit.ReactJSX,
  verbatimModuleSyntax: true,
  resolveJsonModule: true,
  allowImportingTsExtensions: true,
  skipLibCheck: true,
  noEmit: true,
};

let app: TestApp;
beforeAll(async () => {
  app = await startTestApp();
});
afterAll(() => app.stop());

/** What the compiler says about these files, by their path, and about the files that they import, each with the line that it is about. */
function errorsOf(files: Record<string, string>): string[] {
  const sources = new Map(Object.entries(files).map(([name, text]) => [path.resolve(FOLDER, name), text]));
  const host = ts.createCompilerHost(OPTIONS);
  const { fileExists, readFile, getSourceFile, directoryExists } = host;
  host.fileExists = (name) => sources.has(name) || fileExists(name);
  host.readFile = (name) => sources.get(name) ?? readFile(name);
  const folders = new Set(Array.from(sources.keys(), (name) => path.dirname(name)));
  // Types of the same package in two places differ, and the app may have been installed.
  host.directoryExists = (name) =>
    !name.startsWith(path.resolve(APP, 'node_modules')) && (folders.has(name) || (directoryExists?.(name) ?? true));
  host.getSourceFile = (name, target, ...rest) => {
    const text = sources.get(name);
    return text === undefined ? getSourceFile(name, target, ...rest) : ts.createSourceFile(name, text, target);
  };
  const program = ts.createProgram([...sources.keys()], OPTIONS, host);
  return ts.getPreEmitDiagnostics(program).map(({ file, start, messageText }) => {
    const at = file && start !== undefined ? file.getLineAndCharacterOfPosition(start).line : 0;
    const line = file?.text.split('\n')[at]?.trim();
    return `${file ? path.basename(file.fileName) : ''}: ${ts.flattenDiagnosticMessageText(messageText, ' ')} [${line}]`;
  });
}

const USES = `
import type { AnyAnswerMutation, PredictRowMutation, WhatDoISendQuery, ModelInput } from './graphql';
import type { Output } from './client';
import { Client, type LabelOf, type RowOf } from './client';

type Payload = NonNullable<AnyAnswerMutation['predict']>;
export const isOutput = (output: NonNullable<NonNullable<Payload['prediction']>['output']>): Output => output;

export function narrowed({ predict }: PredictRowMutation): string | number | null {
  if (predict?.problem?.__typename === 'InvalidInput') return predict.problem.problems[0]?.expected ?? null;
  const output = predict?.prediction?.output;
  return output?.__typename === 'Classification' ? output.score : null;
}
export const exampleOf = ({ version }: WhatDoISendQuery): ModelInput | undefined => version?.signature?.example;

const client = new Client({ url: 'http://127.0.0.1:4000/graphql' });
export const row: RowOf<'penguins'> = { beak_length: 39.1, beak_depth: 18.7, flipper_length: 181, body_mass: 3750, island: 'torgersen' };
export async function run(): Promise<LabelOf<'penguins'> | number | undefined> {
  const { output } = await client.predict('penguins', { row });
  const label: 'adelie' | 'chinstrap' | 'gentoo' = output.label;
  const mass = await client.predict('penguin-mass:1', { row: { beak_length: 1, beak_depth: 1, flipper_length: 1, species: 'gentoo', island: 'biscoe' } });
  const found = await client.predict('face-detector', { image: { base64: '' } });
  const face: LabelOf<'face-detector'> | undefined = found.output.items[0]?.label;
  return face === 'face' ? mass.output.value : label;
}
// @ts-expect-error: no such category
export const unknown: RowOf<'penguins'> = { ...row, island: 'mars' };
// @ts-expect-error: not what this model takes
export const wrong = () => client.predict('penguins', { text: '' });
// @ts-expect-error: no such model
export const none = () => client.predict('penguin', { row });
`;

/** In place of `vite/client`. */
const ENV = 'interface ImportMeta { readonly env: Record<string, string | undefined> }';

const HOSTILE: VersionOf = {
  title: 'Ends */ export const a = 1; /*',
  ref: 'hostile:1',
  names: ['hostile', 'hostile:1'],
  signature: {
    inputKind: 'ROW',
    outputType: 'Classification',
    labels: ["it's", '"; export const b = 1; "', 'back`tick', 'line\u2028\n*/'],
    targets: [],
    columns: ['__proto__', 'a"; b', 'line\n'].map((name) => ({
      name,
      type: 'CATEGORY',
      description: 'Ends */ here\nor\u2029there.',
      unit: '*/',
      minimum: null,
      maximum: null,
      categories: ['*/', '\\'],
      required: false,
    })),
  },
};

test('every scalar of the schema has a type', () => {
  const custom = Object.values(buildSchema(SDL).getTypeMap()).filter(
    ({ astNode }) => astNode?.kind === 'ScalarTypeDefinition',
  );

  expect(Object.keys(scalars).sort()).toEqual(custom.map(({ name }) => name).sort());
});

test('the types of all shipped operations, the client of a catalog, the sample app and the page of the README compile', async () => {
  const client = await clientFor(await readVersions(sender(`${app.url}/graphql`, null), null));
  const types = await generatedTypes(OPERATIONS);
  const { 'graphql.ts': appTypes = '' } = await generatedTypes(DOCUMENTS);
  const [, page = ''] = /```tsx\n(.*?)```/s.exec(readFileSync('README.md', 'utf8')) ?? [];

  const own = {
    ...types,
    'client.ts': client,
    'uses.ts': USES,
    'hostile.ts': await clientFor([HOSTILE]),
    'App.tsx': page,
  };
  const sample = {
    [APP_TYPES]: appTypes,
    [path.resolve(APP, 'src/entry.ts')]: "import './main.tsx';",
    'env.d.ts': ENV,
  };
  expect(page).not.toBe('');
  expect(errorsOf({ ...own, ...sample })).toEqual([]);
});

test('the sample app has the versions of packages that the tests have', () => {
  const [ours, theirs] = ['package.json', `${APP}/package.json`].map((file) => {
    const { dependencies, devDependencies } = JSON.parse(readFileSync(file, 'utf8'));
    return { ...dependencies, ...devDependencies } as Record<string, string>;
  });

  expect(ours).toMatchObject(Object.fromEntries(Object.entries(theirs ?? {}).filter(([name]) => ours?.[name])));
});

test('the sample app generates its types in its scripts: its .npmrc lets no script run before or after another', () => {
  const { scripts } = JSON.parse(readFileSync(`${APP}/package.json`, 'utf8'));

  expect(readFileSync(`${APP}/.npmrc`, 'utf8')).toContain('ignore-scripts=true');
  expect(Object.keys(scripts).filter((name) => /^(pre|post)/.test(name))).toEqual(['preview']);
  for (const name of ['dev', 'build']) expect(scripts[name]).toMatch(/^graphql-codegen && /);
});

test('a client is not written of a server that does not answer, of another page, or of no models', async () => {
  const read = (url: string, models: string[]) => readVersions(sender(url, null), models);

  await expect(read('http://127.0.0.1:1/graphql', [])).rejects.toThrow('127.0.0.1:1/graphql does not answer: ');
  await expect(read('data:text/html,<p>', [])).rejects.toThrow('does not answer with JSON (HTTP 200)');
  await expect(read(`${app.url}/graphql`, [])).rejects.toThrow('No model can run, or not yet');
  await expect(read(`${app.url}/graphql`, ['ham-filter'])).rejects.toThrow('do not exist');
});

test('the client of a catalog runs its models, and throws the problem of the server', async () => {
  const source = await clientFor(await readVersions(sender(`${app.url}/graphql`, null), ['spam-filter']));
  const code = encodeURIComponent(ts.transpile(source, OPTIONS));
  const { Client } = await import(`data:text/javascript,${code}`);
  const client = new Client({ url: `${app.url}/graphql` });

  const text = 'Congratulations! You have won a FREE prize. Click here to claim your money now!!!';
  expect(await client.predict('spam-filter', { text })).toMatchObject({
    output: { __typename: 'Classification', label: 'spam' },
  });
  await expect(client.predict('spam-filter', { text: ' ' })).rejects.toMatchObject({
    code: 'INVALID_INPUT',
    problems: [{ path: ['input', 'input', 'text'] }],
  });
  await expect(client.predict('ham-filter', { text })).rejects.toMatchObject({ code: 'NOT_FOUND' });
});

test('what owners of models write stays in the texts and comments of a client', async () => {
  const source = await clientFor([HOSTILE]);

  const names = ts
    .createSourceFile('client.ts', source, ts.ScriptTarget.ES2022)
    .statements.flatMap((statement) =>
      ts.isVariableStatement(statement)
        ? statement.declarationList.declarations.map(({ name }) => String(ts.isIdentifier(name) && name.text))
        : [],
    );
  expect(names).toEqual(['DOCUMENT']);
});
