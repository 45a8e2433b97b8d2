/** Copies and digests of files that may be larger than the memory. */
import { createHash } from 'node:crypto';
import { constants, createReadStream } from 'node:fs';
import { open, rm } from 'node:fs/promises';

const READ_BYTES = 1024 * 1024;

export interface Digested {
  readonly sha256: string;
  readonly bytes: number;
}

/** @throws Error of the system if the file cannot be read, or is a link */
export async function digestOfFile(
  file: string,
  onChunk: (chunk: Buffer) => Promise<unknown> = async () => {},
): Promise<Digested> {
  const hash = createHash('sha256');
  let bytes = 0;
  const handle = await open(file, constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0));
  for await (const chunk of createReadStream('', { fd: handle, highWaterMark: READ_BYTES })) {
    hash.update(chunk);
    bytes += chunk.length;
    await onChunk(chunk);
  }
  return { sha256: hash.digest('hex'), bytes };
}

/** Writes a copy to the disk, with a digest of what was read. There is none if it fails. @throws Error of the system */
export async function copyFileSynced(from: string, to: string): Promise<Digested> {
  const handle = await open(to, 'wx', 0o600);
  try {
    const digested = await digestOfFile(from, (chunk) => handle.writeFile(chunk));
    await handle.sync();
    return digested;
  } catch (error) {
    await rm(to, { force: true });
    throw error;
  } finally {
    await handle.close();
  }
}
