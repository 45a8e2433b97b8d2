/** Reads from `/proc` what a process uses. */
import { readFile } from 'node:fs/promises';

export interface ProcessMemory {
  /** Pages in RAM, including those of files and shared libraries. */
  readonly residentBytes: number;
  /** The most that `residentBytes` has been since the start, or since `/proc/<pid>/clear_refs` was told to forget it. */
  readonly peakResidentBytes: number;
  /** Private writable memory, whether or not it was written to: what `prlimit --data` limits. */
  readonly dataBytes: number;
}

/** Null on platforms without `/proc`, and for a process that has exited. */
export async function processMemory(pid: number | 'self'): Promise<ProcessMemory | null> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
  const bytes = (name: string) =>
    1024 * Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(status)?.[1] ?? Number.NaN);
  const memory = { residentBytes: bytes('VmRSS'), peakResidentBytes: bytes('VmHWM'), dataBytes: bytes('VmData') };
  return Object.values(memory).some(Number.isNaN) ? null : memory;
}

/** Of the kernel for programs, on every platform of Linux that Node supports. */
const TICKS_PER_SECOND = 100;
/** Fields of `/proc/<pid>/stat` after the name of the program, which may have spaces: the state is the first. */
const [USER_TICKS, SYSTEM_TICKS] = [11, 12];

/** The time that a process has computed, in milliseconds. Null as for `processMemory`. */
export async function processCpuMs(pid: number): Promise<number | null> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const ticks = Number(fields[USER_TICKS]) + Number(fields[SYSTEM_TICKS]);
  return Number.isNaN(ticks) ? null : (1_000 * ticks) / TICKS_PER_SECOND;
}
