/** Reads that take too long, and what does not wait for them. */
import { MAX_WAITING_READS } from '#src/storage/read-lane.js';
import { startTestApp, type TestApp } from '../support/app.js';
import { armFault, disarmFault } from '../support/faults.js';
import type { GraphqlAnswer } from '../support/graphql-client.js';

const LIST = '{ models { nodes { name } } }';
const PREDICT = `mutation { predict(input: { model: "spam-filter", input: { text: "hello" }, idempotencyKey: "once" }) {
  prediction { id predictedBy { ref } } problem { code } } }`;
const SET_ALIAS = `mutation { setAlias(input: { model: "spam-filter", alias: "live", version: "spam-filter:1" }) {
  alias { aliasedVersion { ref } } problem { code } } }`;
const ENDLESS = `with recursive numbers(n) as (select 1 union all select n + 1 from numbers where interruptible() = 1)
  select count(*) from numbers`;

let app: TestApp;
beforeAll(async () => {
  app = await startTestApp();
});
afterAll(() => app.stop());
afterEach(() => disarmFault());

test('a read that takes too long is refused as retryable, and the next one is answered', async () => {
  // The sweep at the start reads too, and may be what hangs.
  let answer: GraphqlAnswer;
  do {
    await armFault('sqlite.read', 'hang');
    answer = await app.send(LIST);
  } while (!answer.errors);

  expect(answer.data).toBeNull();
  expect(answer.errors[0]).toMatchObject({
    message: expect.stringContaining('longer than 5000 ms'),
    extensions: { code: 'DEADLINE_EXCEEDED', retryable: true, retryAfterMs: 1_000 },
  });
  expect((await app.query(LIST)).models.nodes.length).toBeGreaterThan(0);
});

test('predictions, idempotency keys and aliases do not wait for lists', async () => {
  await app.query(PREDICT);
  const { catalogFile, predictionsFile } = app.app.databases;
  // Enough to keep the readers of lists busy for 20 seconds.
  const endless = Array.from({ length: 8 }, () => [catalogFile, predictionsFile])
    .flat()
    .map((file) => file.read(ENDLESS, []).catch(() => {}));
  let isListed = false;
  const list = app.query(LIST).finally(() => {
    isListed = true;
  });

  const first = (await app.query(PREDICT)).predict;
  const second = (await app.query(PREDICT)).predict;
  const { setAlias } = await app.query(SET_ALIAS);

  expect(isListed).toBe(false);
  expect(first.prediction.predictedBy.ref).toBe('spam-filter:1');
  expect(second.prediction.id).toBe(first.prediction.id);
  expect(setAlias).toEqual({ alias: { aliasedVersion: { ref: 'spam-filter:1' } }, problem: null });
  await Promise.all([...endless, list]);
});

test('a statement that never ends is stopped, and its thread with it', async () => {
  const file = app.app.databases.catalogFile;

  await expect(file.read(ENDLESS, [])).rejects.toMatchObject({ code: 'DEADLINE_EXCEEDED', retryable: true });
  await expect(file.read(ENDLESS, [])).rejects.toMatchObject({ code: 'DEADLINE_EXCEEDED' });
  await expect(file.read(ENDLESS, [])).rejects.toMatchObject({ code: 'DEADLINE_EXCEEDED' });

  expect((await file.read('select 1 as one', [])).rows).toEqual([{ one: 1 }]);
});

test('reads beyond a thousand that wait are refused at once', async () => {
  const file = app.app.databases.catalogFile;
  const busy = [file.read(ENDLESS, []), file.read(ENDLESS, [])].map((read) => read.catch(({ code }) => code));
  const waiting = Array.from({ length: MAX_WAITING_READS }, () => file.read('select 1 as one', []));

  await expect(file.read('select 1', [])).rejects.toMatchObject({
    code: 'OVERLOADED',
    queueDepth: MAX_WAITING_READS,
    retryable: true,
  });
  expect(await Promise.all(busy)).toEqual(['DEADLINE_EXCEEDED', 'DEADLINE_EXCEEDED']);
  expect(await Promise.all(waiting)).toHaveLength(MAX_WAITING_READS);
});
