/** When a folder of the model store is imported, and what counts as a change of it. */
import { appendFile, mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { fingerprintOf, MAX_ENTRIES } from '#src/importing/fingerprint.js';
import {
  afterImport,
  changedOutside,
  type FolderState,
  isChanged,
  isDue,
  observed,
  RETRY_MS,
  retriedLater,
  SETTLE_MS,
  UNSETTLED_MS,
  waitReason,
} from '#src/importing/folder-state.js';

/** First seen at 0. */
const A = observed(undefined, 'a', 0);

test('a folder is due once it has not changed for a second', () => {
  const copying = observed(observed(undefined, 'a', 0), 'b', 900);

  expect(isDue(copying, SETTLE_MS)).toBe(false);
  expect(isDue(observed(copying, 'b', 1_500), 900 + SETTLE_MS - 1)).toBe(false);
  expect(isDue(observed(copying, 'b', 1_500), 900 + SETTLE_MS)).toBe(true);
});

test('an imported folder is due again when it has changed, also if it changed during its import', () => {
  const done = afterImport(A, A, false, 5_000);
  const changedMeanwhile = afterImport(observed(A, 'b', 4_000), A, false, 5_000);

  expect(isDue(done, 1e9)).toBe(false);
  expect(isDue(observed(done, 'b', 6_000), 6_000 + SETTLE_MS)).toBe(true);
  expect(isDue(changedMeanwhile, 5_000)).toBe(true);
});

test('a folder that has changed and changed back is imported too, so that it does not wait forever', () => {
  const done = afterImport(A, A, true, 5_000);
  const changedBack = observed(observed(done, 'b', 6_000), 'a', 6_500);

  expect(isChanged(changedBack)).toBe(true);
  expect(isDue(changedBack, 6_500 + SETTLE_MS)).toBe(true);
});

test('a first import that must be repeated is due after a minute, or when the folder has changed since', () => {
  const opened = afterImport(A, A, false, 0);

  expect(isDue(retriedLater(opened, 5_000), 5_000 + RETRY_MS - 1)).toBe(false);
  expect(isDue(retriedLater(opened, 5_000), 5_000 + RETRY_MS)).toBe(true);
  expect(isDue(retriedLater(observed(opened, 'b', 2_000), 5_000), 5_000)).toBe(true);
});

test('an import that failed for a reason outside of the folder is repeated after a minute, or when the folder changes', () => {
  const failed: FolderState = afterImport(A, A, true, 5_000);

  expect(isDue(failed, 5_000 + RETRY_MS - 1)).toBe(false);
  expect(isDue(failed, 5_000 + RETRY_MS)).toBe(true);
  expect(isDue(afterImport(failed, failed, false, 70_000), 1e9)).toBe(false);
  expect(isDue(observed(failed, 'b', 6_000), 6_000 + SETTLE_MS)).toBe(true);
});

test('an import that fails again and again is repeated after 1, 2, 4, 8, and then every 16 minutes, until the folder changes', () => {
  const delays: number[] = [];
  let state = A;
  for (let i = 0; i < 6; i++) {
    state = afterImport(state, state, true, 0);
    delays.push((state.retryAt ?? 0) / RETRY_MS);
  }

  expect(delays).toEqual([1, 2, 4, 8, 16, 16]);
  expect(afterImport(observed(state, 'b', 0), observed(state, 'b', 0), true, 0).retryAt).toBe(RETRY_MS);
});

test('a folder that changed outside during its import is imported again', () => {
  const changed = afterImport(changedOutside(A, 3_000), A, false, 5_000);

  expect(isChanged(changed)).toBe(true);
  expect(isDue(changed, 5_000)).toBe(true);
});

test('a folder has a reason to wait if it has not settled for five seconds', () => {
  let state = A;
  for (let now = 500; now <= UNSETTLED_MS; now += 500) state = observed(state, String(now), now);

  expect(waitReason(state, UNSETTLED_MS - 1)).toBeNull();
  expect(waitReason(state, UNSETTLED_MS)).toMatch(/^the files of the folder keep changing/);
  // It has settled, and waits for others.
  expect(waitReason(state, UNSETTLED_MS + SETTLE_MS)).toBeNull();
  expect(waitReason(observed(afterImport(state, state, false, 9_000), 'new', 9_500), 9_500)).toBeNull();
});

describe('the fingerprint of a folder', () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(path.join(os.tmpdir(), 'modelgraph-fingerprint-'));
    await mkdir(path.join(folder, '1/weights'), { recursive: true });
    await writeFile(path.join(folder, '1/model.onnx'), 'graph');
    await writeFile(path.join(folder, '1/weights/w.data'), 'weights');
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));

  test.each<[string, () => Promise<unknown>]>([
    ['a file grows', () => appendFile(path.join(folder, '1/weights/w.data'), '!')],
    [
      'a file is replaced by another of the same size',
      async () => {
        await writeFile(path.join(folder, '1/other'), 'GRAPH');
        await rename(path.join(folder, '1/other'), path.join(folder, '1/model.onnx'));
      },
    ],
    ['a file is deleted', () => rm(path.join(folder, '1/model.onnx'))],
    ['a folder is added', () => mkdir(path.join(folder, '2'))],
  ])('changes when %s', async (_, change) => {
    const before = await fingerprintOf(folder);

    await change();

    expect(await fingerprintOf(folder)).not.toBe(before);
  });

  test('does not depend on hidden files, and has a bound on the files that it looks at', async () => {
    const before = await fingerprintOf(folder);
    await writeFile(path.join(folder, '1', '.model.yaml.swp'), '');
    const withHidden = await fingerprintOf(folder);
    await mkdir(path.join(folder, '0'));
    for (let i = 0; i < MAX_ENTRIES; i++) await writeFile(path.join(folder, '0', String(i)), '');
    const full = await fingerprintOf(folder);
    await appendFile(path.join(folder, '1/model.onnx'), '!');

    // All files in 0 come first.
    expect(withHidden).not.toBeNull();
    expect(await fingerprintOf(folder)).toBe(full);
    expect(full).not.toBe(before);
  });

  test('changes when a version is added beside versions with very many files, and when one of its files changes', async () => {
    await mkdir(path.join(folder, '1/weights/deep'));
    for (let i = 0; i < MAX_ENTRIES; i++) await writeFile(path.join(folder, '1/weights', String(i)), '');
    const before = await fingerprintOf(folder);
    await mkdir(path.join(folder, '2'));
    await writeFile(path.join(folder, '2/model.onnx'), 'graph');
    const added = await fingerprintOf(folder);
    await appendFile(path.join(folder, '2/model.onnx'), '!');

    expect(added).not.toBe(before);
    expect(await fingerprintOf(folder)).not.toBe(added);
  });

  test('of a folder that does not exist is null', async () => {
    expect(await fingerprintOf(path.join(folder, 'none'))).toBeNull();
  });
});
