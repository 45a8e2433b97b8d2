/** Reads that take too long, and what does not wait for them. */
import { MAX_WAITING_READS, readingFor } from '#src/storage/read-lane.js';
import type { SqliteFile } from '#src/storage/sqlite.js';
import { startTestApp, type TestApp } from '../support/app.js';
import { armFault, disarmFault } from '../support/faults.js';
import { type GraphqlAnswer, postFrom } from '../support/graphql-client.js';

const LIST = '{ models { nodes { name } } }';
const PREDICT = `mutation { predict(input: { model: "spam-filter", input: { text: "hello" }, idempotencyKey: "once" }) {
  prediction { id predictedBy { ref } } problem { code } } }`;
const SET_ALIAS = `mutation { setAlias(input: { model: "spam-filter", alias: "live", version: "spam-filter:2" }) {
  alias { aliasedVersion { ref } } problem { code } } }`;
const ENDLESS = `with recursive numbers(n) as (select 1 union all select n + 1 from numbers where interruptible() = 1)
  select count(*) from numbers`;

const readForSomebody = (file: SqliteFile) => readingFor.run('somebody', () => file.read(ENDLESS, []));

let app: TestApp;
beforeAll(async () => {
  app = await startTestApp({ isAlone: true });
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

test('a list does not wait for a read that takes too long', async () => {
  let first: GraphqlAnswer;
  let both: GraphqlAnswer[];
  do {
    await armFault('sqlite.read', 'hang');
    const lists = ['127.0.0.1', '127.0.0.2'].map((caller) => postFrom(caller, app.url, LIST));
    first = await Promise.race(lists);
    both = await Promise.all(lists);
  } while (both.every(({ errors }) => !errors));

  expect(first.errors).toBeUndefined();
  expect(both.filter(({ errors }) => errors)).toHaveLength(1);
});

test('predictions, idempotency keys and aliases do not wait for lists', async () => {
  await app.query(PREDICT);
  const { catalogFile, predictionsFile } = app.app.databases;
  // Enough to keep the readers of lists busy for 20 seconds.
  const endless = Array.from({ length: 8 }, () => [catalogFile, predictionsFile])
    .flat()
    .map((file) => readForSomebody(file).catch(() => {}));
  let isListed = false;
  const list = app.query(LIST).finally(() => {
    isListed = true;
  });

  const first = (await app.query(PREDICT)).predict;
  const second = (await app.query(PREDICT)).predict;
  const { setAlias } = await app.query(SET_ALIAS);

  expect(isListed).toBe(false);
  expect(first.prediction.predictedBy.ref).toBe('spam-filter:2');
  expect(second.prediction.id).toBe(first.prediction.id);
  expect(setAlias).toEqual({ alias: { aliasedVersion: { ref: 'spam-filter:2' } }, problem: null });
  await Promise.all([...endless, list]);
});

test('a statement that never ends is stopped, and its thread with it', async () => {
  const file = app.app.databases.catalogFile;

  await expect(readForSomebody(file)).rejects.toMatchObject({ code: 'DEADLINE_EXCEEDED', retryable: true });
  await expect(readForSomebody(file)).rejects.toMatchObject({ code: 'DEADLINE_EXCEEDED' });
  await expect(readForSomebody(file)).rejects.toMatchObject({ code: 'DEADLINE_EXCEEDED' });

  expect((await file.read('select 1 as one', [])).rows).toEqual([{ one: 1 }]);
});

test('reads beyond a thousand that wait are refused at once, to the caller who has most', async () => {
  const file = app.app.databases.catalogFile;
  const flood = (caller: string, reads: number, sql: string) =>
    readingFor.run(caller, () => Array.from({ length: reads }, () => file.read(sql, [])));
  const busy = flood('127.0.0.3', 2, ENDLESS).map((read) => read.catch(({ code }) => code));
  // From here, requests come from 127.0.0.1 and 127.0.0.2.
  const waiting = flood('127.0.0.2', MAX_WAITING_READS, 'select 1 as one').map((read) => read.catch((error) => error));

  const own = await postFrom('127.0.0.2', app.url, LIST);
  const other = await postFrom('127.0.0.1', app.url, LIST);

  expect(own.errors?.[0]).toMatchObject({ extensions: { code: 'OVERLOADED', retryable: true } });
  expect(other.errors).toBeUndefined();
  expect(await Promise.all(busy)).toEqual(['DEADLINE_EXCEEDED', 'DEADLINE_EXCEEDED']);
  const results = await Promise.all(waiting);
  expect(results.filter(({ code }) => code === 'OVERLOADED')).toEqual([results.at(-1)]);
});
