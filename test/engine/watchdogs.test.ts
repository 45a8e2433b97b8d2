/** A worker is killed when its run takes too long, not when the server was too busy to read its answer. */
import { jest } from '@jest/globals';
import { Watchdogs } from '#src/engine/watchdogs.js';
import type { WorkerProcess } from '#src/engine/worker-process.js';

/** Only what a watchdog uses. */
function workerThatCounts(): { worker: WorkerProcess; kills: () => number } {
  let kills = 0;
  return { worker: { kill: () => kills++ } as unknown as WorkerProcess, kills: () => kills };
}

beforeEach(() => {
  jest.useFakeTimers();
});
afterEach(() => {
  jest.useRealTimers();
});

test('a run that takes too long ends its worker', () => {
  const { worker, kills } = workerThatCounts();
  new Watchdogs().set(worker, 1_000);

  jest.advanceTimersByTime(999);
  expect(kills()).toBe(0);
  jest.advanceTimersByTime(1);
  expect(kills()).toBe(1);
});

test('a timer that is late because the server was busy gives the worker the same time again', () => {
  const { worker, kills } = workerThatCounts();
  new Watchdogs().set(worker, 1_000);

  // The clock goes on while no timer can run.
  const now = performance.now();
  const late = jest.spyOn(performance, 'now').mockReturnValue(now + 6_500);
  jest.advanceTimersByTime(1_000);
  expect(kills()).toBe(0);
  late.mockReturnValue(now + 7_500);
  jest.advanceTimersByTime(1_000);
  late.mockRestore();

  expect(kills()).toBe(1);
});
