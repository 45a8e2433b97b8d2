/** CPU time of groups of processes and of everything else on the machine, from /proc; Linux only. */
import { readFileSync } from 'node:fs';
import { cpuSeconds, TICKS_PER_SECOND } from './processes.ts';

/** CPU time in seconds. */
export interface CpuUse {
  /** Wall-clock time. */
  readonly seconds: number;
  readonly groups: Readonly<Record<string, number>>;
  /** Of processes in no group. Above about 0.1 of `seconds`, the measurement was disturbed. */
  readonly others: number;
  /** Taken from this virtual machine by its host. */
  readonly stolen: number;
}

/** Starts to watch; each call of the returned function reports the time since the last call. */
export function watchCpu(groups: Readonly<Record<string, readonly number[]>>): () => CpuUse {
  let before = snapshot(groups);
  return () => {
    const now = snapshot(groups);
    const spent = Object.keys(groups).map(
      (name) => [name, (now.groups[name] ?? 0) - (before.groups[name] ?? 0)] as const,
    );
    const known = spent.reduce((sum, [, seconds]) => sum + seconds, 0);
    const use = {
      seconds: (now.at - before.at) / 1_000,
      groups: Object.fromEntries(spent),
      others: Math.max(0, now.busy - before.busy - known),
      stolen: now.stolen - before.stolen,
    };
    before = now;
    return use;
  };
}

function snapshot(groups: Readonly<Record<string, readonly number[]>>) {
  // user nice system idle iowait irq softirq steal
  const fields = readFileSync('/proc/stat', 'utf8').split('\n')[0]?.trim().split(/\s+/).slice(1).map(Number) ?? [];
  const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0, steal = 0] = fields;
  const ofGroups = Object.entries(groups).map(([name, pids]) => [
    name,
    pids.reduce((sum, pid) => sum + ofProcess(pid), 0),
  ]);
  return {
    at: performance.now(),
    groups: Object.fromEntries(ofGroups) as Record<string, number>,
    busy: (user + nice + system + irq + softirq) / TICKS_PER_SECOND,
    stolen: steal / TICKS_PER_SECOND,
  };
}

/** The last known time of a process that has ended, so that a group's time never decreases. */
const lastKnown = new Map<number, number>();

function ofProcess(pid: number): number {
  try {
    lastKnown.set(pid, cpuSeconds(pid));
  } catch {}
  return lastKnown.get(pid) ?? 0;
}
