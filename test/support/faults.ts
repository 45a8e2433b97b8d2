/**
 * Arms fault points in this process, its threads and workers, and in servers started by `startServer`; one at a time.
 */
import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';

// Those of Jest have it from their environment: what is changed here is not seen outside of the context of the test.
const file = process.env['FAULT_FILE'] ?? path.join(os.tmpdir(), `modelgraph-fault-${process.pid}-${randomUUID()}`);
process.env['FAULT_FILE'] = file;

export async function armFault(point: string, action: string, nth = 1): Promise<void> {
  await rm(`${file}.fired`, { force: true });
  await writeFile(file, JSON.stringify({ id: randomUUID(), point, nth, action }));
}

export function hasFired(): boolean {
  return existsSync(`${file}.fired`);
}

/** Resumes a process that is paused at its fault point. */
export async function goOn(): Promise<void> {
  await writeFile(`${file}.go`, '');
}

/** Returns whether the fault had fired. */
export async function disarmFault(): Promise<boolean> {
  const fired = hasFired();
  await Promise.all([file, `${file}.fired`, `${file}.go`].map((one) => rm(one, { force: true })));
  return fired;
}

/**
 * Lets the first, then the second, then the third … call of a fault point fail, until an attempt makes fewer calls.
 * Returns how many calls an attempt makes, at least.
 *
 * `attempt` runs with the fault armed. `inspect` runs after it, with the fault disarmed, and is told whether it fired.
 * `step`: 2 for every other call, and so on.
 */
export async function failNthCalls(
  point: string,
  action: string,
  attempt: () => Promise<void>,
  inspect: (fired: boolean) => Promise<void>,
  step = 1,
): Promise<number> {
  for (let nth = 1; ; nth += step) {
    await armFault(point, action, nth);
    await attempt();
    const fired = await disarmFault();
    await inspect(fired);
    if (!fired) return nth - step;
  }
}
