/** Tests that the README and the API reference are true: runs their examples and compares their tables with the code. */
import { readdirSync, readFileSync } from 'node:fs';
import { LIMITS } from '#src/api/limits.js';
import { SETTINGS } from '#src/config.js';
import { ProblemCodeEnum } from '#src/graphql/problem.type.js';
import { MAX_FILE_BYTES } from '#src/tasks/bytes.js';
import { MAX_SENTENCES } from '#src/tasks/embedding.js';
import { MAX_TEXT_CHARACTERS } from '#src/tasks/strings.js';
import { MAX_OUTPUT_BYTES } from '#src/tasks/tensor-outputs.js';
import { type Data, startTestApp, type TestApp } from './support/app.js';
import { createTasksStore, tasksTable } from './support/tasks-table.js';

const README = readFileSync('README.md', 'utf8');
const REFERENCE = readFileSync('schema/README.md', 'utf8');

interface Block {
  /** The nearest heading above the block. */
  readonly heading: string;
  readonly language: string;
  readonly text: string;
}

interface Example {
  readonly heading: string;
  readonly query: string;
  readonly variables: Record<string, unknown>;
  readonly response: Record<string, unknown>;
}

function blocksOf(markdown: string): Block[] {
  return Array.from(markdown.matchAll(/^```(?<language>\w*)\n(?<text>.*?)\n```$/gms), ({ groups, index }) => ({
    heading: /.*^#+ (?<title>[^\n]+)/ms.exec(markdown.slice(0, index))?.groups?.['title'] ?? '',
    language: groups?.['language'] ?? '',
    text: groups?.['text'] ?? '',
  }));
}

/** Blocks that other tests and CI run. */
const RUN_ELSEWHERE = [
  'npm ci && npm start',
  'npm ci && npm test',
  'npm ci\nnpm run keys',
  'const headers =',
  'npm create --yes vite@latest',
  'import { useState }',
];

/**
 * Each request, with the variables and the response in the blocks below it.
 *
 * @throws Error for a block that no test runs
 */
function examplesOf(markdown: string): Example[] {
  const examples: Example[] = [];
  const blocks = blocksOf(markdown).filter(({ language, text }) => language !== '' && !isRunElsewhere(text));
  for (let block = blocks.shift(); block; block = blocks.shift()) {
    const { query, variables } = requestOf(block) ?? fail(block);
    const given = isVariables(blocks[0]) ? JSON.parse(blocks.shift()?.text ?? '') : variables;
    if (blocks[0]?.language !== 'json') fail(block);
    examples.push({
      heading: block.heading,
      query,
      variables: given,
      response: JSON.parse(blocks.shift()?.text ?? ''),
    });
  }
  return examples;
}

function isRunElsewhere(text: string): boolean {
  return RUN_ELSEWHERE.some((begin) => text === begin || text.startsWith(`${begin} `));
}

function requestOf({ language, text }: Block): Pick<Example, 'query' | 'variables'> | null {
  if (language === 'graphql') return { query: text, variables: {} };
  const body =
    language === 'sh' ? /^curl -s \S+ -H 'content-type: application\/json' -d '(.*)'$/s.exec(text)?.[1] : null;
  return body ? JSON.parse(body) : null;
}

function isVariables(block: Block | undefined): boolean {
  return block?.language === 'json' && !/^\s*\{\s*"(data|errors)"/.test(block.text);
}

function fail({ text }: Block): never {
  throw new Error(`No test runs this block, or it has no response below it:\n${text}`);
}

let app: TestApp;
beforeAll(async () => {
  app = await startTestApp();
});
afterAll(() => app.stop());

/** The last digits of a float may differ from machine to machine. */
function rounded(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value), (_, x) => (typeof x === 'number' ? Math.round(x * 1e5) / 1e5 : x));
}

/** In a response, a text that ends in "…" matches every text with that beginning, and "…" alone matches anything. */
function expectation(response: unknown): unknown {
  return JSON.parse(JSON.stringify(rounded(response)), (_, x) => {
    if (typeof x !== 'string' || !x.endsWith('…')) return x;
    return x === '…' ? expect.anything() : expect.stringMatching(new RegExp(`^${x.slice(0, -1)}`));
  });
}

test.each([
  ['README.md', README, 4],
  ['schema/README.md', REFERENCE, 8],
])('every block of code in %s is run', (_, markdown, count) => {
  expect(examplesOf(markdown)).toHaveLength(count);
});

const EXAMPLES = [README, REFERENCE].flatMap((markdown) => examplesOf(markdown));

test.each(EXAMPLES)('the response shown under "$heading" is the real one', async ({ query, variables, response }) => {
  const { data, errors, extensions } = await app.send(query, variables);

  // Examples about something else leave the extensions out.
  const shown = 'extensions' in response ? { data, errors, extensions } : { data, errors };
  expect(rounded(shown)).toEqual(expectation(response));
});

test('the README has at most 150 lines', () => {
  expect(README.trimEnd().split('\n').length).toBeLessThanOrEqual(150);
});

test('the table of tasks has the answers of the service (npm run tasks writes it)', async () => {
  const store = await createTasksStore();
  const tasks = await startTestApp({ modelStore: store.folder });

  const table = await tasksTable(tasks.query);
  await tasks.stop();
  await store.remove();

  expect(README).toContain(`<!-- tasks -->\n${table}\n<!-- /tasks -->`);
});

test('the table of limits has the limits in force', () => {
  const rows: [string, string][] = [
    ['request body', `${LIMITS.maxBodyBytes / 2 ** 20} MiB`],
    ['values and keys in a body', LIMITS.maxBodyValues.toLocaleString('en')],
    ['nesting of lists and objects in a body', String(LIMITS.maxBodyDepth)],
    ['document', `${LIMITS.maxDocumentBytes / 2 ** 10} KiB`],
    ['tokens in a document, including comments', LIMITS.maxTokens.toLocaleString('en')],
    ['lines in a document', String(LIMITS.maxLines)],
    ['nesting of brackets', String(LIMITS.maxNesting)],
    ['operations in a document', String(LIMITS.maxOperations)],
    ['fragments in a document', String(LIMITS.maxFragments)],
    ['aliases in a document', String(LIMITS.maxAliases)],
    ['directives in a document', String(LIMITS.maxDirectives)],
    ['depth of an operation', String(LIMITS.maxDepth)],
    ['root fields of an operation', String(LIMITS.maxRootFields)],
    ['variables of an operation', String(LIMITS.maxVariables)],
    ['selections of an operation, counting a fragment each time it is spread', String(LIMITS.maxRecursiveSelections)],
    ['comparisons of fields with the same response name', LIMITS.maxComparisons.toLocaleString('en')],
    ['pairs of different fields with the same response name', String(LIMITS.maxDifferences)],
    ['page size (`first`, `ids`)', String(LIMITS.maxPageSize)],
    ['inputs or rows of `predictMany`', LIMITS.maxBatch.toLocaleString('en')],
    [
      'characters of a string that is not part of an input: a name, search, cursor or value of a filter',
      LIMITS.maxStringCharacters.toLocaleString('en'),
    ],
    ['elements of a list in the variables', LIMITS.maxListLength.toLocaleString('en')],
    ['elements of all lists in the variables, together', LIMITS.maxListElements.toLocaleString('en')],
    ['cost of an operation', LIMITS.maxCost.toLocaleString('en')],
    ['image', `${LIMITS.maxImagePixels / 1e6} million pixels`],
  ];
  // Limits of inputs that are not in LIMITS.
  const others: [string, string][] = [
    ['text, also as a value of a row or a tensor', `${MAX_TEXT_CHARACTERS.toLocaleString('en')} characters`],
    ['file in `bytes`', `${MAX_FILE_BYTES / 2 ** 20} MiB`],
    ['sentences in `similarity`', String(MAX_SENTENCES)],
    ['outputs of a graph for one input of tensors, together', `${MAX_OUTPUT_BYTES / 2 ** 20} MiB`],
  ];

  for (const [limit, value] of [...rows, ...others]) expect(REFERENCE).toContain(`| ${limit} | ${value} |`);
  expect(rows).toHaveLength(Object.keys(LIMITS).length);
});

type Refused = [code: string, path: string, init: RequestInit];
const JSON_BODY = { 'content-type': 'application/json' };
const post = (body: unknown): RequestInit => ({ method: 'POST', headers: JSON_BODY, body: JSON.stringify(body) });
const MUTATION = encodeURIComponent('mutation { unload(version: "penguins") { problem { code } } }');
const HASH = { persistedQuery: { version: 1, sha256Hash: '0'.repeat(64) } };

test.each<Refused>([
  ['GRAPHQL_PARSE_FAILED', '/graphql', post({ query: '{' })],
  ['GRAPHQL_VALIDATION_FAILED', '/graphql', post({ query: '{ nothing }' })],
  ['DOCUMENT_TOO_LARGE', '/graphql', post({ query: `#${'x'.repeat(20_000)}` })],
  ['DOCUMENT_LIMIT_EXCEEDED', '/graphql', post({ query: `{ ${'__typename '.repeat(999)} }` })],
  ['BAD_USER_INPUT', '/graphql', post({ query: 'query ($n: Int!) { models(first: $n) { totalCount } }' })],
  ['BAD_USER_INPUT', '/graphql', post({ query: '{ models(first: 0) { totalCount } }' })],
  ['OPERATION_RESOLUTION_FAILURE', '/graphql', post({ query: 'query A { __typename } query B { __typename }' })],
  ['BAD_REQUEST', '/graphql', post({})],
  ['BAD_REQUEST', `/graphql?query=${MUTATION}`, { headers: { 'apollo-require-preflight': 'true' } }],
  ['BAD_REQUEST', '/graphql?query={__typename}', {}],
  ['PERSISTED_QUERY_NOT_IN_LIST', '/graphql', post({ documentId: '0'.repeat(64) })],
  ['PERSISTED_QUERY_NOT_SUPPORTED', '/graphql', post({ extensions: HASH })],
  ['BATCHING_NOT_SUPPORTED', '/graphql', post([{ query: '{ __typename }' }])],
  ['BODY_NOT_JSON', '/graphql', { method: 'POST', headers: JSON_BODY, body: '{' }],
  ['UNSUPPORTED_MEDIA_TYPE', '/graphql', { method: 'POST', headers: { 'content-type': 'text/plain' }, body: '{}' }],
  ['UNSUPPORTED_CONTENT_ENCODING', '/graphql', { ...post({}), headers: { ...JSON_BODY, 'content-encoding': 'gzip' } }],
  ['UNAUTHENTICATED', '/graphql', { ...post({}), headers: { ...JSON_BODY, authorization: 'Bearer mg_x' } }],
  ['NOT_FOUND', '/nothing', {}],
])('%s is answered with a status that the API reference states', async (code, path, init) => {
  const answer = await fetch(`${app.url}${path}`, init);
  const { errors } = (await answer.json()) as { errors: { extensions: { code: string } }[] };
  const rows = REFERENCE.split('\n').filter((line) => line.split('|')[1]?.includes(`\`${code}\``));

  expect(errors[0]?.extensions.code).toBe(code);
  expect(rows.map((row) => row.split('|')[2]).join()).toContain(String(answer.status));
});

test('the path of a mistake starts at an argument of the mutation, as its description says', async () => {
  const { setAlias, registerModel, predict, predictMany } = await app.query(`mutation {
    setAlias(input: { model: "penguins", alias: "Not an alias", version: "penguins" }) { problem { ...paths } }
    registerModel(input: { name: "Not a name", task: TENSOR }) { problem { ...paths } }
    predict(input: { model: "spam-filter", input: { text: "" } }) { problem { ...paths } }
    predictMany(input: { model: "spam-filter", inputs: [{ text: "" }] }) { results { problem { ...paths } } }
  }
  fragment paths on Problem { message ... on InvalidInput { problems { path } } }`);
  const problems = [setAlias.problem, registerModel.problem, predict.problem, predictMany.results[0].problem];

  expect(problems.map(({ problems }) => problems?.[0]?.path[0])).toEqual(['input', 'input', 'input', 'input']);
});

test('the examples in the descriptions of datasets are values that the service returns', async () => {
  const { datasets } = await app.query('{ datasets(first: 100) { nodes { name family split } } }');
  const type = /^type Dataset implements Node \{(.*?)^\}/ms.exec(readFileSync('schema/schema.graphql', 'utf8'))?.[1];

  for (const field of ['name', 'family', 'split'] as const) {
    const description = type?.split(`\n  ${field}: `)[0]?.split('"""').at(-2) ?? '';
    const examples = [...description.matchAll(/"([^"]+)"/g)].map(([, example]) => example);
    expect(examples.length).toBeGreaterThan(0);
    expect(datasets.nodes.map((dataset: Data) => dataset[field])).toEqual(expect.arrayContaining(examples));
  }
});

test('every mutation has a row in the table of costs, except those that cost what they run', () => {
  const [, costs = ''] = /^## Cost\n(.*?)^## /ms.exec(REFERENCE) ?? [];
  const [, mutations = ''] = /^type Mutation \{\n(.*?)^\}/ms.exec(readFileSync('schema/schema.graphql', 'utf8')) ?? [];
  const names = Array.from(mutations.matchAll(/^ {2}(\w+)\(/gm), ([, name]) => name);

  expect(names).toEqual(expect.arrayContaining(['predict', 'setAlias']));
  expect(names.filter((name) => !costs.includes(`\`${name}\``))).toEqual(['predict', 'predictMany']);
});

test('every problem code has a row', () => {
  for (const code of Object.keys(ProblemCodeEnum)) expect(REFERENCE).toContain(`| \`${code}\` |`);
});

test('every error code in src/api has a row', () => {
  const rows = REFERENCE.split('\n')
    .filter((line) => line.startsWith('| `'))
    .join('\n');
  const sources = readdirSync('src/api').filter((file) => file.endsWith('.ts'));
  const codes = sources.flatMap((file) =>
    [...readFileSync(`src/api/${file}`, 'utf8').matchAll(/'([A-Z]+(?:_[A-Z]+)+)'/g)].map(([, code]) => code ?? ''),
  );

  expect(codes.length).toBeGreaterThan(10);
  // Mistakes in variables have the codes of the enum `InputProblemCode`.
  const [, ofInputs = ''] =
    /^enum InputProblemCode \{(.*?)^\}/ms.exec(readFileSync('schema/schema.graphql', 'utf8')) ?? [];
  const settings = Object.values(SETTINGS).map(({ env }) => env);
  // Codes with ERR_ are those of Node.js, which are compared with.
  const own = codes.filter((code) => !settings.includes(code) && !code.startsWith('ERR_'));
  expect(own.filter((code) => !`${rows}${ofInputs}`.match(new RegExp(`\\b${code}\\b`)))).toEqual([]);
});
