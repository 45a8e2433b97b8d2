/** Batches of changing size run at few sizes, which costs at most about twice as much as the best sizes would. */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import fc from 'fast-check';
import type { TensorData } from '#src/tasks/datatypes.js';
import { SessionThread } from '#src/worker/native/session-thread.js';
import { SteadySize, withSteadySizes } from '#src/worker/steady-sizes.js';
import { STORE } from '../support/app.js';

const MAX_ROWS = 32;

/** A graph that takes this long, and longer for the first run of a size after one of another. */
interface Costs {
  readonly runMs: number;
  readonly rowMs: number;
  readonly changeMs: number;
}

/** The time of all runs, with sizes that `choose` makes of the rows. */
function timeOf(batches: readonly number[], { runMs, rowMs, changeMs }: Costs, choose: Pick<SteadySize, 'sizeFor'>) {
  let total = 0;
  let last = 0;
  for (const rows of batches) {
    const size = choose.sizeFor(rows);
    if (size < rows) throw new Error(`${rows} rows do not fit a run of ${size}`);
    const ms = runMs + rowMs * size + (size === last ? 0 : changeMs);
    if (choose instanceof SteadySize) choose.ran(ms);
    total += ms;
    last = size;
  }
  return total;
}

const batches = fc.array(fc.integer({ min: 1, max: MAX_ROWS }), { minLength: 200, maxLength: 400 });

test('no load takes longer than with a fixed size or with the exact sizes, but for a factor and the learning', () => {
  const costs = fc.record({
    runMs: fc.double({ min: 0.05, max: 2, noNaN: true }),
    rowMs: fc.double({ min: 0.001, max: 0.5, noNaN: true }),
    changeMs: fc.double({ min: 0, max: 50, noNaN: true }),
  });
  fc.assert(
    fc.property(batches, costs, (load, cost) => {
      const steady = timeOf(load, cost, new SteadySize(MAX_ROWS));
      const exact = timeOf(load, cost, { sizeFor: (rows) => rows });
      const fixed = timeOf(load, cost, { sizeFor: () => MAX_ROWS });
      const learning = 12 * cost.changeMs + 12 * MAX_ROWS * cost.rowMs;
      expect(steady).toBeLessThanOrEqual(2.5 * Math.min(exact, fixed) + learning);
    }),
    { seed: 7 },
  );
});

test('where a change is dear, batches of all sizes run at one size', () => {
  const steady = new SteadySize(MAX_ROWS);
  const sizes = new Set<number>();
  const watched = {
    sizeFor: (rows: number) => {
      const size = steady.sizeFor(rows);
      sizes.add(size);
      return size;
    },
  };
  let last = 0;
  for (let i = 0; i < 500; i++) {
    if (i === 100) sizes.clear();
    const size = watched.sizeFor(1 + ((i * 7) % MAX_ROWS));
    steady.ran(size === last ? 0.1 + 0.001 * size : 15);
    last = size;
  }

  expect([...sizes]).toEqual([MAX_ROWS]);
});

test('after a burst of large batches, single rows soon run alone again', () => {
  const steady = new SteadySize(MAX_ROWS);
  const run = (rows: number, last: number) => {
    const size = steady.sizeFor(rows);
    steady.ran((size === last ? 0 : 10) + 0.5 * size);
    return size;
  };
  let last = 0;
  for (const rows of [1, 1, 32, 32, 1, 1, 32, 32]) last = run(rows, last);
  const sizes = Array.from({ length: 5 }, () => (last = run(1, last)));

  expect(sizes.at(-1)).toBe(1);
});

test('rows that are filled up change no answer', async () => {
  const graph = await readFile(path.join(STORE, 'fashion-cnn/1/model.onnx'));
  const session = await new SessionThread().open(graph, { provider: 'cpu', dataFolder: '/var/empty' });
  const steady = withSteadySizes(session, MAX_ROWS);
  const [input] = session.inputs;
  const perRow = (input?.shape.slice(1) ?? []).reduce((product: number, size) => product * Number(size), 1);
  const batch = (rows: number): TensorData[] => [
    {
      name: input?.name ?? '',
      datatype: 'FP32',
      shape: [rows, ...(input?.shape.slice(1).map(Number) ?? [])],
      data: Float32Array.from({ length: rows * perRow }, (_, i) => Math.abs(Math.sin(i + rows))),
    },
  ];

  for (const rows of [1, 5, 3, 32, 2, 40, 7]) {
    const expected = await session.run(batch(rows));
    const outputs = await steady.run(batch(rows));
    expect(outputs.map(({ name, shape }) => ({ name, shape }))).toEqual(
      expected.map(({ name, shape }) => ({ name, shape })),
    );
    const differences = outputs.flatMap(({ data }, i) =>
      Array.from(data as Float32Array, (value, j) => Math.abs(value - Number(expected[i]?.data[j]))),
    );
    expect(Math.max(...differences)).toBeLessThan(1e-5);
  }
  await session.release();
});
