/** A short version of `npm run test:soak`. */
import { availability } from './soak/availability.ts';
import { growth, type Sample } from './soak/growth.ts';
import { leaks } from './soak/leaks.ts';
import { poison } from './soak/poison.ts';
import { swaps } from './soak/swaps.ts';

const SEED = 20_261_124;

test('every answer belongs to its own request while workers are killed', async () => {
  const { kills, ...counts } = await swaps(1_000, SEED);

  expect(kills).toBeGreaterThan(0);
  expect(counts).toMatchObject({ predictions: 1_000, wrong: 0, failed: 0 });
});

test('no request fails while a worker is killed every second', async () => {
  const { kills, failed } = await availability(3, 3);

  expect(kills).toBeGreaterThan(0);
  expect(failed).toBe(0);
});

test('if one input of a batch crashes a worker process, it alone fails and is named', async () => {
  expect(await poison(2)).toMatchObject({ batches: 2, othersFailed: 0, poisonNotNamed: 0 });
});

test('loading, unloading and killing leave no file descriptor and no process behind', async () => {
  const { loads, kills } = await leaks(2);

  expect(loads).toMatchObject({ leaked: { fileDescriptors: 0, processes: 0, opened: [] } });
  expect(kills).toMatchObject({ leaked: { fileDescriptors: 0, processes: 0, opened: [] } });
});

test('neither predictions nor refused giant bodies leave memory or file descriptors behind', async () => {
  const { wrong, refusals, leaked, samples } = await growth(500);
  const [first, last] = [samples[0], samples.at(-1)];
  const grown = (of: (sample: Sample) => number) => of(last as Sample) - of(first as Sample);

  expect(wrong).toBe(0);
  // After 64 MiB of refused bodies, they are refused unread, and the connection may end before the answer is read.
  const {
    BODY_LIMIT_EXCEEDED: read = 0,
    REFUSAL_BUDGET_EXCEEDED: unread = 0,
    ECONNRESET: cut = 0,
    ...others
  } = refusals;
  expect({ all: read + unread + cut, others }).toEqual({ all: 10, others: {} });
  expect(read).toBeGreaterThan(0);
  expect(leaked).toEqual({ fileDescriptors: 0, processes: 0 });
  expect(grown(({ heapUsed }) => heapUsed)).toBeLessThan(5_000_000);
  // The buffers of one body may wait for their collection.
  expect(grown(({ external }) => external)).toBeLessThan(20_000_000);
});
