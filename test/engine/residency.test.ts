/** The pure policy of what stays in memory, with seeded traffic. */
import { KnownVersions } from '#src/engine/known-versions.js';
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
import { simulatedVersion } from '../support/simulation.js';
import { hitsOfBelady, hitsOfMostPopular, zipfRequests } from '../support/zipf.js';

const VERSIONS = 1_000;
const ROOM = 50;
const REQUESTS = 20_000;
const SEED = 50;

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

test('with Zipf-like use, the policy keeps at least 0.90 of the hits of keeping the most popular versions for ever', () => {
  const requests = zipfRequests(VERSIONS, REQUESTS, SEED);
  const hits = hitsOfPolicy(requests);
  const optimal = hitsOfBelady(requests, ROOM);

  expect(hits / hitsOfMostPopular(requests, ROOM)).toBeGreaterThanOrEqual(0.9);
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

const known = (versions: KnownVersions, number: number) => versions.of(simulatedVersion(`v${number}`));

test('of many versions the most valuable are found, in order, and only among the candidates', () => {
  const versions = new KnownVersions(() => new Set());
  for (const [number, uses] of [3, 1, 5, 2, 4].entries())
    for (let i = 0; i < uses; i++) versions.recordUse(known(versions, number));

  const found = versions.mostValuable(3, ({ version }) => version.key !== 'v4');

  expect(found.map(({ version }) => version.key)).toEqual(['v2', 'v0', 'v3']);
});

test('at most 4,000 versions are remembered: the least used are forgotten, and none that is in use', () => {
  const versions = new KnownVersions(() => new Set(['v0', 'v1']));
  for (let number = 0; number < 4_000; number++)
    for (let i = 0; i < (number < 300 ? 1 : 2); i++) versions.recordUse(known(versions, number));

  known(versions, 4_000);

  expect(versions.size).toBe(3_601);
  expect([0, 1, 2, 299, 402, 3_999].filter((number) => versions.find(`v${number}`))).toEqual([0, 1, 402, 3_999]);
});

test('a single slow load hardly changes what a version is worth, but many do', () => {
  const versions = new KnownVersions(() => new Set());
  const load = (number: number, loadMs: number) =>
    versions.recordLoad(known(versions, number), { loadMs, residentBytes: null });
  const expected = (number: number) => versions.expectedLoadMs(known(versions, number));
  for (let number = 0; number < 100; number++) load(number, 10);
  load(100, 110);
  const afterOne = { fast: expected(0), slow: expected(100) };
  for (let i = 0; i < 20; i++) load(100, 110);

  expect(afterOne.fast).toBeLessThan(15);
  expect(afterOne.slow).toBeLessThan(40);
  expect(expected(100)).toBeGreaterThan(75);
});
