/** What the README says is what happens. */
import { readFileSync } from 'node:fs';
import { LIMITS } from '#src/api/limits.js';
import { ProblemCodeEnum } from '#src/graphql/problem.type.js';
import { MAX_TEXT_CHARACTERS } from '#src/tasks/text.js';
import { startTestApp, type TestApp } from './support/app.js';

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

test('the table of limits is the one in force', () => {
  const rows: [string, string][] = [
    ['depth of an operation', String(LIMITS.maxDepth)],
    ['tokens of a document', LIMITS.maxTokens.toLocaleString('en')],
    ['body', `${LIMITS.maxBodyBytes / 2 ** 20} MiB`],
    ['page (`first`, `ids`)', String(LIMITS.maxPageSize)],
    ['batch (`predictMany`)', LIMITS.maxBatch.toLocaleString('en')],
    ['cost', LIMITS.maxCost.toLocaleString('en')],
    ['picture', `${LIMITS.maxImagePixels / 1e6} million pixels`],
    ['text', `${MAX_TEXT_CHARACTERS.toLocaleString('en')} characters`],
  ];

  for (const [limit, value] of rows) expect(README).toContain(`| ${limit} | ${value} |`);
});

test('every problem code has its row', () => {
  for (const code of Object.keys(ProblemCodeEnum)) expect(README).toContain(`| \`${code}\` |`);
});
