/** Processes, by their ids, as the operating system sees them. */
import { readdirSync, readFileSync } from 'node:fs';
import { until } from './until.ts';

/** False for a process that has ended, even if its parent has not collected its exit status yet. */
export function isRunning(pid: number): boolean {
  try {
    return !/\) [ZX] /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}

/** The process and all its descendants. */
export function treeOf(pid: number): number[] {
  const parents = readdirSync('/proc').flatMap((name) => {
    const [, parent] = (/^\d+$/.test(name) && /\) \S (\d+)/.exec(statOf(name))) || [];
    return parent === undefined ? [] : [{ pid: Number(name), parent: Number(parent) }];
  });
  const tree = [pid];
  for (const one of tree) tree.push(...parents.filter(({ parent }) => parent === one).map(({ pid }) => pid));
  return tree;
}

/** Empty for a process that has ended meanwhile. */
function statOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/stat`, 'utf8');
  } catch {
    return '';
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
