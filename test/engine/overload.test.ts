/** Sustained overload by several callers, with runs whose duration varies, under a virtual clock. */
import { jest } from '@jest/globals';
import { FairQueue } from '#src/engine/fair-queue.js';
import type { ScheduledVersion } from '#src/engine/schedule.js';
import { ServedVersions } from '#src/engine/served-versions.js';
import { MAX_VERSION_RECORDS } from '#src/engine/version-records.js';
import { pick, seeded } from '../support/seeded-random.js';
import { inVirtualTime, Simulation, settled, simulatedConnection, simulatedVersion } from '../support/simulation.js';

const CALLERS = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'];
const DEADLINE_MS = 1_000;
const OVERLOAD_MS = 8_000;

beforeEach(() => {
  jest.useFakeTimers({ doNotFake: ['nextTick', 'queueMicrotask'] });
});
afterEach(() => {
  jest.useRealTimers();
});

/** What became of Poisson arrivals at `factor` times the rate at which one worker answers. */
async function overload(runMs: number, factor: number, seed: number) {
  const random = seeded(seed);
  let ranMs = 0;
  const simulation = new Simulation({
    workers: 1,
    runMs: () => {
      const ms = runMs * (0.85 + 0.3 * random()) * (random() < 0.02 ? 3 : 1);
      ranMs += ms;
      return ms;
    },
  });
  await inVirtualTime(simulation.engine.start());
  const version = simulatedVersion('slow', 1);
  for (let i = 0; i < 4; i++) await inVirtualTime(settled(simulation.run(1, { version })));
  const outcomes: Promise<'answered' | 'refused' | 'late'>[] = [];
  const begun = performance.now();
  ranMs = 0;
  const gap = () => (-Math.log(1 - random()) * runMs) / factor;
  for (let due = begun; due < begun + OVERLOAD_MS; due += gap()) {
    await jest.advanceTimersByTimeAsync(Math.max(0, due - performance.now()));
    const sentAt = performance.now();
    outcomes.push(
      settled(simulation.run(1, { version, caller: pick(random, CALLERS), deadlineMs: DEADLINE_MS })).then((answer) => {
        if (typeof answer === 'number') return 'answered';
        return performance.now() === sentAt ? 'refused' : 'late';
      }),
    );
  }
  const busy = ranMs / (performance.now() - begun);
  const leftMs = simulation.engine.queueDepth * runMs;
  const all = await inVirtualTime(Promise.all(outcomes));
  const countOf = (kind: string) => all.filter((one) => one === kind).length;
  return { busy, leftMs, answered: countOf('answered'), late: countOf('late'), refused: countOf('refused') };
}

test.each([
  [30, 10, 1],
  [30, 10, 2],
  [5, 3, 3],
  [5, 3, 4],
  [30, 1.3, 5],
])(
  'a %i ms model with %d times the load answers nearly all that it accepts, keeps busy and keeps its queue short (seed %i)',
  async (runMs, factor, seed) => {
    const { busy, leftMs, answered, late, refused } = await overload(runMs, factor, seed);

    expect(late).toBeLessThanOrEqual(0.005 * (answered + late));
    expect(busy).toBeGreaterThanOrEqual(0.95);
    expect(refused).toBeGreaterThan(0);
    expect(leftMs).toBeLessThanOrEqual(400);
  },
);

const MB = 1e6;
const sized = (key: string, megabytes: number) => ({ ...simulatedVersion(key, 1), artifactBytes: megabytes * MB });

test('a dispatch asks once for each version that has a worker, however many others wait to be loaded', async () => {
  const simulation = new Simulation({ workers: 1, runMs: () => 50 });
  await inVirtualTime(simulation.engine.start());
  const version = sized('big', 800);
  await inVirtualTime(settled(simulation.run(1, { version })));
  const waiting = Array.from({ length: 200 }, (_, i) =>
    settled(simulation.run(i, { version: sized(`cold ${i}`, 300), caller: `caller ${i}` })),
  );
  const turns = jest.spyOn(FairQueue.prototype, 'next');

  await jest.advanceTimersByTimeAsync(1);
  const asked = turns.mock.calls.length;
  turns.mockRestore();
  await inVirtualTime(simulation.engine.stop(0));

  expect(asked).toBeGreaterThan(0);
  expect(asked).toBeLessThanOrEqual(20);
  expect(await Promise.all(waiting)).toHaveLength(200);
});

test('a version is loaded as soon as nobody waits any more for the one that was kept in memory', async () => {
  // A load runs the example, which is 1.
  const simulation = new Simulation({ workers: 1, runMs: ([value]) => (value === 1 ? 0 : 3_000) });
  await inVirtualTime(simulation.engine.start());
  const [busy, kept, large] = [sized('busy', 100), sized('kept', 100), sized('large', 900)];
  const stateOf = ({ key }: { key: string }) => simulation.engine.servingStatus(key).servingState;
  for (let i = 0; i < 3; i++) await inVirtualTime(settled(simulation.run(2, { version: busy })));
  const connection = simulatedConnection('leaves');
  // The worker loads `kept` between two runs of `busy`.
  const answers = [settled(simulation.run(2, { version: busy })), settled(simulation.run(3, { version: busy }))];
  await jest.advanceTimersByTimeAsync(10);
  answers.push(settled(simulation.run(4, { version: kept, connection })));
  await jest.advanceTimersByTimeAsync(3_500);
  expect([stateOf(kept), stateOf(large)]).toEqual(['WARM', 'COLD']);
  answers.push(settled(simulation.run(5, { version: large, deadlineMs: 60_000 })));
  await jest.advanceTimersByTimeAsync(10);
  expect(stateOf(large)).toBe('COLD');

  connection.close();
  await jest.advanceTimersByTimeAsync(1);

  expect(stateOf(large)).toBe('LOADING');
  expect(await inVirtualTime(Promise.all(answers))).toEqual([5, 7, expect.stringContaining('disconnected'), 11]);
});

test('versions that are not in use are forgotten when thousands are known, those measured longest ago first', () => {
  const served = new ServedVersions(() => new Set(['in use']));
  const measurement = {
    estimated: { rows: 1, work: 1, preprocessingWork: 0 },
    runWork: 1,
    preprocessMs: 0,
    inferMs: 1,
  };
  const measured = { ...measurement, postprocessMs: 0, occupiedMs: 1, wasLoaded: true, isMeasurement: false };
  for (const key of ['in use', 'running', 'old', 'recent']) served.of(simulatedVersion(key));
  (served.get('running') as ScheduledVersion).running = 1;
  served.get('old')?.latency.record(measured, 1);
  served.get('recent')?.latency.record(measured, 2_000);

  for (let i = 0; i < 3 * MAX_VERSION_RECORDS; i++) {
    served.of(simulatedVersion(`v${i}`)).latency.record(measured, 1_000);
    expect(served.size).toBeLessThanOrEqual(MAX_VERSION_RECORDS);
  }

  expect(['in use', 'running', 'old', 'recent'].map((key) => served.get(key) !== undefined)).toEqual([
    true,
    true,
    false,
    true,
  ]);
});
