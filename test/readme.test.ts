/** What the README says is what happens. */
import { readdirSync, readFileSync } from 'node:fs';
import { LIMITS } from '#src/api/limits.js';
import { ProblemCodeEnum } from '#src/graphql/problem.type.js';
import { MAX_TEXT_CHARACTERS } from '#src/tasks/text.js';
import { startTestApp, type TestApp } from './support/app.js';
import { createTasksStore, tasksTable } from './support/tasks-table.js';

const README = readFileSync('README.md', 'utf8');
const EXAMPLES = Array.from(
  README.matchAll(/```sh\ncurl [^\n]*-d '(?<body>\{.*?\})'\n```\s+```json\n(?<answer>.*?)\n```/gs),
  ({ groups }) => ({ body: groups?.['body'] ?? '', answer: groups?.['answer'] ?? '' }),
);

let app: TestApp;
beforeAll(async () => {
  app = await startTestApp();
});
afterAll(() => app.stop());

/** The last digits of a float may differ from machine to machine. */
function rounded(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value), (_, x) => (typeof x === 'number' ? Math.round(x * 1e5) / 1e5 : x));
}

test('the README has its examples', () => {
  expect(EXAMPLES).toHaveLength(3);
});

test.each(EXAMPLES)('the example $body is answered as the README says', async ({ body, answer }) => {
  const { query, variables } = JSON.parse(body);

  const { data, extensions } = await app.send(query, variables);

  expect(rounded({ data, extensions })).toEqual(rounded(JSON.parse(answer)));
});

test('the table of tasks is what the service answers (npm run tasks writes it)', async () => {
  const store = await createTasksStore();
  const tasks = await startTestApp({ modelStore: store.folder });

  const table = await tasksTable(tasks.query);
  await tasks.stop();
  await store.remove();

  expect(README).toContain(`<!-- tasks -->\n${table}\n<!-- /tasks -->`);
}, 180_000);

test('the table of limits is the one in force', () => {
  const rows: [string, string][] = [
    ['body', `${LIMITS.maxBodyBytes / 2 ** 20} MiB`],
    ['document', `${LIMITS.maxDocumentBytes / 2 ** 10} KiB`],
    ['tokens of a document, comments too', LIMITS.maxTokens.toLocaleString('en')],
    ['lines of a document', String(LIMITS.maxLines)],
    ['brackets inside each other', String(LIMITS.maxNesting)],
    ['operations of a document', String(LIMITS.maxOperations)],
    ['fragments of a document', String(LIMITS.maxFragments)],
    ['aliases of a document', String(LIMITS.maxAliases)],
    ['directives of a document', String(LIMITS.maxDirectives)],
    ['depth of an operation', String(LIMITS.maxDepth)],
    ['root fields of an operation', String(LIMITS.maxRootFields)],
    ['variables of an operation', String(LIMITS.maxVariables)],
    ['selections of an operation, fragments each time they are spread', String(LIMITS.maxRecursiveSelections)],
    ['comparisons of fields that merge into one', LIMITS.maxComparisons.toLocaleString('en')],
    ['differences between them', String(LIMITS.maxDifferences)],
    ['page (`first`, `ids`)', String(LIMITS.maxPageSize)],
    ['batch (`predictMany`)', LIMITS.maxBatch.toLocaleString('en')],
    ['cost', LIMITS.maxCost.toLocaleString('en')],
    ['picture', `${LIMITS.maxImagePixels / 1e6} million pixels`],
    ['text', `${MAX_TEXT_CHARACTERS.toLocaleString('en')} characters`],
  ];

  for (const [limit, value] of rows) expect(README).toContain(`| ${limit} | ${value} |`);
  // And the text, which is no limit of a request.
  expect(rows).toHaveLength(Object.keys(LIMITS).length + 1);
});

test('every problem code has its row', () => {
  for (const code of Object.keys(ProblemCodeEnum)) expect(README).toContain(`| \`${code}\` |`);
});

test('every code that the edge may answer has its row', () => {
  const rows = readFileSync('README.md', 'utf8')
    .split('\n')
    .filter((line) => line.startsWith('| `'))
    .join('\n');
  const sources = readdirSync('src/api').filter((file) => file.endsWith('.ts'));
  const codes = sources.flatMap((file) =>
    [...readFileSync(`src/api/${file}`, 'utf8').matchAll(/'([A-Z]+(?:_[A-Z]+)+)'/g)].map(([, code]) => code ?? ''),
  );

  expect(codes.length).toBeGreaterThan(10);
  expect(codes.filter((code) => !rows.includes(`\`${code}\``))).toEqual([]);
});
