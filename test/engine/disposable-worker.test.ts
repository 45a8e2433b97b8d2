/** Worker processes outside the pool. */
import { maxUseMs } from '#src/engine/disposable-worker.js';

test('a probe may take a minute, and longer for data files at 50 MB/s', () => {
  expect(maxUseMs(0)).toBe(60_000);
  expect(maxUseMs(15_000_000_000)).toBe(360_000);
});
