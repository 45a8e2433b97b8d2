/** Reads files of the model store. Errors name the file. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import type { z } from 'zod';
import { ManifestError } from '../errors.js';

/** Reads a text file; null if it does not exist. @throws ManifestError */
export async function readText(file: string): Promise<string | null> {
  return readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return null;
    throw unreadableFile(file, error);
  });
}

/** Reads a whole file into memory. @throws ManifestError */
export async function readBytes(file: string): Promise<Uint8Array> {
  return readFile(file).catch((error: Error) => {
    throw unreadableFile(file, error);
  });
}

/** The SHA-256 and size of a file of any size, read in chunks. @throws ManifestError */
export async function fileDigest(file: string): Promise<{ sha256: string; sizeBytes: number }> {
  const hash = createHash('sha256');
  let sizeBytes = 0;
  try {
    // A stream allocates a whole chunk, however small the file is.
    const highWaterMark = Math.min(CHUNK_BYTES, (await stat(file)).size + 1);
    for await (const chunk of createReadStream(file, { highWaterMark })) {
      hash.update(chunk);
      sizeBytes += chunk.length;
    }
  } catch (error) {
    throw unreadableFile(file, error as Error);
  }
  return { sha256: hash.digest('hex'), sizeBytes };
}

/** Small enough to keep the event loop responsive. */
const CHUNK_BYTES = 1024 * 1024;

function unreadableFile(file: string, { message }: Error): ManifestError {
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
    result.error.issues.map(({ path, message }) => `${file}: ${path.join('.')}: ${message}`).join('; '),
  );
}
