/** Reading one file of the model store, and saying what is wrong with it. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import type { z } from 'zod';
import { ManifestError } from '../errors.js';

/** Null when there is none. @throws ManifestError */
export async function readText(file: string): Promise<string | null> {
  return readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return null;
    throw unreadableFile(file, error);
  });
}

/** @throws ManifestError */
export async function readBytes(file: string): Promise<Uint8Array> {
  return readFile(file).catch((error: Error) => {
    throw unreadableFile(file, error);
  });
}

/** Of a file as large as it likes. @throws ManifestError */
export async function fileDigest(file: string): Promise<{ sha256: string; sizeBytes: number }> {
  const hash = createHash('sha256');
  let sizeBytes = 0;
  try {
    for await (const chunk of createReadStream(file, { highWaterMark: CHUNK_BYTES })) {
      hash.update(chunk);
      sizeBytes += chunk.length;
    }
  } catch (error) {
    throw unreadableFile(file, error as Error);
  }
  return { sha256: hash.digest('hex'), sizeBytes };
}

/** Small enough that the event loop does other things in between. */
const CHUNK_BYTES = 1024 * 1024;

function unreadableFile(file: string, { message }: Error): ManifestError {
  return new ManifestError(`${path.basename(file)} cannot be read: ${message}`);
}

/** @throws ManifestError with the path of every mistake */
export function parseWith<T>(schema: z.ZodType<T>, value: unknown, file: string): T {
  const outcome = schema.safeParse(value);
  if (outcome.success) return outcome.data;
  throw new ManifestError(
    outcome.error.issues.map(({ path, message }) => `${file}: ${path.join('.')}: ${message}`).join('; '),
  );
}
