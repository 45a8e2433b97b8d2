/** Latency curves are measured while nothing else is to be done, under a virtual clock. */
import { jest } from '@jest/globals';
import type { Measured } from '#src/engine/idle-measurements.js';
import type { LatencyPoint } from '#src/engine/latency-curve.js';
import type { EngineVersion } from '#src/engine/messages.js';
import { inVirtualTime, Simulation, settled, simulatedVersion } from '../support/simulation.js';
import { readyWorkers } from '../support/workers.js';

beforeEach(() => {
  jest.useFakeTimers({ doNotFake: ['nextTick', 'queueMicrotask'] });
});
afterEach(() => {
  jest.useRealTimers();
});

/** The value in the example of a version, by which its measuring runs are recognized; other inputs have other values. */
const EXAMPLE = 1;
const OTHER = 5;

/** What the catalog keeps in a server. */
class Records {
  readonly curves = new Map<string, readonly LatencyPoint[]>();

  /** The next reads that fail. */
  unreadable = 0;

  async find({ key }: EngineVersion) {
    if (this.unreadable-- > 0) throw new Error('the catalog took too long');
    return this.curves.get(key) ?? null;
  }

  async save({ key }: EngineVersion, _provider: string, { points }: Measured) {
    this.curves.set(key, points);
  }

  sizesOf(key: string): number[] | undefined {
    return this.curves.get(key)?.map(({ batchSize }) => batchSize);
  }
}

async function start(options: { workers?: number; msPerRow?: number; records?: Records } = {}) {
  const { workers = 1, msPerRow = 1, records = new Records() } = options;
  const simulation = new Simulation({ workers, runMs: (values) => values.length * msPerRow, latencies: records });
  await inVirtualTime(simulation.engine.start());
  return { simulation, records };
}

/** The sizes of the measuring runs so far. The first run of a load is its warm-up. */
const measuredRuns = ({ runs }: Simulation) => runs.filter(([value]) => value === EXAMPLE).map(({ length }) => length);

/** Batches in the workers that measure. */
const outstanding = ({ engine }: Simulation) =>
  engine.workers.flatMap(({ batches }) => batches).filter(({ isMeasurement }) => isMeasurement);

async function pass(ms: number): Promise<void> {
  await jest.advanceTimersByTimeAsync(ms);
}

test('a loaded version is measured once the engine has been idle for a second, and only once', async () => {
  const { simulation, records } = await start({ workers: 2 });
  await inVirtualTime(simulation.engine.preload(simulatedVersion('v', 8)));
  await inVirtualTime(settled(simulation.run(OTHER, { version: simulatedVersion('v', 8) })));

  await pass(900);
  expect(outstanding(simulation)).toEqual([]);
  await pass(10_000);
  const runs = simulation.runs.length;
  await pass(60_000);

  expect(records.sizesOf('v')).toEqual([1, 2, 4, 8]);
  expect(measuredRuns(simulation).filter((size) => size === 8)).toHaveLength(21);
  expect(simulation.runs).toHaveLength(runs);
});

test('a curve that was stored is not measured again, and predicts the first inputs', async () => {
  const records = new Records();
  const point = (batchSize: number) => ({ batchSize, p50Ms: 40 * batchSize, p95Ms: 50 * batchSize, preprocessMs: 0 });
  records.curves.set('v', [1, 2, 4].map(point));
  const { simulation } = await start({ msPerRow: 40, records });
  const version = simulatedVersion('v', 4);
  await inVirtualTime(simulation.engine.preload(version));
  await pass(60_000);
  const warmUps = measuredRuns(simulation);

  const first = settled(simulation.run(OTHER, { version }));
  await pass(10);
  const tooLate = await settled(simulation.run(OTHER, { version, deadlineMs: 20 }));

  expect(new Set(warmUps)).toEqual(new Set([1]));
  expect(warmUps.length).toBeLessThanOrEqual(2);
  expect(tooLate).toMatch(/DEADLINE_EXCEEDED|OVERLOADED/);
  expect(await inVirtualTime(first)).toBe(2 * OTHER + 1);
});

test('a version whose curve could not be read is looked up again at its next load', async () => {
  const { simulation, records } = await start();
  const version = simulatedVersion('v', 4);
  records.unreadable = 1;
  await inVirtualTime(simulation.engine.preload(version));
  await pass(60_000);
  const afterFailure = records.sizesOf('v');

  await inVirtualTime(simulation.engine.unload((key) => key === 'v'));
  await inVirtualTime(simulation.engine.preload(version));
  await pass(60_000);

  expect(afterFailure).toBeUndefined();
  expect(records.sizesOf('v')).toEqual([1, 2, 4]);
});

test('at most one measuring batch is in the engine, none while an input waits, and none follows an input', async () => {
  const { simulation } = await start({ workers: 2, msPerRow: 10 });
  const versions = ['a', 'b', 'c'].map((key) => simulatedVersion(key, 8));
  for (const version of versions) await inVirtualTime(simulation.engine.preload(version));
  const answers: Promise<number | string>[] = [];
  let most = 0;
  for (let step = 0; step < 4_000; step++) {
    // Inputs come in groups, at moments that fall before, into and after measuring batches.
    if (step % 161 === 0) {
      const before = measuredRuns(simulation).length + outstanding(simulation).length;
      answers.push(...versions.map((version) => settled(simulation.run(OTHER, { version }))));
      await pass(500);
      expect(measuredRuns(simulation).length).toBeLessThanOrEqual(before);
    }
    await pass(5);
    most = Math.max(most, outstanding(simulation).length);
    if (simulation.engine.queueDepth > 0) expect(outstanding(simulation).length).toBeLessThanOrEqual(1);
  }

  expect(most).toBe(1);
  expect(new Set(await inVirtualTime(Promise.all(answers)))).toEqual(new Set([2 * OTHER + 1]));
});

test('nothing is measured while a worker runs a batch and inputs wait, although none has arrived for a second', async () => {
  const records = new Records();
  const LONG = 7;
  const runMs = (values: readonly number[]) => (values.includes(LONG) ? 3_000 : values.length);
  const simulation = new Simulation({ workers: 2, runMs, latencies: records });
  await inVirtualTime(simulation.engine.start());
  const [measured, busy] = [simulatedVersion('v', 8), simulatedVersion('busy', 1)];
  for (const version of [measured, busy]) await inVirtualTime(simulation.engine.preload(version));
  const answers = Promise.all(Array.from({ length: 3 }, () => settled(simulation.run(LONG, { version: busy }))));
  await pass(100);
  const before = measuredRuns(simulation).length;
  let most = 0;
  for (let step = 0; step < 50; step++) {
    await pass(50);
    most = Math.max(most, outstanding(simulation).length);
  }

  expect(most).toBe(0);
  expect(measuredRuns(simulation)).toHaveLength(before);
  expect(await inVirtualTime(answers)).toEqual(Array(3).fill(2 * LONG + 1));
  await pass(60_000);
  expect(records.sizesOf('v')).toEqual([1, 2, 4, 8]);
});

test('a worker that is killed in the middle of a measurement does not end it', async () => {
  const { simulation, records } = await start({ msPerRow: 10 });
  await inVirtualTime(simulation.engine.preload(simulatedVersion('v', 8)));
  for (let kills = 0; kills < 3; ) {
    await pass(5);
    const [worker] = readyWorkers(simulation.engine).filter(({ batches }) => batches.length > 0);
    const child = simulation.living.find(({ pid }) => pid === worker?.pid);
    if (child) kills++;
    child?.die('SIGKILL');
  }
  await pass(60_000);

  expect(records.sizesOf('v')).toEqual([1, 2, 4, 8]);
  expect(await inVirtualTime(settled(simulation.run(OTHER, { version: simulatedVersion('v', 8) })))).toBe(
    2 * OTHER + 1,
  );
});

test.each(['crashes', 'never ends'])('a size whose batch %s is left out, with all larger ones', async (how) => {
  const records = new Records();
  const simulation: Simulation = new Simulation({
    workers: 1,
    latencies: records,
    runMs: ({ length }) => {
      if (length < 4) return length;
      const [worker] = readyWorkers(simulation.engine);
      if (how === 'crashes') simulation.children.find(({ pid }) => pid === worker?.pid)?.die('SIGSEGV');
      return Number.POSITIVE_INFINITY;
    },
  });
  await inVirtualTime(simulation.engine.start());
  const version = simulatedVersion('v', 8);
  await inVirtualTime(simulation.engine.preload(version));
  await pass(60_000);

  expect(records.sizesOf('v')).toEqual([1, 2]);
  expect(simulation.engine.workers.filter(({ purpose }) => purpose === 'quarantine')).toEqual([]);
  expect(await inVirtualTime(settled(simulation.run(OTHER, { version })))).toBe(2 * OTHER + 1);
});

test('a version that is released during its measurement is measured to the end when it is loaded again', async () => {
  const { simulation, records } = await start({ msPerRow: 10 });
  const version = simulatedVersion('v', 4);
  await inVirtualTime(simulation.engine.preload(version));
  while (outstanding(simulation).length === 0) await pass(5);
  await inVirtualTime(simulation.engine.unload(() => true));
  const before = measuredRuns(simulation).length;
  await pass(60_000);
  const whileReleased = measuredRuns(simulation).length;

  await inVirtualTime(simulation.engine.load(version));
  await pass(60_000);

  expect(whileReleased).toBe(before);
  expect(records.sizesOf('v')).toEqual([1, 2, 4]);
  expect(measuredRuns(simulation).filter((size) => size === 4).length).toBe(21);
});

test('the engine stops during a measurement, and nothing is stored', async () => {
  const { simulation, records } = await start({ msPerRow: 10 });
  await inVirtualTime(simulation.engine.preload(simulatedVersion('v', 8)));
  while (outstanding(simulation).length === 0) await pass(5);

  await inVirtualTime(simulation.engine.stop(0));
  await pass(60_000);

  expect([...records.curves]).toEqual([]);
  expect(simulation.living).toEqual([]);
});

test('a version that takes longer than 200 ms is not run for a measurement', async () => {
  const { simulation, records } = await start({ msPerRow: 500 });
  await inVirtualTime(simulation.engine.preload(simulatedVersion('v', 8)));
  const warmUps = measuredRuns(simulation).length;
  await pass(60_000);

  // The spare has loaded it meanwhile, with two runs.
  expect(measuredRuns(simulation).length).toBeLessThanOrEqual(warmUps + 2);
  expect(records.curves.get('v')).toEqual([{ batchSize: 1, p50Ms: 500, p95Ms: 500, preprocessMs: 0 }]);
});

test('what other processes take of the processors is not part of a curve', async () => {
  const { simulation, records } = await start({ msPerRow: 10 });
  simulation.slowdown = 4;
  await inVirtualTime(simulation.engine.preload(simulatedVersion('v', 4)));
  await pass(60_000);

  expect(records.curves.get('v')?.map(({ batchSize, p50Ms, p95Ms }) => [batchSize, p50Ms, p95Ms])).toEqual([
    [1, 10, 10],
    [2, 20, 20],
    [4, 40, 40],
  ]);
});

test('a version whose warm-up was slowed down by other processes is measured', async () => {
  const { simulation, records } = await start({ msPerRow: 60 });
  simulation.slowdown = 4;
  await inVirtualTime(simulation.engine.preload(simulatedVersion('v', 1)));
  await pass(60_000);

  expect(measuredRuns(simulation).length).toBeGreaterThanOrEqual(20);
  expect(records.curves.get('v')).toMatchObject([{ batchSize: 1, p50Ms: 60, p95Ms: 60 }]);
});
