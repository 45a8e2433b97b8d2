/** Sustained overload by several callers, with runs whose duration varies, under a virtual clock. */
import { jest } from '@jest/globals';
import { pick, seeded } from '../support/seeded-random.js';
import { inVirtualTime, Simulation, settled, simulatedVersion } from '../support/simulation.js';

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
