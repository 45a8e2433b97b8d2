/** Variables are coerced before anything else reads them: few problems are named, and lists are bounded. */
import { request } from 'node:http';
import { text as textOf } from 'node:stream/consumers';
import { LIMITS } from '#src/api/limits.js';
import { type Data, startTestApp, type TestApp } from '../support/app.js';

let app: TestApp;
beforeAll(async () => {
  app = await startTestApp();
});
afterAll(() => app.stop());

const MANY =
  'mutation ($input: PredictManyInput!) { predictMany(input: $input) { results { problem { code } } problem { code ... on InvalidInput { problems { path code } } } } }';

/** Sends variables as text, because the largest are not worth building as values. */
function sendText(query: string, variables: string): Promise<{ status: number; bytes: number; error: Data }> {
  const { promise, resolve, reject } = Promise.withResolvers<{ status: number; bytes: number; error: Data }>();
  const post = request(
    `${app.url}/graphql`,
    { method: 'POST', headers: { 'content-type': 'application/json' } },
    (response) => {
      textOf(response).then((text) => {
        resolve({ status: response.statusCode ?? 0, bytes: text.length, error: JSON.parse(text).errors?.[0] });
      }, reject);
    },
  );
  post.on('error', reject);
  post.end(`{"query":${JSON.stringify(query)},"variables":${variables}}`);
  return promise;
}

const listOf = (element: string, count: number) => `[${Array.from({ length: count }, () => element).join()}]`;
/** Within the limit of values of a body. */
const fill = (element: string) => listOf(element, 80_000);
const manyInputs = (inputs: string) => `{"input":{"model":"spam-filter","inputs":${inputs}}}`;
const PREDICT = 'mutation ($input: PredictInput!) { predict(input: $input) { problem { code message } } }';
const predictOf = (input: string) => `{"input":{"model":"spam-filter","input":${input}}}`;
const LONG = 'x'.repeat(8 * 1024 * 1024);

const CASES: readonly [title: string, query: string, variables: () => string, code: string, path: string][] = [
  ['a predictMany of 80,000 empty objects', MANY, () => manyInputs(fill('{}')), 'TOO_LARGE', 'input.inputs'],
  ['a predictMany of 80,000 valid inputs', MANY, () => manyInputs(fill('{"text":"a"}')), 'TOO_LARGE', 'input.inputs'],
  ['a predictMany of 2,001 inputs', MANY, () => manyInputs(listOf('{"text":"a"}', 2_001)), 'TOO_LARGE', 'input.inputs'],
  ['an input without its model', PREDICT, () => '{"input":{"input":{"text":"a"}}}', 'MISSING', 'input.model'],
  [
    'a variable that is named like a property of every object and was not sent',
    'query ($constructor: Int!) { models(first: $constructor) { nodes { id } } }',
    () => '{}',
    'MISSING',
    'constructor',
  ],
  ['1,000 empty inputs', MANY, () => manyInputs(listOf('{}', 1_000)), 'WRONG_KIND', 'input.inputs.0'],
  [
    'inputs with 60,000 sentences',
    MANY,
    () => manyInputs(listOf(`{"similarity":{"source":"a","sentences":${listOf('"b"', 1_500)}}}`, 40)),
    'TOO_LARGE',
    'input.inputs.33.similarity.sentences',
  ],
  [
    'a tensor of 80,000 dimensions of size zero',
    PREDICT,
    () => predictOf(`{"tensors":[{"name":"a","datatype":"FP32","shape":${fill('0')}}]}`),
    'TOO_LARGE',
    'input.input.tensors.0.shape',
  ],
  [
    '80,000 ids',
    'query ($ids: [ID!]!) { nodes(ids: $ids) { id } }',
    () => `{"ids":${fill('"a"')}}`,
    'TOO_LARGE',
    'ids',
  ],
  [
    'a filter of 80,000 tags',
    'query ($filter: ModelFilter) { models(filter: $filter) { nodes { id } } }',
    () => `{"filter":{"tags":${fill('"a"')}}}`,
    'TOO_LARGE',
    'filter.tags',
  ],
  [
    'a string of 8 MiB as a number',
    'query ($first: Int) { models(first: $first) { nodes { id } } }',
    () => `{"first":"${LONG}"}`,
    'WRONG_TYPE',
    'first',
  ],
  [
    'a string of 8 MiB as an enum value',
    'query ($filter: ModelFilter) { models(filter: $filter) { nodes { id } } }',
    () => `{"filter":{"tasks":["${LONG}"]}}`,
    'WRONG_TYPE',
    'filter.tasks.0',
  ],
  [
    'a string of 8 MiB as a date',
    'query ($filter: PredictionFilter) { predictions(filter: $filter) { nodes { id } } }',
    () => `{"filter":{"since":"${LONG}"}}`,
    'WRONG_TYPE',
    'filter.since',
  ],
  [
    'a reference of 8 MiB',
    PREDICT,
    () => `{"input":{"model":"${LONG}","input":{"text":"a"}}}`,
    'WRONG_TYPE',
    'input.model',
  ],
  ['a key of 8 MiB', PREDICT, () => predictOf(`{"${LONG}":1}`), 'UNKNOWN_NAME', `input.input.${'x'.repeat(80)}…`],
  [
    'a key named __proto__',
    PREDICT,
    () => predictOf('{"__proto__":{"text":"a"}}'),
    'UNKNOWN_NAME',
    'input.input.__proto__',
  ],
  ['a list of objects as one object', PREDICT, () => predictOf(fill('{}')), 'WRONG_TYPE', 'input.input'],
  [
    '100,000 keys',
    PREDICT,
    () => predictOf(`{${Array.from({ length: 100_000 }, (_, i) => `"k${i}":1`).join()}}`),
    'UNKNOWN_NAME',
    'input.input.k0',
  ],
];

test.each(CASES)('%s is refused as BAD_USER_INPUT, briefly', async (_, query, variables, code, path) => {
  const { status, bytes, error } = await sendText(query, variables());

  expect(status).toBe(400);
  expect(error.extensions.code).toBe('BAD_USER_INPUT');
  expect(error.extensions.problems[0].code).toBe(code);
  expect(error.extensions.problems[0].path.join('.')).toBe(path);
  expect(error.extensions.problems.length).toBeLessThanOrEqual(5);
  expect(bytes).toBeLessThan(4_000);
});

test('a predictMany of 16 MiB of empty objects is refused, and the server goes on', async () => {
  const count = Math.floor((LIMITS.maxBodyBytes - 1_000) / 3);

  const { status, bytes } = await sendText(MANY, manyInputs(listOf('{}', count)));

  expect([400, 413]).toContain(status);
  expect(bytes).toBeLessThan(4_000);
  expect((await app.send('{ __typename }')).status).toBe(200);
});

test('a list just over the maximum of predictMany is a problem of the payload', async () => {
  const { predictMany } = await app.query(MANY, {
    input: { model: 'spam-filter', inputs: Array.from({ length: LIMITS.maxBatch + 1 }, () => ({ text: 'a' })) },
  });

  expect(predictMany.problem).toEqual({
    code: 'INVALID_INPUT',
    problems: [{ path: ['input', 'inputs'], code: 'TOO_LARGE' }],
  });
});

test('a problem of a variable names where it is, what was expected and what was received', async () => {
  const { errors } = await app.send(MANY, {
    input: { model: 'spam-filter', inputs: [{ text: 'a' }, { text: 5 }], priority: 'SOON' },
  });

  expect(errors?.[0]).toMatchObject({
    message:
      'Variable "$input" is invalid at inputs.1.text: the value has the wrong type; expected String, received 5 (and 1 more).',
    extensions: {
      code: 'BAD_USER_INPUT',
      problems: [
        { path: ['input', 'inputs', '1', 'text'], code: 'WRONG_TYPE', expected: 'String', received: '5' },
        { path: ['input', 'priority'], code: 'WRONG_TYPE', expected: 'Priority', received: '"SOON"' },
      ],
    },
  });
});

test.each([
  ['query ($value: Int = 2) { models(first: $value) { totalCount } }'],
  ['query ($value: Boolean = true) { limits @include(if: $value) { maxDepth } }'],
  [
    `mutation ($value: Boolean = true) { predict(input: { model: "spam-filter", input: { text: "a" } }) @skip(if: $value) { replayed } }`,
  ],
])('null for a variable whose default makes it fit is a mistake of the caller: %s', async (query) => {
  const { errors } = await app.send(query, { value: null });

  expect(errors).toMatchObject([
    { message: expect.stringContaining('must not be null'), extensions: { code: 'BAD_USER_INPUT' } },
  ]);
});
