/** A short version of `npm run test:residency`. */
import { residency } from './residency.ts';

test('a server with room for a quarter of its models keeps those that are requested most', async () => {
  const report = await residency(30, 8, 600, 50);

  expect(report).toMatchObject({ requests: 600, wrong: 0, replaced: 0 });
  expect(report.room).toBeGreaterThanOrEqual(6);
  expect(report.room).toBeLessThanOrEqual(10);
  // Load times, on which evictions depend, differ from run to run. The long run has the limit of 0.90.
  expect(report.ofMostPopular).toBeGreaterThanOrEqual(0.8);
});
