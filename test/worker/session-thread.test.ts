/** The session thread answers each request with its own reply, whatever happens to the requests before it. */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { SessionThread } from '#src/worker/native/session-thread.js';
import { STORE } from '../support/app.js';

const OPTIONS = { provider: 'cpu', dataFolder: '/var/empty' };

const tensor = (value: unknown) =>
  ({
    name: 'x',
    datatype: 'FP32',
    shape: [1],
    data: typeof value === 'number' ? Float32Array.of(value) : value,
  }) as never;

/** y = Identity(x), x: float[N]. */
const IDENTITY = Buffer.from(
  'CAg6OQoQCgF4EgF5IghJZGVudGl0eRIBZ1oQCgF4EgsKCQgBEgUKAxIBTmIQCgF5EgsKCQgBEgUKAxIBTkIECgAQDQ==',
  'base64',
);

test('a request that cannot be cloned fails alone, and the next one receives its own answer', async () => {
  const session = await new SessionThread().open(IDENTITY, OPTIONS);

  const failed = session.run([tensor(() => 0)]).catch(({ name }: Error) => name);
  const answers = await Promise.all([111, 222, 333].map((value) => session.run([tensor(value)])));
  const values = answers.map(([y]) => Array.from(y?.data as Float32Array));

  expect(await failed).toBe('DataCloneError');
  expect(values).toEqual([[111], [222], [333]]);
});

test('a request that fails in the thread leaves the answers of the others as they are', async () => {
  const thread = new SessionThread();
  const session = await thread.open(IDENTITY, OPTIONS);
  const graph = await readFile(path.join(STORE, 'penguins/1/model.onnx'));

  const [broken, answer, opened] = await Promise.all([
    thread.open(Buffer.from('no graph'), OPTIONS).catch((error: Error) => error),
    session.run([tensor(5)]),
    thread.open(graph, OPTIONS),
  ]);

  expect(broken).toBeInstanceOf(Error);
  expect(Array.from(answer[0]?.data as Float32Array)).toEqual([5]);
  expect(opened.inputs.length).toBeGreaterThan(0);
});
