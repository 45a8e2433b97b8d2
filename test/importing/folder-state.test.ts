/** When a folder of the model store is imported, and what counts as a change of it. */
import { appendFile, mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { fingerprintOf, MAX_ENTRIES } from '#src/importing/fingerprint.js';
import {
  afterImport,
  type FolderState,
  isChanged,
  isDue,
  observed,
  RETRY_MS,
  retriedLater,
  SETTLE_MS,
} from '#src/importing/folder-state.js';

test('a folder is due once it has not changed for a second', () => {
  const copying = observed(observed(undefined, 'a', 0), 'b', 900);

  expect(isDue(copying, SETTLE_MS)).toBe(false);
  expect(isDue(observed(copying, 'b', 1_500), 900 + SETTLE_MS - 1)).toBe(false);
  expect(isDue(observed(copying, 'b', 1_500), 900 + SETTLE_MS)).toBe(true);
});

test('an imported folder is due again when it has changed, also if it changed during its import', () => {
  const done = afterImport(observed(undefined, 'a', 0), 'a', false, 5_000);
  const changedMeanwhile = afterImport(observed(observed(undefined, 'a', 0), 'b', 4_000), 'a', false, 5_000);

  expect(isDue(done, 1e9)).toBe(false);
  expect(isDue(observed(done, 'b', 6_000), 6_000 + SETTLE_MS)).toBe(true);
  expect(isDue(changedMeanwhile, 5_000)).toBe(true);
});

test('a folder that has changed and changed back is imported too, so that it does not wait forever', () => {
  const done = afterImport(observed(undefined, 'a', 0), 'a', true, 5_000);
  const changedBack = observed(observed(done, 'b', 6_000), 'a', 6_500);

  expect(isChanged(changedBack)).toBe(true);
  expect(isDue(changedBack, 6_500 + SETTLE_MS)).toBe(true);
});

test('a first import that must be repeated is due after a minute, or when the folder has changed since', () => {
  const opened = afterImport(observed(undefined, 'a', 0), 'a', false, 0);

  expect(isDue(retriedLater(opened, 5_000), 5_000 + RETRY_MS - 1)).toBe(false);
  expect(isDue(retriedLater(opened, 5_000), 5_000 + RETRY_MS)).toBe(true);
  expect(isDue(retriedLater(observed(opened, 'b', 2_000), 5_000), 5_000)).toBe(true);
});

test('an import that failed for a reason outside of the folder is repeated after a minute, or when the folder changes', () => {
  const failed: FolderState = afterImport(observed(undefined, 'a', 0), 'a', true, 5_000);

  expect(isDue(failed, 5_000 + RETRY_MS - 1)).toBe(false);
  expect(isDue(failed, 5_000 + RETRY_MS)).toBe(true);
  expect(isDue(afterImport(failed, 'a', false, 70_000), 1e9)).toBe(false);
  expect(isDue(observed(failed, 'b', 6_000), 6_000 + SETTLE_MS)).toBe(true);
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
    await writeFile(path.join(folder, 'z'), '');

    // A new entry changes the time of its folder, which is an entry of the one above.
    expect(withHidden).not.toBeNull();
    expect(await fingerprintOf(folder)).toBe(full);
    expect(full).not.toBe(before);
  });

  test('of a folder that does not exist is null', async () => {
    expect(await fingerprintOf(path.join(folder, 'none'))).toBeNull();
  });
});
