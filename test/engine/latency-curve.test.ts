/** Which batches are measured, and what the measurements say. */
import { bestBatchSize, itemsPerSecond, LatencyCurve, undisturbedMs } from '#src/engine/latency-curve.js';

/** Measures a version whose batch of `size` takes `msOf(size)`. Returns the sizes in the order of their measurement. */
function measure(curve: LatencyCurve, msOf: (size: number, turn: number) => number): number[] {
  const measured: number[] = [];
  for (let size = curve.next(); size !== null; size = curve.next()) {
    const turn = measured.filter((other) => other === size).length;
    measured.push(size);
    curve.record(size, { preprocessMs: 0, inferMs: msOf(size, turn), postprocessMs: 0 }, null);
  }
  return measured;
}

const point = (batchSize: number, p50Ms: number) => ({ batchSize, p50Ms, p95Ms: p50Ms, preprocessMs: 0 });

test('a fast version is measured at powers of two and its largest batch, 21 times each', () => {
  const curve = new LatencyCurve(24, 1, 200);

  const measured = measure(curve, (size) => 0.1 * size);

  expect(measured.slice(0, 18)).toEqual([1, 1, 2, 2, 4, 4, 8, 8, 16, 16, 24, 24, 1, 2, 4, 8, 16, 24]);
  expect(measured).toHaveLength(6 * 21);
  expect(curve.points().map(({ batchSize }) => batchSize)).toEqual([1, 2, 4, 8, 16, 24]);
});

test('a version that does not batch has one point', () => {
  const curve = new LatencyCurve(1, 10, 200);

  measure(curve, () => 10);

  expect(curve.points()).toEqual([point(1, 10)]);
});

test('no batch is measured that is expected to take longer than 200 ms', () => {
  const curve = new LatencyCurve(32, 60, 200);

  const measured = measure(curve, (size) => 50 * size);

  expect(new Set(measured)).toEqual(new Set([1, 2, 4]));
  expect(curve.points()).toEqual([point(1, 50), point(2, 100), point(4, 200)]);
});

test('a batch that takes longer than expected is not measured again, nor any larger one', () => {
  const curve = new LatencyCurve(32, 10, 200);

  const measured = measure(curve, (size) => (size < 8 ? size : 1_000));

  expect(measured.filter((size) => size >= 8)).toEqual([8]);
  expect(curve.points().map(({ batchSize }) => batchSize)).toEqual([1, 2, 4]);
});

test.each([0.02, 1, 7, 50, 90, 190])('a version of %d ms is measured for at most two seconds in all', (ms) => {
  const curve = new LatencyCurve(32, 2 * ms, 200);

  let spentMs = 0;
  measure(curve, (size) => {
    spentMs += ms * size;
    return ms * size;
  });

  expect(spentMs).toBeLessThanOrEqual(2_000);
  expect(curve.points().length).toBeGreaterThan(0);
});

test('a version that takes longer than 200 ms for one input is not measured; its warm-up is its only point', () => {
  const curve = new LatencyCurve(32, 1_500, 200);

  expect(curve.next()).toBeNull();
  expect(curve.points()).toEqual([point(1, 1_500)]);
  expect(bestBatchSize(curve.points())).toBe(1);
});

test('the first batch of a size does not count', () => {
  const curve = new LatencyCurve(2, 1, 200);

  measure(curve, (size, turn) => (turn === 0 ? 150 : size));

  expect(curve.points()).toEqual([point(1, 1), point(2, 2)]);
});

test('percentiles use the nearest rank', () => {
  const curve = new LatencyCurve(1, 1, 200);

  measure(curve, (_, turn) => turn);

  expect(curve.points()).toEqual([{ batchSize: 1, p50Ms: 10, p95Ms: 19, preprocessMs: 0 }]);
});

test('a size that fails is given up with all larger ones, and the smaller ones are measured', () => {
  const curve = new LatencyCurve(8, 1, 200);
  for (const size of [1, 1, 2, 2, 4]) {
    expect(curve.next()).toBe(size);
    if (size === 4) curve.fail(4);
    else curve.record(size, { preprocessMs: 1, inferMs: size, postprocessMs: 1 }, null);
  }

  measure(curve, (size) => size);

  expect(curve.points().map(({ batchSize }) => batchSize)).toEqual([1, 2]);
});

test('a version that fails alone has no points, and no best batch', () => {
  const curve = new LatencyCurve(8, 1, 200);
  curve.fail(1);

  expect(curve.next()).toBeNull();
  expect(curve.points()).toEqual([]);
  expect(bestBatchSize([])).toBeNull();
});

test('the best batch is the smallest that reaches nine tenths of the highest throughput', () => {
  expect(itemsPerSecond(point(8, 2))).toBe(4_000);
  // An MLP gains until 32 inputs; a convolution gains nothing; a third version becomes slower beyond 4.
  expect(bestBatchSize([point(1, 1), point(8, 1.5), point(32, 2), point(64, 4)])).toBe(32);
  expect(bestBatchSize([point(1, 1), point(2, 1.9), point(4, 3.8)])).toBe(1);
  expect(bestBatchSize([point(1, 1), point(4, 2), point(8, 8)])).toBe(4);
});

test('of a batch that waited for processors its CPU time counts, and short waits between threads count as they are', () => {
  expect(undisturbedMs(40, 10)).toBe(10);
  expect(undisturbedMs(0.4, 0.1)).toBe(0.4);
  expect(undisturbedMs(10, 35)).toBe(10);
  expect(undisturbedMs(40, null)).toBe(40);
});

test('a curve has the CPU times of disturbed batches, in the same proportions', () => {
  const curve = new LatencyCurve(1, 10, 200);
  for (let i = 0; i < 21; i++) curve.record(1, { preprocessMs: 20, inferMs: 19, postprocessMs: 1 }, 10);

  expect(curve.points()).toEqual([{ batchSize: 1, p50Ms: 10, p95Ms: 10, preprocessMs: 5 }]);
});
