/** The decisions about workers. */
import {
  causeOfEnd,
  expectedWaitMs,
  fateOfEntry,
  msUntilNextBatch,
  restartDelayMs,
  watchdogMs,
} from '#src/engine/supervision.js';

test.each([
  ['SIGSEGV', null, 'crashed'],
  ['SIGFPE', null, 'crashed'],
  ['SIGABRT', null, 'crashed'],
  [null, null, 'crashed'],
  ['SIGKILL', null, 'killed'],
  ['SIGTERM', null, 'killed'],
  ['SIGKILL', 'watchdog', 'watchdog'],
  ['SIGKILL', 'stopped', 'stopped'],
] as const)('an end by %s (we: %s) counts as %s', (signal, endedByUs, cause) => {
  expect(causeOfEnd(signal, endedByUs)).toBe(cause);
});

test('the running batch of a crashed or stuck worker is retried one by one', () => {
  expect(fateOfEntry('crashed', true, 0)).toBe('retryAlone');
  expect(fateOfEntry('watchdog', true, 0)).toBe('retryAlone');
});

test('a prepared batch, and one whose worker was killed from outside, is retried whole, three times', () => {
  expect(fateOfEntry('crashed', false, 0)).toBe('retry');
  expect(fateOfEntry('killed', true, 2)).toBe('retry');
  expect(fateOfEntry('killed', true, 3)).toBe('giveUp');
});

test('a worker that had worked is replaced at once, one that dies at its start ever more slowly', () => {
  expect([0, 1, 2, 3, 4, 20].map(restartDelayMs)).toEqual([0, 0, 100, 200, 400, 5_000]);
});

test('the watchdog gives ten times the expected time, at least a second, at most what the version allows', () => {
  expect(watchdogMs(1, 60_000)).toBe(1_000);
  expect(watchdogMs(500, 60_000)).toBe(5_000);
  expect(watchdogMs(50_000, 60_000)).toBe(60_000);
  expect(watchdogMs(null, 60_000)).toBe(60_000);
});

test('the next batch is formed as late as the running one allows', () => {
  expect(msUntilNextBatch(0, 100, 10, 0)).toBe(88);
  expect(msUntilNextBatch(0, 100, 10, 95)).toBe(0);
  expect(msUntilNextBatch(null, 100, 10, 0)).toBe(Number.POSITIVE_INFINITY);
});

test('the expected wait follows what was measured, and nothing is promised before', () => {
  expect(expectedWaitMs(100, 2, 2)).toBe(100);
  expect(expectedWaitMs(100, null, 2)).toBeNull();
});
