/** How many versions have counters of their own, and which. */
import type { EngineVersion } from '#src/engine/messages.js';
import { BATCHES_PER_RANKING, MAX_COUNTED_VERSIONS, VersionCounters } from '#src/engine/version-counters.js';
import type { OutstandingBatch } from '#src/engine/worker-process.js';

const TIMING = { preprocessMs: 1, inferMs: 2, postprocessMs: 3 };
const version = (name: string) => ({ key: name, ref: name }) as EngineVersion;

function run(counters: VersionCounters, name: string, batches: number): void {
  const batch = { version: version(name), rows: 1 } as OutstandingBatch;
  for (let i = 0; i < batches; i++) counters.addBatch(batch, TIMING, 'cpu');
}

const refsOf = (counters: VersionCounters) => counters.all.map(({ ref }) => ref);
const batchesOf = (counters: VersionCounters, ref: string | null) =>
  counters.all.find((one) => one.ref === ref)?.inferMs.counts.reduce((sum, count) => sum + count, 0);

/** As many versions as may have counters of their own, each with two batches. */
function filled(): VersionCounters {
  const counters = new VersionCounters();
  for (let i = 0; i < MAX_COUNTED_VERSIONS; i++) run(counters, `first-${i}`, 2);
  return counters;
}

test('versions beyond the bound share one set of counters', () => {
  const counters = filled();

  for (let i = 0; i < 100; i++) run(counters, `later-${i}`, 1);

  expect(counters.all).toHaveLength(MAX_COUNTED_VERSIONS + 1);
  expect(refsOf(counters)).not.toContain('later-0');
  expect(batchesOf(counters, null)).toBe(100);
});

test('a version that is used more takes the place of the one used least, and starts at zero', () => {
  const counters = filled();
  run(counters, 'first-1', 1);

  run(counters, 'busy', BATCHES_PER_RANKING - 2 * MAX_COUNTED_VERSIONS - 1);
  const shared = batchesOf(counters, null);
  run(counters, 'busy', 1);

  expect(refsOf(counters)).toContain('busy');
  expect(refsOf(counters)).toHaveLength(MAX_COUNTED_VERSIONS + 1);
  expect(refsOf(counters)).toContain('first-1');
  expect(batchesOf(counters, 'busy')).toBe(1);
  expect(batchesOf(counters, null)).toBe(shared);
});

test('versions that are used alike keep their counters', () => {
  const counters = filled();
  const before = refsOf(counters);

  for (let i = 0; i < 20 * BATCHES_PER_RANKING; i++) run(counters, `first-${i % (2 * MAX_COUNTED_VERSIONS)}`, 1);

  expect(refsOf(counters)).toEqual(before);
});
