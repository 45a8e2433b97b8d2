/** How many inputs a message to a worker may hold. */
import { VersionLatency } from '#src/engine/latency.js';
import type { EngineVersion } from '#src/engine/messages.js';
import { limitsOfNextBatch } from '#src/engine/schedule.js';
import { simulatedVersion } from '../support/simulation.js';

function limitsOf(version: EngineVersion, inferMs: number | null, maxMs = 200) {
  const latency = new VersionLatency();
  const [estimated, common] = [
    { rows: 8, work: 8, preprocessingWork: 0 },
    { runWork: 8, preprocessMs: 0, postprocessMs: 0, wasLoaded: true, isMeasurement: false },
  ];
  if (inferMs !== null)
    for (let i = 0; i < 3; i++) latency.record({ estimated, ...common, inferMs, occupiedMs: inferMs }, i);
  return limitsOfNextBatch({ version, latency, running: 0, blockedSince: null, overload: null }, maxMs, 0);
}

const ALONE = simulatedVersion('v', 1);

test('inputs of a graph that does not batch share a message if they are expected to run for 2 ms', () => {
  expect(limitsOf(ALONE, 0.25)).toMatchObject({ rows: 64, work: 64 });
  expect(limitsOf(ALONE, 1)).toMatchObject({ rows: 64, work: 16 });
});

test('they do not if they take longer, if less time is left, or if nothing is known', () => {
  expect(limitsOf(ALONE, 5).work).toBe(0);
  expect(limitsOf(ALONE, 1, 0.5).work).toBe(0);
  expect(limitsOf(ALONE, null).rows).toBe(1);
});

test('those of a graph that batches are as many as may raise throughput, and strings come one by one', () => {
  const { spec } = ALONE;
  const strings = { ...spec, inputs: [{ name: 'x', datatype: 'BYTES', shape: [null] }] };

  expect(limitsOf(simulatedVersion('v', 32), 0.25).rows).toBe(32);
  expect(limitsOf({ ...ALONE, spec: strings }, 0.25).rows).toBe(1);
});

/** The rows that a batch may have, after runs of so many rows that took so many milliseconds each. */
function rowsAfter(
  runs: readonly (readonly [rows: number, ms: number])[],
  now: number,
  seeds: readonly (readonly [number, number])[] = [],
) {
  const version = simulatedVersion('v', 128);
  const latency = new VersionLatency();
  for (const [batchSize, p50Ms] of seeds)
    latency.seed(
      { rows: batchSize, work: batchSize, preprocessingWork: 0 },
      { batchSize, p50Ms, p95Ms: p50Ms, preprocessMs: 0 },
    );
  const common = { preprocessMs: 0, postprocessMs: 0, wasLoaded: true, isMeasurement: false };
  for (const [rows, ms] of runs)
    for (let i = 0; i < 3; i++)
      latency.record(
        {
          estimated: { rows, work: rows, preprocessingWork: 0 },
          runWork: rows,
          inferMs: ms,
          occupiedMs: ms,
          ...common,
        },
        0,
      );
  const served = { version, latency, running: 0, blockedSince: null, overload: null };
  const { rows, work } = limitsOfNextBatch(served, 200, now);
  return Math.min(rows, work);
}

const CLIFF = [
  [1, 1],
  [8, 2],
  [32, 4],
  [64, 8],
  [128, 40],
] as const;

test('a batch is not larger than the smallest that reaches 97 % of the highest throughput', () => {
  expect(rowsAfter(CLIFF, 1)).toBe(32);
});

test('a graph whose runs take as long as their rows one by one gets single rows', () => {
  expect(
    rowsAfter(
      [
        [1, 5],
        [2, 10],
        [4, 20],
      ],
      1,
    ),
  ).toBe(1);
});

test('while no larger batches are known, there is no limit', () => {
  const flat = [
    [1, 1],
    [2, 1],
    [4, 1],
  ] as const;

  expect(rowsAfter(flat, 1)).toBe(128);
  expect(rowsAfter([[1, 1]], 1)).toBe(128);
});

test('there is no limit once in 10 s, so that larger sizes are measured again', () => {
  expect(rowsAfter(CLIFF, 9_999)).toBe(32);
  expect(rowsAfter(CLIFF, 10_001)).toBe(128);
});

test('what was measured while the server was idle is corrected by what runs take', () => {
  expect(rowsAfter([], 1, CLIFF)).toBe(128);
  expect(rowsAfter([[64, 8]], 1, CLIFF)).toBe(32);
  expect(
    rowsAfter(
      [
        [32, 40],
        [64, 8],
      ],
      1,
      CLIFF,
    ),
  ).toBe(128);
});

test('inputs of other lengths do not keep batches small', () => {
  const version = simulatedVersion('v', 128);
  const latency = new VersionLatency();
  const common = { preprocessMs: 0, postprocessMs: 0, wasLoaded: true, isMeasurement: false };
  const run = (rows: number, work: number, ms: number, now: number) =>
    latency.record(
      { estimated: { rows, work, preprocessingWork: 0 }, runWork: work, inferMs: ms, occupiedMs: ms, ...common },
      now,
    );
  const rowsNow = (now: number) =>
    limitsOfNextBatch({ version, latency, running: 0, blockedSince: null, overload: null }, 200, now).rows;
  // A short text alone on an idle machine is faster, per token, than long ones on a busy machine.
  for (const [rows, ms] of [
    [1, 0.1],
    [2, 0.1],
  ] as const)
    latency.seed(
      { rows, work: 54 * rows, preprocessingWork: 0 },
      { batchSize: rows, p50Ms: ms, p95Ms: ms, preprocessMs: 0 },
    );
  for (let i = 0; i < 3; i++) run(32, 32 * 172, 8, i);

  const sizes: number[] = [];
  for (let now = 10; now < 200; now++) {
    const rows = rowsNow(now);
    sizes.push(rows);
    run(rows, 172 * rows, 1 + (172 * rows) / 800, now);
  }

  expect(sizes[0]).toBeLessThan(8);
  expect(sizes.at(-1)).toBeGreaterThanOrEqual(32);
});
