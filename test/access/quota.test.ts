/** The arithmetic of quotas: token buckets per second, sums per day, and what other processes have used. */
import fc from 'fast-check';
import { type Clock, dayOf, Quota, type QuotaLimits, type Use } from '#src/access/quota.js';

const DAY_MS = 86_400_000;
const NONE: QuotaLimits = {
  operationsPerSecond: null,
  operationsPerDay: null,
  computeMsPerSecond: null,
  computeMsPerDay: null,
  bytesPerSecond: null,
  bytesPerDay: null,
};
const NOTHING: Use = { operations: 0, computeMs: 0, bytes: 0 };
const operations = (count: number): Use => ({ ...NOTHING, operations: count });
const computeMs = (ms: number): Use => ({ ...NOTHING, computeMs: ms });

class TestClock implements Clock {
  monotonic = 5_000;
  wall = 20_000 * DAY_MS + 1_000;
  readonly monotonicMs = () => this.monotonic;
  readonly wallMs = () => this.wall;
  pass(ms: number): void {
    this.monotonic += ms;
    this.wall += ms;
  }
}

function quotaOf(limits: Partial<QuotaLimits>, clock = new TestClock()): { quota: Quota; clock: TestClock } {
  return { quota: new Quota('key a', { ...NONE, ...limits }, () => {}, clock), clock };
}

/** What is stored of a caller, as the database adds it up. */
class Store {
  #sums = { day: 0, operations: 0, compute_ms: 0, bytes: 0 };

  exchange(quota: Quota): void {
    const used = quota.report();
    if (used.day > this.#sums.day) this.#sums = { ...used };
    else
      this.#sums = {
        day: this.#sums.day,
        operations: this.#sums.operations + used.operations,
        compute_ms: this.#sums.compute_ms + used.compute_ms,
        bytes: this.#sums.bytes + used.bytes,
      };
    quota.learn({ caller: quota.caller, ...this.#sums }, used);
  }
}

const steps = fc.array(fc.record({ ms: fc.nat(2_000), amount: fc.integer({ min: 1, max: 30 }) }), { maxLength: 100 });

test('of a bucket, never more is taken than it holds and what flows in, and one request more', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 20 }), steps, (perSecond, taken) => {
      const { quota, clock } = quotaOf({ operationsPerSecond: perSecond });
      let [total, passedMs] = [0, 0];
      for (const { ms, amount } of taken) {
        clock.pass(ms);
        passedMs += ms;
        if (quota.take(operations(amount)) === null) total += amount;
        const flownIn = perSecond + (perSecond * passedMs) / 1_000;
        expect(total).toBeLessThanOrEqual(flownIn + Math.max(0, 30 - perSecond) + 1e-6);
      }
    }),
  );
});

test('what was refused may be taken when it says so, and not before', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 20 }), steps, (perSecond, taken) => {
      const { quota, clock } = quotaOf({ operationsPerSecond: perSecond });
      for (const { ms, amount } of taken) {
        clock.pass(ms);
        const refusal = quota.take(operations(amount));
        if (!refusal) continue;
        expect(refusal).toMatchObject({ quota: 'OPERATIONS_PER_SECOND', limit: perSecond, retryable: true });
        const waitMs = refusal.retryAfterMs as number;
        clock.pass(waitMs - 1);
        if (waitMs > 1) expect(quota.take(operations(amount))).not.toBeNull();
        clock.pass(1);
        expect(quota.take(operations(amount))).toBeNull();
      }
    }),
  );
});

test('what is given back can be used again: nothing is lost, and no bucket overflows', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(50), fc.nat(60)), { maxLength: 50 }), (runs) => {
      const { quota } = quotaOf({ computeMsPerSecond: 100, computeMsPerDay: 100_000 });
      let used = 0;
      for (const [predictedMs, actualMs] of runs) {
        if (quota.take(computeMs(predictedMs)) !== null) continue;
        quota.correct(computeMs(actualMs - predictedMs), quota.day);
        used += actualMs;
      }
      expect(quota.used.computeMs).toBeCloseTo(used);
      const left = 100 - used;
      if (left > 0) expect(quota.take(computeMs(left))).toBeNull();
      expect(quota.take(computeMs(1))).toMatchObject({ quota: 'COMPUTE_MS_PER_SECOND' });
    }),
  );
});

test('more than a second of a quota waits until its bucket is full, and leaves a debt', () => {
  const { quota, clock } = quotaOf({ computeMsPerSecond: 100 });

  expect(quota.take(computeMs(1))).toBeNull();
  expect(quota.take(computeMs(500))).toMatchObject({ retryAfterMs: 10, used: 1 });
  clock.pass(10);
  expect(quota.take(computeMs(500))).toBeNull();
  clock.pass(3_999);
  expect(quota.take(computeMs(1))).toMatchObject({ retryAfterMs: 11 });
  clock.pass(11);
  expect(quota.take(computeMs(1))).toBeNull();
});

test('a day ends at 00:00 UTC, and what was taken before is not given back after', () => {
  const { quota, clock } = quotaOf({ operationsPerDay: 10, computeMsPerDay: 100 });
  clock.wall = 20_001 * DAY_MS - 5;
  const { day } = quota;
  quota.take({ operations: 10, computeMs: 90, bytes: 0 });

  expect(quota.take(operations(1))).toMatchObject({ quota: 'OPERATIONS_PER_DAY', used: 10, retryAfterMs: 5 });
  expect(quota.resetsAt).toEqual(new Date(20_001 * DAY_MS));
  clock.pass(5);
  quota.correct(computeMs(-80), day);
  expect(quota.used).toEqual(NOTHING);
  quota.correct(computeMs(30), day);
  expect(quota.used).toEqual(computeMs(30));
  expect(quota.take(operations(10))).toBeNull();
  expect(quota.take(operations(11))).toMatchObject({ retryable: false, retryAfterMs: null });
});

test('a clock that is set back does not open a quota again, unless it was days ahead', () => {
  const { quota, clock } = quotaOf({ operationsPerDay: 10, operationsPerSecond: 1_000 });
  clock.wall = 20_001 * DAY_MS + 1;
  quota.take(operations(10));

  clock.wall -= 3_600_000;
  expect(quota.take(operations(1))).toMatchObject({ quota: 'OPERATIONS_PER_DAY' });
  clock.wall += 3_600_000;
  expect(quota.take(operations(1))).toMatchObject({ quota: 'OPERATIONS_PER_DAY' });
  clock.wall -= 3 * DAY_MS;
  expect(quota.take(operations(1))).toBeNull();
  expect(quota.day).toBe(dayOf(clock.wall));
});

test('processes that share a store exceed a quota by no more than what one uses between two reports', () => {
  const action = fc.record({ process: fc.nat(2), ms: fc.nat(100), amount: fc.integer({ min: 1, max: 5 }) });
  fc.assert(
    fc.property(fc.array(action, { maxLength: 200 }), (actions) => {
      const clock = new TestClock();
      const limits = { operationsPerSecond: 20, operationsPerDay: 200 };
      const processes = [0, 1, 2].map(() => quotaOf(limits, clock).quota);
      const store = new Store();
      for (const quota of processes) store.exchange(quota);
      let [total, passedMs, sinceReportMs] = [0, 0, 0];
      for (const { process, ms, amount } of actions) {
        clock.pass(ms);
        passedMs += ms;
        sinceReportMs += ms;
        if (sinceReportMs >= 250) {
          for (const quota of processes) store.exchange(quota);
          for (const quota of processes) store.exchange(quota);
          sinceReportMs = 0;
        }
        if ((processes[process] as Quota).take(operations(amount)) === null) total += amount;
        // A second's worth at first, and in 350 ms of each of the others.
        const ofOthers = 2 * (20 + 0.35 * 20);
        expect(total).toBeLessThanOrEqual(20 + (20 * passedMs) / 1_000 + ofOthers);
        expect(total).toBeLessThanOrEqual(200 + ofOthers);
      }
      for (const quota of processes) store.exchange(quota);
      store.exchange(processes[0] as Quota);
      expect(processes[0]?.used.operations).toBe(total);
    }),
  );
});

test('limits that are raised do not refill, and limits that are removed do not refuse', () => {
  const { quota } = quotaOf({ operationsPerSecond: 5, operationsPerDay: 8 });
  quota.take(operations(5));

  quota.limits = { ...NONE, operationsPerSecond: 100, operationsPerDay: 8 };
  expect(quota.take(operations(1))).toMatchObject({ quota: 'OPERATIONS_PER_SECOND', limit: 100 });
  quota.limits = { ...NONE, operationsPerDay: 8 };
  expect(quota.take(operations(3))).toBeNull();
  expect(quota.take(operations(1))).toMatchObject({ quota: 'OPERATIONS_PER_DAY', limit: 8, used: 8 });
});

test('of a caller whose operations are used up, few small requests are read, and none whose bytes are used up', () => {
  const { quota, clock } = quotaOf({ operationsPerSecond: 1, bytesPerSecond: 1_000_000 });
  quota.take(operations(1));
  const admitted = (bytes: number | null) => quota.takeRequest(bytes) === null;

  expect([admitted(5_000), admitted(null)]).toEqual([false, false]);
  expect(Array.from({ length: 12 }, () => admitted(100))).toEqual([...Array(10).fill(true), false, false]);
  clock.pass(1_000);
  expect(admitted(900_000)).toBe(true);
  expect(quota.takeRequest(900_000)).toMatchObject({ quota: 'BYTES_PER_SECOND' });
});
