/** Idempotency keys: one prediction for all requests with a key, however late its commit is and whoever waits for it. */
import { createHash } from 'node:crypto';
import { jest } from '@jest/globals';
import type { OverloadedError } from '#src/errors.js';
import { requestDigest, SharedPredictions } from '#src/prediction/idempotency.js';
import type { Prediction } from '#src/prediction/prediction.type.js';
import { type Data, startTestApp, type TestApp } from '../support/app.js';
import { armFault, disarmFault, goOn, hasFired } from '../support/faults.js';
import { createStore, type TestStore } from '../support/model-store.js';
import { encodeModel, identity } from '../support/onnx.js';
import { until } from '../support/until.js';

const PREDICT = `mutation ($input: PredictInput!) { predict(input: $input) { replayed prediction { id predictedBy { ref } }
  problem { code ... on DeadlineExceeded { phase } ... on IdempotencyConflict { earlier } } } }`;

let store: TestStore;
let app: TestApp;
beforeAll(async () => {
  store = await createStore();
  for (const version of [1, 2]) {
    await store.write('echo', { [`${version}/model.onnx`]: encodeModel(identity('x', 'INT64', ['N'])) });
  }
  await store.write('echo', { 'model.yaml': `example: ${JSON.stringify(x(1))}\n` });
  app = await startTestApp({ modelStore: store.folder, empty: true });
  await predict({});
});
afterEach(async () => {
  jest.useRealTimers();
  await disarmFault();
});
afterAll(async () => {
  await app.stop();
  await store.remove();
});

function x(value: number) {
  return { tensors: [{ name: 'x', datatype: 'INT64', shape: [1], data: [value] }] };
}

async function predict(input: Record<string, unknown>): Promise<Data> {
  return (await app.query(PREDICT, { input: { model: 'echo', input: x(1), ...input } })).predict;
}

async function stored(): Promise<number> {
  return (await app.query('{ predictions { totalCount } }')).predictions.totalCount;
}

const LATE = { prediction: null, problem: { code: 'DEADLINE_EXCEEDED' } };

test('retries while the commit is late do not run again, and find the one prediction later', async () => {
  const keyed = { idempotencyKey: 'late' };
  const before = await stored();
  await armFault('sqlite.write.begin', 'pause');

  const first = predict({ ...keyed, deadlineMs: 2_000 });
  await until('the commit has begun', hasFired);
  const answer = await first;
  const retries = [];
  for (let i = 0; i < 10; i++) retries.push(await predict({ ...keyed, deadlineMs: 20 }));
  await goOn();
  const later = await predict(keyed);

  expect(answer).toMatchObject({ ...LATE, problem: { phase: 'record' } });
  for (const retry of retries) expect(retry).toMatchObject(LATE);
  expect(later).toMatchObject({ replayed: true, problem: null });
  expect((await stored()) - before).toBe(1);
});

test('a retry keeps its own deadline, and the first request goes on', async () => {
  const keyed = { idempotencyKey: 'own-deadline' };
  await armFault('worker.run.begin', 'pause');
  const first = predict(keyed);
  await until('the worker has reached its batch', hasFired);

  const retry = await predict({ ...keyed, deadlineMs: 20 });
  await goOn();

  expect(retry).toMatchObject(LATE);
  expect(await first).toMatchObject({ replayed: false, problem: null });
});

test('after the first request missed its deadline in the worker, a retry that waits longer takes its place', async () => {
  const keyed = { idempotencyKey: 'patient' };
  const before = await stored();
  await armFault('worker.run.begin', 'pause');
  const first = predict({ ...keyed, deadlineMs: 500 });
  await until('the worker has reached its batch', hasFired);
  const retry = predict(keyed);

  const answer = await first;
  await goOn();

  expect(answer).toMatchObject(LATE);
  expect(await retry).toMatchObject({ replayed: false, problem: null });
  expect((await stored()) - before).toBe(1);
});

test('another order of keys is the same request', async () => {
  const tensor = { shape: [1], data: [7], datatype: 'INT64', name: 'x' };
  const first = await predict({ idempotencyKey: 'order', input: x(7) });

  const again = await predict({ idempotencyKey: 'order', input: { tensors: [tensor] } });
  const other = await predict({ idempotencyKey: 'order', input: x(8) });

  expect(again).toMatchObject({ replayed: true, prediction: { id: first.prediction.id } });
  expect(other.problem).toEqual({ code: 'IDEMPOTENCY_CONFLICT', earlier: first.prediction.id });
});

test('another subject, or none, is another request, also while the first one is in progress', async () => {
  const keyed = { idempotencyKey: 'subject', subject: 'user-1' };
  await armFault('sqlite.write.begin', 'pause');
  const first = predict(keyed);
  await until('the commit has begun', hasFired);
  const joined = predict({ ...keyed, subject: 'user-2' });
  await app.query('{ __typename }');
  await goOn();
  const { id } = (await first).prediction;

  const again = await predict(keyed);
  const others = [
    await joined,
    await predict({ ...keyed, subject: 'user-2' }),
    await predict({ ...keyed, subject: null }),
  ];

  expect(again).toMatchObject({ replayed: true, prediction: { id } });
  for (const { problem } of others) expect(problem).toEqual({ code: 'IDEMPOTENCY_CONFLICT', earlier: id });
});

test('keys of a row are in order at every level; numbers, texts and lists are as they were sent', () => {
  const of = (input: unknown) => requestDigest({ model: 'm', input });

  expect(of({ row: { a: 1, b: { c: [1, { d: 2, e: 3 }] } } })).toBe(
    of({ row: { b: { c: [1, { e: 3, d: 2 }] }, a: 1 } }),
  );
  const different = [
    { a: [1, 2] },
    { a: [2, 1] },
    { a: '1' },
    { a: 1 },
    { a: null },
    {},
    { 'a:1,': 1 },
    { a: [[1], 2] },
  ];
  expect(new Set(different.map(of)).size).toBe(different.length);
  expect(of(JSON.parse('{"__proto__":{"a":1}}'))).not.toBe(of({}));
  expect(requestDigest({ model: 'm', variant: 'q8', input: {} })).not.toBe(requestDigest({ model: 'm', input: {} }));
});

test('an alias that has moved is the same request, and returns the earlier prediction', async () => {
  const move = async (version: string) =>
    app.query('mutation ($input: SetAliasInput!) { setAlias(input: $input) { problem { code } } }', {
      input: { model: 'echo', alias: 'live', version },
    });
  const keyed = { model: 'echo@live', idempotencyKey: 'moved' };
  await move('echo:1');
  const first = await predict(keyed);
  await move('echo:2');

  const again = await predict(keyed);
  const other = await predict({ ...keyed, model: 'echo:1' });

  expect(first.prediction.predictedBy.ref).toBe('echo:1');
  expect(again).toMatchObject({ replayed: true, prediction: first.prediction });
  expect(other.problem.code).toBe('IDEMPOTENCY_CONFLICT');
});

test('a digest stored by version 0.1.0 still matches', async () => {
  const input = { tensors: [{ name: 'x', datatype: 'INT64', shape: [1], data: [5] }] };
  const { prediction } = await predict({ idempotencyKey: 'old', input });
  const { version } = await app.query('{ version(ref: "echo") { id } }');
  const digest = createHash('sha256')
    .update(`${version.id}\n${JSON.stringify(input)}`)
    .digest('hex');
  const { predictionsFile } = app.app.databases;
  await predictionsFile.write('update idempotency set request_sha256 = ? where key = ?', [digest, 'old']);

  const again = await predict({ idempotencyKey: 'old', input });
  const others = [{ input: x(6) }, { input, subject: 'user-1' }];

  expect(again).toMatchObject({ replayed: true, prediction: { id: prediction.id } });
  for (const other of others)
    expect((await predict({ idempotencyKey: 'old', ...other })).problem.code).toBe('IDEMPOTENCY_CONFLICT');
});

test('a request whose own client has disconnected is still run for those who have joined it', async () => {
  const shared = new SharedPredictions();
  const client = (isClosed: boolean) => ({ isClosed, caller: 'x' });
  const mine = (isClosed: boolean) => ({ connection: client(isClosed), startedAt: performance.now(), deadlineMs: 1e6 });
  const { promise: recorded, resolve } = Promise.withResolvers<void>();
  const prediction = { id: 'p' } as Prediction;
  let connection = client(true);
  const first = shared.begin('k', 'd', mine(true), async (given) => {
    connection = given;
    return { prediction, replayed: false, recorded };
  });

  const alone = connection.isClosed;
  const joined = shared.join('k', mine(false));
  const together = connection.isClosed;
  resolve();

  expect([alone, together]).toEqual([true, false]);
  expect(await joined).toBe(prediction);
  await first;
  expect(shared.get('k')).toBeUndefined();
});

test('a retry runs at once after the only client has disconnected', async () => {
  const shared = new SharedPredictions();
  const begun = Promise.withResolvers<never>();
  let disconnect = () => {};
  const connection = { isClosed: false, caller: 'x', onClose: (listener: () => void) => (disconnect = listener) };
  const mine = { connection, startedAt: performance.now(), deadlineMs: 1e6 };
  const first = shared.begin('k', 'd', mine, (given) => {
    given.onClose?.(() => begun.reject(new Error('nobody waits')));
    return begun.promise;
  });

  connection.isClosed = true;
  disconnect();

  await expect(first).rejects.toThrow('nobody waits');
  expect(shared.get('k')).toBeUndefined();
});

test('another request with the key of one in progress is a conflict', async () => {
  const keyed = { idempotencyKey: 'in progress' };
  await armFault('sqlite.write.begin', 'pause');
  const first = predict(keyed);
  await until('the commit has begun', hasFired);

  const other = predict({ ...keyed, input: x(2) });
  await app.query('{ __typename }');
  await goOn();

  const { id } = (await first).prediction;
  expect(await other).toMatchObject({ prediction: null, problem: { code: 'IDEMPOTENCY_CONFLICT', earlier: id } });
});

test('a retry runs at once if the last request to leave has missed its deadline, after the first client disconnected', async () => {
  const shared = new SharedPredictions();
  const gone = { isClosed: true, caller: 'x' };
  const begun = Promise.withResolvers<never>();
  const first = shared.begin('k', 'd', { connection: gone, startedAt: performance.now(), deadlineMs: 1e6 }, (given) => {
    given.onClose?.(() => begun.reject(new Error('nobody waits')));
    return begun.promise;
  });
  const connection = { isClosed: false, caller: 'x' };

  const joined = shared.join('k', { connection, startedAt: performance.now(), deadlineMs: 1 });

  await expect(joined).rejects.toThrow('deadline');
  await expect(first).rejects.toThrow('nobody waits');
  expect(shared.get('k')).toBeUndefined();
});

test('requests with keys of one caller leave half of the places to others, and a retry waits for what it would join', () => {
  // The requests wait for ever: with real timers, their deadlines would pass during another test.
  jest.useFakeTimers();
  const shared = new SharedPredictions();
  const of = (caller: string) => ({
    connection: { isClosed: false, caller },
    startedAt: performance.now(),
    deadlineMs: 1e6,
  });
  const forever = () => new Promise<never>(() => {});
  const isRefused = (key: string, caller: string) => {
    try {
      shared.checkRoom('echo', key, caller);
      return null;
    } catch (error) {
      return error as OverloadedError;
    }
  };
  let joined = 0;
  void shared.begin('k', 'd', of('x'), forever);
  while (!isRefused('k', 'x')) {
    joined++;
    void shared.join('k', of('x'));
  }
  const ofOthers = ['y', 'z'].map((caller) => {
    let began = 0;
    while (!isRefused('k', caller)) void shared.begin(`${caller}${began++}`, 'd', of(caller), forever);
    return began;
  });

  expect(joined).toBe(4_999);
  expect(ofOthers).toEqual([2_500, 1_250]);
  expect(isRefused('other', 'x')).toMatchObject({
    message: 'echo is busy: 8750 requests with idempotency keys are waiting, 5000 of them yours. Try again in 1000 ms.',
    retryAfterMs: 1_000,
  });
  expect(isRefused('k', 'x')?.retryAfterMs).toBeGreaterThan(100_000);
});

test('requests with keys that have failed make room for others', async () => {
  const shared = new SharedPredictions();
  const mine = { connection: { isClosed: false, caller: 'x' }, startedAt: 0, deadlineMs: 1 };
  const fail = () => Promise.reject(new Error('failed'));

  const begun = Array.from({ length: 10_000 }, (_, i) => shared.begin(`k${i}`, 'd', mine, fail));
  await Promise.allSettled(begun);

  expect(() => shared.checkRoom('echo', 'k', 'x')).not.toThrow();
});

test('a key without a value counts as absent', () => {
  expect(requestDigest({ model: 'echo', input: { text: 'a', image: undefined } })).toBe(
    requestDigest({ model: 'echo', input: { text: 'a' } }),
  );
});

test('the digest of a row or of the data of a tensor is made once for all fields that use it', () => {
  let reads = 0;
  const counted = (value: object) =>
    new Proxy(value, {
      ownKeys(target) {
        reads++;
        return Reflect.ownKeys(target);
      },
    });
  const row = counted({ b: 1, a: { d: 2, c: 3 } });
  const data = [counted({ b: 1, a: 2 })];

  const rows = Array.from({ length: 20 }, () => requestDigest({ model: 'echo', input: { row } }));
  const tensors = Array.from({ length: 20 }, () =>
    requestDigest({ model: 'echo', input: { tensors: [{ name: 'x', data }] } }),
  );

  expect(new Set(rows)).toEqual(
    new Set([requestDigest({ model: 'echo', input: { row: { a: { c: 3, d: 2 }, b: 1 } } })]),
  );
  expect(new Set(tensors).size).toBe(1);
  expect(reads).toBe(2);
});

test('data that is no list is refused before its digest is made', async () => {
  const input = { tensors: [{ name: 'x', datatype: 'INT64', shape: [1], data: { a: 1 } }] };

  const { problem } = (
    await app.query(
      'mutation ($input: PredictInput!) { predict(input: $input) { problem { ... on InvalidInput { problems { path code } } } } }',
      { input: { model: 'no-such-model', input, idempotencyKey: 'object' } },
    )
  ).predict;

  expect(problem.problems).toEqual([{ path: ['input', 'input', 'tensors', '0', 'data'], code: 'WRONG_TYPE' }]);
});
