/** Measures by how much the memory of this process grows. */
import { writeFile } from 'node:fs/promises';
import { processMemory } from '../process-memory.js';

/** Makes the kernel forget the peak of resident memory. Where that is not permitted, a peak below an earlier one is not seen. */
const FORGET_PEAK = '5';

/**
 * Begins a measurement. The function that is returned tells by how much more memory was in use at the peak, in bytes; null on
 * platforms without `/proc`.
 */
export async function watchMemory(): Promise<() => Promise<number | null>> {
  await writeFile('/proc/self/clear_refs', FORGET_PEAK).catch(() => {});
  const before = await processMemory('self');
  return async () => {
    const after = await processMemory('self');
    return before && after && Math.max(0, after.peakResidentBytes - before.residentBytes);
  };
}
