/** Measures what this process uses: CPU time of all its threads, and memory. */
import { writeFile } from 'node:fs/promises';
import type { BatchUse } from '../engine/messages.js';
import { processMemory } from '../process-memory.js';

/** Makes the kernel forget the peak of resident memory. Where that is not permitted, a peak below an earlier one is not seen. */
const FORGET_PEAK = '5';

/** Begins a measurement; the function that is returned ends it. */
export async function measureUse(): Promise<() => Promise<BatchUse>> {
  await writeFile('/proc/self/clear_refs', FORGET_PEAK).catch(() => {});
  const before = await processMemory('self');
  const begun = process.cpuUsage();
  return async () => {
    const { user, system } = process.cpuUsage(begun);
    const after = await processMemory('self');
    const grownBytes = before && after && Math.max(0, after.peakResidentBytes - before.residentBytes);
    return { cpuMs: (user + system) / 1_000, grownBytes };
  };
}
