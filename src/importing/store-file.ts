/** Reads files of the model store. Errors name the file. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import type { z } from 'zod';
import { ManifestError } from '../errors.js';

/** Reads a text file; null if it does not exist. @throws ManifestError */
export async function readText(file: string): Promise<string | null> {
  try {
    await regularSize(file);
    return await readFile(file, 'utf8');
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes(String((error as NodeJS.ErrnoException).code))) return null;
    throw unreadableFile(file, error as Error);
  }
}

/** The size of the file in bytes. Pipes and devices may never end. @throws Error if it is not a regular file */
async function regularSize(file: string): Promise<number> {
  const found = await stat(file);
  if (!found.isFile()) throw new Error('it is not a regular file');
  return found.size;
}

/** The bytes of a file of any size. @throws ManifestError */
export async function* chunksOf(file: string): AsyncGenerator<Uint8Array> {
  try {
    // A stream allocates a whole chunk, however small the file is.
    const highWaterMark = Math.min(CHUNK_BYTES, (await regularSize(file)) + 1);
    yield* createReadStream(file, { highWaterMark });
  } catch (error) {
    throw unreadableFile(file, error as Error);
  }
}

/** The SHA-256 and size of a file of any size, read in chunks. @throws ManifestError */
export async function fileDigest(file: string): Promise<{ sha256: string; sizeBytes: number }> {
  const hash = createHash('sha256');
  let sizeBytes = 0;
  for await (const chunk of chunksOf(file)) {
    hash.update(chunk);
    sizeBytes += chunk.length;
  }
  return { sha256: hash.digest('hex'), sizeBytes };
}

/** Small enough to keep the event loop responsive. */
const CHUNK_BYTES = 1024 * 1024;

export function unreadableFile(file: string, { message }: Error): ManifestError {
  return new ManifestError(`${path.basename(file)} cannot be read: ${message}`);
}

/** Reads a text file by its path inside a folder; null if it does not exist. @throws ManifestError */
export type ReadFile = (file: string) => Promise<string | null>;

/** Null for no text. @throws ManifestError if it is not valid JSON or does not match the schema */
export function parseJsonAs<T>(schema: z.ZodType<T>, text: string | null, file: string): T | null {
  return text === null ? null : parseWith(schema, parseJsonFile(text, file), file);
}

/** @throws ManifestError */
export function parseJsonFile(text: string, file: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new ManifestError(`${file} is not valid JSON: ${error instanceof Error ? error.message : error}`);
  }
}

/** Validates a parsed file against a schema. @throws ManifestError that lists all errors with their paths */
export function parseWith<T>(schema: z.ZodType<T>, value: unknown, file: string): T {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  throw new ManifestError(
    result.error.issues
      .map(({ path, message }) => [file, ...(path.length > 0 ? [path.join('.')] : []), message].join(': '))
      .join('; '),
  );
}
