/** The pure policy of what stays in memory, with seeded traffic. */
import {
  currentUse,
  isCopyWorthwhile,
  planEviction,
  planLoad,
  type Resident,
  type UseCount,
  valueOfCopy,
  withOneMore,
} from '#src/engine/residency.js';
import { seeded } from '../support/seeded-random.js';

const VERSIONS = 1_000;
const ROOM = 50;
const REQUESTS = 20_000;

/** Requests for versions 0 to 999, whose frequencies follow Zipf's law with exponent 0.9. */
function zipfRequests(): number[] {
  const weights = Array.from({ length: VERSIONS }, (_, i) => (i + 1) ** -0.9);
  let sum = 0;
  const cumulated = weights.map((weight) => (sum += weight));
  const random = seeded(50);
  return Array.from({ length: REQUESTS }, () => {
    const x = random() * sum;
    return cumulated.findIndex((bound) => x < bound);
  });
}

function hitsOfPolicy(requests: readonly number[]): number {
  const uses = new Map<number, UseCount>();
  const resident = new Set<number>();
  let hits = 0;
  for (const [now, version] of requests.entries()) {
    uses.set(version, withOneMore(uses.get(version) ?? null, now));
    if (resident.has(version)) hits++;
    else {
      const worth = (key: number) => ({
        use: currentUse(uses.get(key) as UseCount, now),
        loadMs: 1,
        bytes: 1,
        copies: 1,
      });
      const residents = Array.from(resident, (key) => ({
        key: `${key}`,
        bytes: 1,
        value: valueOfCopy(worth(key)),
        isLeased: false,
      }));
      const memory = { capacityBytes: ROOM, residents, outstandingBatches: 0 };
      for (const { key } of planEviction(memory, { residentBytes: 1, loadingBytes: 1 }) ?? [])
        resident.delete(Number(key));
      resident.add(version);
    }
  }
  return hits;
}

/** The optimal offline policy: evicts what is used again last. */
function hitsOfBelady(requests: readonly number[]): number {
  const next = new Array<number>(requests.length).fill(Infinity);
  const seen = new Map<number, number>();
  for (let i = requests.length - 1; i >= 0; i--) {
    next[i] = seen.get(requests[i] as number) ?? Infinity;
    seen.set(requests[i] as number, i);
  }
  const resident = new Map<number, number>();
  let hits = 0;
  for (const [i, version] of requests.entries()) {
    if (resident.has(version)) hits++;
    else if (resident.size === ROOM) {
      const [farthest] = [...resident].reduce((a, b) => (b[1] > a[1] ? b : a));
      resident.delete(farthest);
    }
    resident.set(version, next[i] as number);
  }
  return hits;
}

test('with Zipf-like use, the policy keeps at least 0.90 of the hits of keeping the most popular versions for ever', () => {
  const requests = zipfRequests();
  const ofMostPopular = requests.filter((version) => version < ROOM).length;
  const hits = hitsOfPolicy(requests);
  const optimal = hitsOfBelady(requests);

  expect(hits / ofMostPopular).toBeGreaterThanOrEqual(0.9);
  expect(hits / optimal).toBeGreaterThanOrEqual(0.8);
});

const resident = (key: string, bytes: number, value: number, isLeased = false): Resident => ({
  key,
  bytes,
  value,
  isLeased,
});
const size = (bytes: number) => ({ residentBytes: bytes, loadingBytes: bytes });

test('the least valuable versions make room, leased ones never, and none that is not needed', () => {
  const residents = [resident('a', 10, 1), resident('b', 40, 2), resident('c', 30, 3), resident('leased', 20, 0, true)];
  const memory = { capacityBytes: 100, residents, outstandingBatches: 0 };

  expect(planEviction(memory, size(10))?.map(({ key }) => key)).toEqual(['a']);
  expect(planEviction(memory, size(40))?.map(({ key }) => key)).toEqual(['b']);
  expect(planEviction(memory, size(100))).toBeNull();
  expect(planEviction({ ...memory, residents: [] }, size(1_000))).toEqual([]);
});

test('a version is loaded into an idle worker, where the least is lost', () => {
  const full = { capacityBytes: 10, residents: [resident('a', 10, 5)], outstandingBatches: 0 };
  const cheap = { capacityBytes: 10, residents: [resident('b', 10, 1)], outstandingBatches: 0 };
  const busy = { capacityBytes: 10, residents: [], outstandingBatches: 1 };

  expect(planLoad([busy, full, cheap], size(5))?.worker).toBe(cheap);
  expect(planLoad([busy], size(5))?.worker).toBe(busy);
});

test('another copy pays only if the queue exceeds the load, with the loads that it undoes', () => {
  expect([isCopyWorthwhile(101, 100, 0), isCopyWorthwhile(101, 100, 50)]).toEqual([true, false]);
});
