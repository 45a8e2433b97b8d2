/** Waits for conditions that no event announces. */
import { setTimeout as sleep } from 'node:timers/promises';

const POLL_MS = 5;
/**
 * How long tests wait for a condition, and servers under test for a prediction. A busy machine may need many times
 * longer than an idle one; only what never comes takes this long.
 */
export const DEADLINE_MS = 120_000;

/**
 * Resolves when `isMet` returns true; checks every 5 ms, so that the processes it waits for keep the processor.
 *
 * @throws Error that names the condition if it does not hold within two minutes
 */
export async function until(condition: string, isMet: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = performance.now() + DEADLINE_MS;
  while (!(await isMet())) {
    if (performance.now() > deadline) throw new Error(`Waited ${DEADLINE_MS / 1_000} s in vain until ${condition}.`);
    await sleep(POLL_MS);
  }
}
