/** What is let in, what is refused, and what is not computed any more: pure decisions, and the engine under a virtual clock. */
import { jest } from '@jest/globals';
import {
  type Arrival,
  decideAdmission,
  isOverloaded,
  MAX_QUEUED_BYTES,
  MAX_QUEUED_ROWS,
  overloadAfter,
} from '#src/engine/admission.js';
import { DurationsByWork, VersionLatency } from '#src/engine/latency.js';
import { OverloadedError } from '#src/errors.js';
import {
  inVirtualTime,
  itemOf,
  Simulation,
  settled,
  simulatedConnection,
  simulatedVersion,
} from '../support/simulation.js';

const arrival = (more: Partial<Arrival> = {}): Arrival => ({
  fairWaitMs: more.waitMs ?? 0,
  deadlineMs: 1_000,
  size: { rows: 1, bytes: 10 },
  queued: { rows: 5, bytes: 50 },
  ofCaller: { rows: 0, bytes: 0 },
  waitMs: 0,
  runMs: 10,
  aloneMs: 10,
  ageMs: 0,
  isIdle: false,
  isOverloaded: false,
  ...more,
});

test('an input that would be answered after its deadline is refused, with the time by which it is too late', () => {
  expect(decideAdmission(arrival({ waitMs: 800 }))).toBeNull();
  expect(decideAdmission(arrival({ waitMs: 2_000 }))).toEqual({ kind: 'overloaded', retryAfterMs: 1_310 });
  expect(decideAdmission(arrival({ waitMs: 1e9 }))).toEqual({ kind: 'overloaded', retryAfterMs: 60_000 });
});

test('a long wait is accepted only if the input is in time even when other callers use their whole shares', () => {
  expect(decideAdmission(arrival({ waitMs: 300, fairWaitMs: 2_000 }))).toBeNull();
  expect(decideAdmission(arrival({ waitMs: 500, fairWaitMs: 800 }))).toBeNull();
  expect(decideAdmission(arrival({ waitMs: 500, fairWaitMs: 2_000 }))).toMatchObject({ kind: 'overloaded' });
});

test('an overloaded version accepts short waits only: 400 ms, or two batches if these take longer', () => {
  const overloaded = { isOverloaded: true, deadlineMs: 10_000 };

  expect(decideAdmission(arrival({ ...overloaded, waitMs: 400 }))).toBeNull();
  expect(decideAdmission(arrival({ ...overloaded, waitMs: 700 }))).toEqual({ kind: 'overloaded', retryAfterMs: 300 });
  expect(decideAdmission(arrival({ ...overloaded, waitMs: 700, runMs: 500 }))).toBeNull();
});

test('a version is overloaded for a second after a refusal, for deadlines that are no longer than the refused one', () => {
  const first = overloadAfter(null, 1_000, 0);

  expect(isOverloaded(null, 1_000, 0)).toBe(false);
  expect([500, 1_000, 2_000].map((deadlineMs) => isOverloaded(first, deadlineMs, 900))).toEqual([true, true, false]);
  expect(isOverloaded(first, 1_000, 1_001)).toBe(false);
  expect(overloadAfter(first, 50, 900)).toEqual(first);
  expect(overloadAfter(first, 2_000, 900)).toEqual({ at: 900, deadlineMs: 2_000 });
  expect(overloadAfter(first, 50, 1_001)).toEqual({ at: 1_001, deadlineMs: 50 });
});

test('a duration that nothing has confirmed for a while is replaced by a run that takes less than half of it', () => {
  const [recent, old] = [new DurationsByWork(), new DurationsByWork()];
  for (const durations of [recent, old]) for (const ms of [1_600, 1_600, 1_600]) durations.record(8, ms);

  recent.record(8, 4, false);
  old.record(8, 1_000, true);
  const afterHalf = old.expectedMs(8);
  old.record(8, 4, true);

  expect(recent.expectedMs(8)).toBeGreaterThan(1_000);
  expect(afterHalf).toBeGreaterThan(1_000);
  expect(old.expectedMs(8)).toBe(4);
});

test('a refusal captures no stack, and other errors still do', () => {
  expect(new OverloadedError('v:1', 1, 100, 'its queue is full').stack).not.toMatch(/\n\s+at /);
  expect(new Error('another').stack).toMatch(/\n\s+at /);
});

test('a deadline shorter than a run is refused, unless the prediction is old and the version idle', () => {
  const tooShort = { deadlineMs: 5, aloneMs: 10 };

  expect(decideAdmission(arrival(tooShort))).toEqual({ kind: 'tooSlow' });
  expect(decideAdmission(arrival({ ...tooShort, ageMs: 60_000 }))).toEqual({ kind: 'tooSlow' });
  expect(decideAdmission(arrival({ ...tooShort, ageMs: 60_000, isIdle: true }))).toBeNull();
  expect(decideAdmission(arrival({ ...tooShort, aloneMs: null }))).toBeNull();
});

test.each([
  ['rows', MAX_QUEUED_ROWS],
  ['bytes', MAX_QUEUED_BYTES],
] as const)('one caller fills half of the queue in %s, and others still find room', (unit, limit) => {
  const use = (amount: number) => ({ rows: 1, bytes: 1, [unit]: amount });
  const half = limit / 2;

  expect(decideAdmission(arrival({ size: use(1), queued: use(half - 1), ofCaller: use(half - 1) }))).toBeNull();
  expect(decideAdmission(arrival({ size: use(2), queued: use(half), ofCaller: use(half) }))).toMatchObject({
    kind: 'full',
  });
  expect(decideAdmission(arrival({ size: use(2), queued: use(half), ofCaller: use(0) }))).toBeNull();
  expect(decideAdmission(arrival({ size: use(2), queued: use(limit - 1), ofCaller: use(0) }))).toMatchObject({
    kind: 'full',
  });
});

test('the first run of a size is not trusted, and a slow one is forgotten', () => {
  const durations = new DurationsByWork();
  durations.record(100, 5_000);
  expect(durations.expectedMs(100)).toBeNull();

  durations.record(100, 10);
  expect(durations.expectedMs(100)).toBe(10);
  expect(durations.expectedMs(1_000)).toBe(100);
  expect(durations.expectedMs(2)).toBe(10);
  expect(durations.workWithin(200)).toBe(2_000);
});

test('twice the largest size that was measured is tried, unless that could take too long', () => {
  const durations = new DurationsByWork();
  const measure = (work: number, ms: number) => {
    for (let i = 0; i < 2; i++) durations.record(work, ms);
  };
  measure(100, 150);
  expect([durations.workWithin(200), durations.workWithin(200, 299)]).toEqual(
    [133, 133].map((work) => expect.closeTo(work, 0)),
  );
  expect(durations.workWithin(200, 300)).toBe(200);

  measure(200, 160);
  expect(durations.workWithin(200, 400)).toBe(400);

  measure(400, 500);
  expect(durations.workWithin(200, 400)).toBe(250);
});

test('an item that is much larger than all that were measured is expected to take 16 times as long, not thousands of times', () => {
  const latency = new VersionLatency();
  for (let i = 0; i < 2; i++) {
    const estimated = { rows: 1, work: 100, preprocessingWork: 100 };
    const times = { preprocessMs: 2, inferMs: 3, postprocessMs: 0, occupiedMs: 5 };
    latency.record({ estimated, runWork: 100, ...times, wasLoaded: true, isMeasurement: false }, 0);
  }
  const limits = { rows: 64, work: 1_000_000, preprocessingWork: 1_000_000 };
  const large = { rows: 1, work: 1_000_000, preprocessingWork: 1_000_000 };

  expect(latency.aloneMs(large)).toBe(80);
  expect(latency.costMs(large, limits)).toBe(80);
  expect(latency.aloneMs({ work: 400, preprocessingWork: 400 })).toBe(20);
  expect(latency.costMs({ rows: 1, work: 100, preprocessingWork: 100 }, limits)).toBe(5);
});

describe('with workers', () => {
  beforeEach(() => {
    jest.useFakeTimers({ doNotFake: ['nextTick', 'queueMicrotask'] });
  });
  afterEach(() => {
    jest.useRealTimers();
  });

  /** One worker, a version that runs one input at a time for 100 ms, measured already. */
  async function startSlow() {
    const simulation = new Simulation({ workers: 1, runMs: () => 100 });
    await inVirtualTime(simulation.engine.start());
    const version = simulatedVersion('slow', 1);
    for (let i = 0; i < 4; i++) await inVirtualTime(settled(simulation.run(1, { version })));
    simulation.runs.length = 0;
    return { simulation, version };
  }

  test('under ten times the load, what is let in is answered in time and the rest is refused on arrival', async () => {
    const { simulation, version } = await startSlow();
    const answers = [];
    for (let i = 0; i < 300; i++) {
      answers.push(settled(simulation.run(i, { version, deadlineMs: 1_000 })));
      await jest.advanceTimersByTimeAsync(10);
    }
    const outcomes = (await inVirtualTime(Promise.all(answers))).map((one) =>
      typeof one === 'number' ? 'answered' : one.split(' ')[0],
    );
    const answered = outcomes.filter((one) => one === 'answered').length;

    expect(new Set(outcomes)).toEqual(new Set(['answered', 'OVERLOADED']));
    expect(simulation.runs).toHaveLength(answered);
    expect(answered).toBeGreaterThanOrEqual(30);
  });

  test('the work of other versions counts towards the wait', async () => {
    const { simulation, version } = await startSlow();
    const other = simulatedVersion('other', 1);
    for (let i = 0; i < 3; i++) await inVirtualTime(settled(simulation.run(1, { version: other })));
    for (let i = 0; i < 50; i++) void settled(simulation.run(i, { version, deadlineMs: 60_000 }));
    await jest.advanceTimersByTimeAsync(1);
    for (let i = 0; i < 5; i++) void settled(simulation.run(i, { version: other, deadlineMs: 60_000 }));

    const refused = await settled(simulation.run(9, { version: other, deadlineMs: 700 }));

    expect(refused).toMatch(/^OVERLOADED/);
    await inVirtualTime(simulation.engine.stop(0));
  });

  test('an input whose client disconnects while its batch waits in a worker is not run', async () => {
    const { simulation, version } = await startSlow();
    const connection = simulatedConnection('gone');
    const running = settled(simulation.run(1, { version }));
    await jest.advanceTimersByTimeAsync(99);
    const prepared = settled(simulation.run(2, { version, connection }));
    await jest.advanceTimersByTimeAsync(0);
    connection.close();
    const last = settled(simulation.run(3, { version }));

    expect(await inVirtualTime(Promise.all([running, prepared, last]))).toEqual([
      3,
      expect.stringContaining('the client has disconnected'),
      7,
    ]);
    expect(simulation.runs.flat()).not.toContain(2);
  });

  test('work of many inputs is split into runs of about 200 ms, and another version gets its turn between them', async () => {
    const simulation = new Simulation({ workers: 1, runMs: (values) => 10 * values.length });
    await inVirtualTime(simulation.engine.start());
    const version = simulatedVersion('wide', 128);
    for (let i = 0; i < 3; i++)
      await inVirtualTime(Promise.all(Array.from({ length: 8 }, () => settled(simulation.run(1, { version })))));
    await inVirtualTime(settled(simulation.run(1, { version: simulatedVersion('other') })));
    simulation.runs.length = 0;

    const many = Array.from({ length: 200 }, () => settled(simulation.run(5, { version })));
    await jest.advanceTimersByTimeAsync(50);
    const short = settled(simulation.run(9, { version: simulatedVersion('other'), caller: 'another' }));
    await inVirtualTime(Promise.all([...many, short]));

    expect(Math.max(...simulation.runs.map(({ length }) => length))).toBeLessThanOrEqual(21);
    expect(simulation.runs.findIndex((values) => values.includes(9))).toBeLessThanOrEqual(2);
  });

  test('a caller who floods delays another caller by no more than the batches that workers already have', async () => {
    const { simulation, version } = await startSlow();
    for (let i = 0; i < 60; i++) void settled(simulation.run(i, { version, caller: 'flood', deadlineMs: 60_000 }));
    await jest.advanceTimersByTimeAsync(150);
    const victim = settled(simulation.run(400, { version, caller: 'victim', item: itemOf(400) }));
    await inVirtualTime(victim);

    expect(simulation.runs.flat().indexOf(400)).toBeLessThanOrEqual(3);
    await inVirtualTime(simulation.engine.stop(0));
  });
});
