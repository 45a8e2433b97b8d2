import type { DataFile } from './spec.js';

/** Bytes of the files. A graph can have several names for one file. */
export function distinctBytes(files: readonly Pick<DataFile, 'sha256' | 'sizeBytes'>[]): number {
  const sizes = new Map(files.map(({ sha256, sizeBytes }) => [sha256, sizeBytes]));
  return [...sizes.values()].reduce((sum, sizeBytes) => sum + sizeBytes, 0);
}
