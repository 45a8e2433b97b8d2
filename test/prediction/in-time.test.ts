/** Everyone who waits has a deadline of their own, although all share one timer. */
import { inTime } from '#src/prediction/in-time.js';

const waitFor = (work: Promise<unknown>, deadlineMs: number) =>
  inTime(work, { startedAt: performance.now(), deadlineMs }, 'record').catch(({ message }: Error) => message);

test('work that does not settle is given up at the deadline of each who waits for it', async () => {
  const never = new Promise(() => {});

  const answers = await Promise.all([60, 1, 30, 0, 31].map((deadlineMs) => waitFor(never, deadlineMs)));

  for (const [i, deadlineMs] of [60, 1, 30, 0, 31].entries()) expect(answers[i]).toContain(`${deadlineMs} ms`);
});

test('work that settles first settles alone', async () => {
  const never = waitFor(new Promise(() => {}), 20);

  expect(await waitFor(Promise.resolve('done'), 1_000)).toBe('done');
  expect(await waitFor(Promise.reject(new Error('failed')), 1_000)).toBe('failed');
  expect(await never).toContain('20 ms');
});
