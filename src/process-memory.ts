/** Reads the memory of a process from `/proc`. */
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
