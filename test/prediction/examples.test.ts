/** The example in a signature can be sent unchanged. */
import { readFileSync } from 'node:fs';
import { type Data, startTestApp, type TestApp } from '../support/app.js';

const READ_SIGNATURES = readFileSync('schema/operations/13-read-signatures.graphql', 'utf8');
const ANY_ANSWER = readFileSync('schema/operations/14-any-answer.graphql', 'utf8');

let app: TestApp;
beforeAll(async () => {
  app = await startTestApp();
});
afterAll(() => app.stop());

test('every model answers its own example', async () => {
  const { models } = await app.query(READ_SIGNATURES, { first: 100 });
  const ready = models.nodes.filter(({ version }: Data) => version?.state === 'READY');
  const answers = await Promise.all(
    ready.map(async ({ name, version }: Data) => {
      const { predict } = await app.query(ANY_ANSWER, { input: { model: name, input: version.signature.example } });
      return { name, type: predict.prediction?.output.__typename, problem: predict.problem };
    }),
  );

  expect(ready.length).toBeGreaterThan(0);
  expect(ready).toHaveLength(models.nodes.length);
  expect(answers).toEqual(ready.map(({ name }: Data) => ({ name, type: expect.any(String), problem: null })));
});
