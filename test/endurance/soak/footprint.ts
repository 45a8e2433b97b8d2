/** File descriptors, child processes and resident memory of a process, from /proc. */
import { readdir, readFile, readlink } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

export interface Footprint {
  readonly fileDescriptors: number;
  readonly processes: number;
  readonly residentBytes: number;
  /** What the descriptors refer to, such as `29 /dev/null` or `31 socket:[81652]`. */
  readonly open: readonly string[];
}

export interface Leak {
  readonly fileDescriptors: number;
  readonly processes: number;
  /** If descriptors leaked: those that were not open before, some of which took the place of others. */
  readonly opened: readonly string[];
}

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

export function leakBetween(before: Footprint, after: Footprint): Leak {
  const fileDescriptors = Math.max(0, after.fileDescriptors - before.fileDescriptors);
  return {
    fileDescriptors,
    processes: Math.max(0, after.processes - before.processes),
    opened: fileDescriptors > 0 ? after.open.filter((one) => !before.open.includes(one)) : [],
  };
}

const POLL_MS = 25;

/**
 * The lowest of several measurements, since a pipe that is being closed or a file that is being read is not a leak.
 * Ends early if there are no more descriptors and processes than in `target`.
 */
export async function lowestFootprint(pid: number, ms: number, target?: Footprint): Promise<Footprint> {
  const deadline = performance.now() + ms;
  if (pid === process.pid) collectGarbage();
  let lowest = await footprintOf(pid);
  const isReached = () => {
    if (!target) return false;
    const { fileDescriptors, processes } = leakBetween(target, lowest);
    return fileDescriptors + processes === 0;
  };
  while (!isReached() && performance.now() < deadline) {
    await sleep(POLL_MS);
    const next = await footprintOf(pid);
    const fewest = next.fileDescriptors < lowest.fileDescriptors ? next : lowest;
    lowest = {
      fileDescriptors: fewest.fileDescriptors,
      open: fewest.open,
      processes: Math.min(lowest.processes, next.processes),
      residentBytes: Math.min(lowest.residentBytes, next.residentBytes),
    };
  }
  return lowest;
}

const PAGE_BYTES = 4096;

export async function footprintOf(pid: number): Promise<Footprint> {
  const statm = await readFile(`/proc/${pid}/statm`, 'utf8');
  const children = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8').catch(() => '');
  const descriptors = await readdir(`/proc/${pid}/fd`);
  const targets = descriptors.map((fd) => readlink(`/proc/${pid}/fd/${fd}`).catch(() => 'closed'));
  return {
    fileDescriptors: descriptors.length,
    processes: children.split(' ').filter(Boolean).length,
    residentBytes: Number(statm.split(' ')[1]) * PAGE_BYTES,
    open: (await Promise.all(targets)).map((target, i) => `${descriptors[i]} ${target}`),
  };
}
