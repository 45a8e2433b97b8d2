/**
 * Arms fault points: in this process, its threads and workers, and in servers started by `startServer`. One at a time.
 */
import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';

const file = path.join(os.tmpdir(), `modelgraph-fault-${process.pid}-${randomUUID()}`);
process.env['FAULT_FILE'] = file;

export async function armFault(point: string, action: string, nth = 1): Promise<void> {
  await rm(`${file}.fired`, { force: true });
  await writeFile(file, JSON.stringify({ id: randomUUID(), point, nth, action }));
}

export function hasFired(): boolean {
  return existsSync(`${file}.fired`);
}

/** Lets a process that pauses at its point go on. */
export async function goOn(): Promise<void> {
  await writeFile(`${file}.go`, '');
}

/** Answers whether it had fired. */
export async function disarmFault(): Promise<boolean> {
  const fired = hasFired();
  await Promise.all([file, `${file}.fired`, `${file}.go`].map((one) => rm(one, { force: true })));
  return fired;
}

/**
 * The first, second, third … time fails, until one run passes untouched; answers how many times there were.
 *
 * `attempt` runs with the fault armed; `inspect` afterwards, without it, and knows whether it fired.
 */
export async function failNthCalls(
  point: string,
  action: string,
  attempt: () => Promise<void>,
  inspect: (fired: boolean) => Promise<void>,
): Promise<number> {
  for (let nth = 1; ; nth++) {
    await armFault(point, action, nth);
    await attempt();
    const fired = await disarmFault();
    await inspect(fired);
    if (!fired) return nth - 1;
  }
}
