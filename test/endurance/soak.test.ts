/** A bounded share of `npm run test:soak`. */
import { availability } from './soak/availability.ts';
import { leaks } from './soak/leaks.ts';
import { poison } from './soak/poison.ts';
import { swaps } from './soak/swaps.ts';

const SEED = 20_261_124;

test("F20: no answer is another's while workers are killed", async () => {
  const { kills, ...counts } = await swaps(30_000, SEED);

  expect(kills).toBeGreaterThan(0);
  expect(counts).toMatchObject({ predictions: 30_000, wrong: 0, failed: 0 });
}, 120_000);

test('F1: no request fails while a worker is killed every second', async () => {
  const { kills, failed } = await availability(5);

  expect(kills).toBeGreaterThan(0);
  expect(failed).toBe(0);
}, 120_000);

test('F3: the mates of an input that ends its process are answered, by real processes', async () => {
  expect(await poison(12)).toMatchObject({ batches: 12, matesFailed: 0, culpritsNotNamed: 0 });
}, 120_000);

test('F26: loads, unloads and kills leave no file descriptor and no process behind', async () => {
  const report = await leaks(30);

  for (const { before, after } of [report.loads, report.kills]) {
    expect(after.fileDescriptors).toBe(before.fileDescriptors);
    expect(after.processes).toBe(before.processes);
  }
}, 120_000);
