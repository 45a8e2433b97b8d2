/** The pure decisions of supervision, and the rules for poison inputs and circuit breakers. */
import { CircuitBreaker, OPEN_MS } from '#src/engine/circuit-breaker.js';
import { PoisonInputs } from '#src/engine/poison-inputs.js';
import {
  chooseRecovery,
  countFailedStarts,
  decideRecycling,
  exitCauseOf,
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
] as const)('an exit by signal %s with kill reason %s has the cause "%s"', (signal, killReason, cause) => {
  expect(exitCauseOf(signal, killReason)).toBe(cause);
});

test('the running batch of a crashed or hanging worker goes to quarantine', () => {
  expect(chooseRecovery('crashed', true, 0)).toBe('quarantine');
  expect(chooseRecovery('watchdog', true, 0)).toBe('quarantine');
});

test('a batch that had not started, or whose worker was killed from outside, is requeued up to three times', () => {
  expect(chooseRecovery('crashed', false, 0)).toBe('requeue');
  expect(chooseRecovery('killed', true, 2)).toBe('requeue');
  expect(chooseRecovery('killed', true, 3)).toBe('fail');
});

test('restarts are immediate at first and then back off exponentially up to 5 s', () => {
  expect([0, 1, 2, 3, 4, 20].map(restartDelayMs)).toEqual([0, 0, 100, 200, 400, 5_000]);
});

test('the watchdog allows ten times the expected time, at least 1 s, at most maxRunMs', () => {
  expect(watchdogMs(1, 60_000)).toBe(1_000);
  expect(watchdogMs(500, 60_000)).toBe(5_000);
  expect(watchdogMs(50_000, 60_000)).toBe(60_000);
  expect(watchdogMs(null, 60_000)).toBe(60_000);
});

test('the next batch is due when its preprocessing can finish together with the running batch', () => {
  expect(msUntilNextBatch(0, 100, 10, 0)).toBe(88);
  expect(msUntilNextBatch(0, 100, 10, 95)).toBe(0);
  expect(msUntilNextBatch(null, 100, 10, 0)).toBe(Number.POSITIVE_INFINITY);
});

test('each lifecycle state accepts exactly these events', () => {
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

test('a worker retires when it is old or large, and is killed above its memory limit', () => {
  const use = { ageMs: 0, dataBytes: 700, versionBytes: 0, isLoading: false };

  expect(decideRecycling(use, 1_000)).toBe('keep');
  expect(decideRecycling({ ...use, dataBytes: 801 }, 1_000)).toBe('retire');
  expect(decideRecycling({ ...use, ageMs: MAX_WORKER_AGE_MS + 1 }, 1_000)).toBe('retire');
  expect(decideRecycling({ ...use, dataBytes: 1_001 }, 1_000)).toBe('kill');
  expect(decideRecycling({ ...use, dataBytes: null }, 1_000)).toBe('keep');
});

test('a worker is not too large because of its versions, nor because of the peak of a load', () => {
  const full = { ageMs: 0, dataBytes: 850, versionBytes: 700, isLoading: false };

  expect(decideRecycling(full, 1_000)).toBe('keep');
  expect(decideRecycling({ ...full, dataBytes: 950 }, 1_000)).toBe('retire');
  expect(decideRecycling({ ...full, dataBytes: 950, isLoading: true }, 1_000)).toBe('keep');
});

test('failed starts add up, external kills count at most 2, and a worker that did work resets the count', () => {
  expect(countFailedStarts(4, false, 'crashed')).toBe(5);
  expect(countFailedStarts(4, false, 'killed')).toBe(2);
  expect(countFailedStarts(4, true, 'crashed')).toBe(0);
});

test('three strikes within 10 minutes confine a caller on one version until the strikes expire', () => {
  const poisonInputs = new PoisonInputs();
  for (const at of [0, 1_000, 2_000]) poisonInputs.recordPoisonInput('a', 'v', `digest ${at}`, 'it crashed', at);

  expect(poisonInputs.isConfined('a', 'v', 3_000)).toBe(true);
  expect(poisonInputs.isConfined('a', 'w', 3_000)).toBe(false);
  expect(poisonInputs.isConfined('b', 'v', 3_000)).toBe(false);
  expect(poisonInputs.isConfined('a', 'v', 600_001)).toBe(false);
  expect(poisonInputs.reasonToRefuse('digest 0', 'v', 3_000)).toBe('it crashed');
  expect(poisonInputs.reasonToRefuse('digest 0', 'w', 3_000)).toBeNull();
  expect(poisonInputs.reasonToRefuse('digest 0', 'v', 600_001)).toBeNull();
});

test('a version counts as having poison inputs until the last one is 10 minutes old, and no other version does', () => {
  const poisonInputs = new PoisonInputs();

  poisonInputs.recordPoisonInput('caller', 'v', 'digest', 'it crashed', 1_000);

  expect(poisonInputs.hasFor('v', 600_999)).toBe(true);
  expect(poisonInputs.hasFor('v', 601_000)).toBe(false);
  expect(poisonInputs.hasFor('w', 1_000)).toBe(false);
});

test('the number of remembered poison inputs is bounded', () => {
  const poisonInputs = new PoisonInputs();
  for (let i = 0; i < 10_001; i++) poisonInputs.recordPoisonInput(`caller ${i}`, 'v', `digest ${i}`, 'it crashed', i);

  expect(poisonInputs.reasonToRefuse('digest 0', 'v', 10_001)).toBeNull();
  expect(poisonInputs.reasonToRefuse('digest 1', 'v', 10_001)).toBe('it crashed');
});

test('a circuit breaker is idle, and may be forgotten, when it is closed and its strikes no longer count', () => {
  const breaker = new CircuitBreaker();
  breaker.recordStrike(0);
  expect([breaker.isIdle(59_999), breaker.isIdle(60_000)]).toEqual([false, true]);

  breaker.recordStrike(1);
  breaker.recordStrike(2);
  expect(breaker.isIdle(100_000)).toBe(false);
  breaker.recordTrialFailed('it crashes', 100_000);
  expect(breaker.isIdle(1_000_000)).toBe(false);
  breaker.recordTrialPassed();
  expect(breaker.isIdle(1_000_000)).toBe(true);
});

test('three strikes within 60 s start one trial, and a failed trial is repeated after 30 s', () => {
  const breaker = new CircuitBreaker();

  expect([0, 61_000, 62_000].map((now) => breaker.recordStrike(now))).toEqual([false, false, false]);
  expect([63_000, 64_000].map((now) => breaker.recordStrike(now))).toEqual([true, false]);
  breaker.recordTrialFailed('it crashed', 65_000);
  expect(breaker.refusal(65_000)).toEqual({ reason: 'it crashed', retryAfterMs: OPEN_MS });
  expect([65_001, 65_000 + OPEN_MS, 66_000 + OPEN_MS].map((now) => breaker.isTrialDue(now))).toEqual([
    false,
    true,
    false,
  ]);
  expect(breaker.refusal(66_000 + OPEN_MS)?.retryAfterMs).toBe(1_000);
  breaker.recordTrialPassed();
  expect(breaker.refusal(67_000 + OPEN_MS)).toBeNull();
});
