/** What the engine tells the meter of a caller: predictions before inputs are queued, and what they took after. */
import { jest } from '@jest/globals';
import type { ComputeMeter } from '#src/engine/queue.js';
import {
  blockOf,
  CRASHES,
  inVirtualTime,
  Simulation,
  settled,
  settledRows,
  simulatedConnection,
} from '../support/simulation.js';

beforeEach(() => {
  jest.useFakeTimers({ doNotFake: ['nextTick', 'queueMicrotask'] });
});
afterEach(() => {
  jest.useRealTimers();
});

async function start(): Promise<Simulation> {
  const simulation = new Simulation({ workers: 1 });
  await inVirtualTime(simulation.engine.start());
  return simulation;
}

class TestMeter implements ComputeMeter {
  readonly unknownMs = 7;
  usedMs = 0;
  takes = 0;
  corrections = 0;
  refusal: Error | null = null;

  take(predictedMs: number): Error | null {
    if (this.refusal) return this.refusal;
    this.takes++;
    this.usedMs += predictedMs;
    return null;
  }

  correct(predictedMs: number, actualMs: number): void {
    this.corrections++;
    this.usedMs += actualMs - predictedMs;
  }
}

function metered() {
  const meter = new TestMeter();
  return { meter, connection: Object.assign(simulatedConnection('a'), { meter }) };
}

test('an answered input is corrected once, by what it took', async () => {
  const simulation = await start();
  const { meter, connection } = metered();
  await inVirtualTime(Promise.all([1, 2, 3].map((value) => settled(simulation.run(value, { connection })))));
  await inVirtualTime(settledRows(simulation.run(0, { item: blockOf([4, 5, 6]), connection }), 3));

  expect([meter.takes, meter.corrections]).toEqual([4, 4]);
  expect(meter.usedMs).toBeGreaterThanOrEqual(0);
  expect(meter.usedMs).toBeLessThan(4 * meter.unknownMs);
});

test('inputs whose client leaves while they are queued are given back', async () => {
  const simulation = await start();
  const { meter, connection } = metered();
  const runs = Array.from({ length: 20 }, (_, i) => settled(simulation.run(i, { connection })));
  expect(meter.usedMs).toBe(20 * meter.unknownMs);
  connection.close();
  await inVirtualTime(Promise.all(runs));

  expect(meter.usedMs).toBeCloseTo(0);
});

test('an input that runs is not given back, whether its client leaves or it ends its process', async () => {
  const simulation = await start();
  await inVirtualTime(settled(simulation.run(1)));
  const { meter, connection } = metered();
  const failed = await inVirtualTime(settled(simulation.run(CRASHES, { connection })));

  expect(failed).toMatch(/INFERENCE_FAILED/);
  expect(meter.usedMs).toBeGreaterThan(0);
});

test('an input that the meter refuses is not run', async () => {
  const simulation = await start();
  const { meter, connection } = metered();
  meter.refusal = new Error('used up');

  await expect(inVirtualTime(simulation.run(1, { connection }))).rejects.toThrow('used up');
  expect([simulation.engine.queueDepth, meter.corrections]).toEqual([0, 0]);
});
