/** Processes, by their ids, as the operating system sees them. */
import { readFileSync } from 'node:fs';
import { until } from './until.ts';

/** False for a process that has ended, even if its parent has not collected its exit status yet. */
export function isRunning(pid: number): boolean {
  try {
    return !/\) [ZX] /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}

export function haveEnded(pids: readonly number[]): Promise<void> {
  return until(`the processes ${pids.join(', ')} have ended`, () => !pids.some(isRunning));
}

/** Returns false if the process has already ended. */
export function killIfRunning(pid: number): boolean {
  try {
    return process.kill(pid, 'SIGKILL');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false;
    throw error;
  }
}
