/** The decisions about workers. */
import { CircuitBreaker, OPEN_MS } from '#src/engine/circuit-breaker.js';
import { PoisonInputs } from '#src/engine/poison-inputs.js';
import {
  chooseRecovery,
  countFailedStarts,
  decideRecycling,
  exitCauseOf,
  expectedWaitMs,
  type LifecycleEvent,
  type LifecycleState,
  MAX_WORKER_AGE_MS,
  msUntilNextBatch,
  nextState,
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
  expect(exitCauseOf(signal, endedByUs)).toBe(cause);
});

test('the running batch of a crashed or stuck worker is retried one by one', () => {
  expect(chooseRecovery('crashed', true, 0)).toBe('quarantine');
  expect(chooseRecovery('watchdog', true, 0)).toBe('quarantine');
});

test('a prepared batch, and one whose worker was killed from outside, is retried whole, three times', () => {
  expect(chooseRecovery('crashed', false, 0)).toBe('requeue');
  expect(chooseRecovery('killed', true, 2)).toBe('requeue');
  expect(chooseRecovery('killed', true, 3)).toBe('fail');
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

test('a worker goes through its states by these events, and by no others', () => {
  const states: LifecycleState[] = ['STARTING', 'READY', 'BUSY', 'DRAINING', 'STOPPING', 'EXITED'];
  const events: LifecycleEvent[] = ['ready', 'assigned', 'idle', 'retired', 'killed', 'exited'];
  const attempt = (state: LifecycleState, event: LifecycleEvent) => {
    try {
      return nextState(state, event);
    } catch {
      return '-';
    }
  };

  const table = states.map((state) => [state, ...events.map((event) => attempt(state, event))].join(' '));

  expect(table).toEqual([
    'STARTING READY - - STOPPING STOPPING EXITED',
    'READY - BUSY - STOPPING STOPPING EXITED',
    'BUSY - BUSY READY DRAINING STOPPING EXITED',
    'DRAINING - - STOPPING DRAINING STOPPING EXITED',
    'STOPPING STOPPING - STOPPING STOPPING STOPPING EXITED',
    'EXITED - - - EXITED EXITED -',
  ]);
});

test('a worker is kept, retired when it is old or large, and killed beyond its limit', () => {
  expect(decideRecycling(0, 700, 1_000)).toBe('keep');
  expect(decideRecycling(0, 801, 1_000)).toBe('retire');
  expect(decideRecycling(MAX_WORKER_AGE_MS + 1, 1, 1_000)).toBe('retire');
  expect(decideRecycling(0, 1_001, 1_000)).toBe('kill');
  expect(decideRecycling(0, null, 1_000)).toBe('keep');
});

test('starts that fail count up, those that somebody kills only to two, and work counts as none', () => {
  expect(countFailedStarts(4, false, 'crashed')).toBe(5);
  expect(countFailedStarts(4, false, 'killed')).toBe(2);
  expect(countFailedStarts(4, true, 'crashed')).toBe(0);
});

test('three convictions in ten minutes confine a caller on that version, until they are ten minutes old', () => {
  const offenders = new PoisonInputs();
  for (const at of [0, 1_000, 2_000]) offenders.recordStrike('a', 'v', `digest ${at}`, 'it crashed', at);

  expect(offenders.isConfined('a', 'v', 3_000)).toBe(true);
  expect(offenders.isConfined('a', 'w', 3_000)).toBe(false);
  expect(offenders.isConfined('b', 'v', 3_000)).toBe(false);
  expect(offenders.isConfined('a', 'v', 600_001)).toBe(false);
  expect(offenders.reasonToRefuse('digest 0', 'v', 3_000)).toBe('it crashed');
  expect(offenders.reasonToRefuse('digest 0', 'w', 3_000)).toBeNull();
  expect(offenders.reasonToRefuse('digest 0', 'v', 600_001)).toBeNull();
});

test('what is kept of offenders does not grow with their number', () => {
  const offenders = new PoisonInputs();
  for (let i = 0; i < 10_001; i++) offenders.recordStrike(`caller ${i}`, 'v', `digest ${i}`, 'it crashed', i);

  expect(offenders.reasonToRefuse('digest 0', 'v', 10_001)).toBeNull();
  expect(offenders.reasonToRefuse('digest 1', 'v', 10_001)).toBe('it crashed');
});

test('a version is judged after three convictions in a minute, once, and again half a minute after it failed', () => {
  const circuit = new CircuitBreaker();

  expect([0, 61_000, 62_000].map((now) => circuit.recordStrike(now))).toEqual([false, false, false]);
  expect([63_000, 64_000].map((now) => circuit.recordStrike(now))).toEqual([true, false]);
  circuit.recordTrialFailed('it crashed', 65_000);
  expect(circuit.refusal(65_000)).toEqual({ reason: 'it crashed', retryAfterMs: OPEN_MS });
  expect([65_001, 65_000 + OPEN_MS, 66_000 + OPEN_MS].map((now) => circuit.isTrialDue(now))).toEqual([
    false,
    true,
    false,
  ]);
  expect(circuit.refusal(66_000 + OPEN_MS)?.retryAfterMs).toBe(1_000);
  circuit.recordTrialPassed();
  expect(circuit.refusal(67_000 + OPEN_MS)).toBeNull();
});
