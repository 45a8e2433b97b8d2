/** Reads files of the model store. Errors name the file. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readFile, realpath, stat } from 'node:fs/promises';
import path from 'node:path';
import type { z } from 'zod';
import { suggest } from '../catalog/suggest.js';
import { ManifestError, RetriedImportError } from '../errors.js';
import { listed, quoted } from '../tasks/problems.js';

/** The largest tokenizers have 35 MB. Parts of the texts are also written as JSON, and no string has more than 512 MB. */
const MAX_TEXT_BYTES = 64 * 1024 * 1024;

/** Reads a text file of a model or dataset; null if it does not exist. `root`: its folder. @throws ManifestError */
export async function readText(file: string, root: string): Promise<string | null> {
  try {
    const sizeBytes = await sizeWithin(file, root);
    if (sizeBytes > MAX_TEXT_BYTES)
      throw new Error(`it has ${sizeBytes} bytes, and a text file can have at most ${MAX_TEXT_BYTES}`);
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

/** As `regularSize`. What a link leads to must be in the folder, too: a README is published. @throws Error */
async function sizeWithin(file: string, root: string): Promise<number> {
  const sizeBytes = await regularSize(file);
  if (!isWithin(await realpath(file), await realpath(root)))
    throw new Error('it is a link to a file outside of the folder; copy the file itself');
  return sizeBytes;
}

/** Both paths are without links. */
export function isWithin(file: string, folder: string): boolean {
  const [first] = path.relative(folder, file).split(path.sep);
  return first !== '..' && !path.isAbsolute(first ?? '');
}

/** The size of a file of a model or dataset, in bytes. `root`: its folder, which links must not leave. @throws ManifestError */
export async function sizeOf(file: string, root: string): Promise<number> {
  return sizeWithin(file, root).catch((error) => {
    throw unreadableFile(file, error);
  });
}

/** The bytes of a file of any size. @throws ManifestError; RetriedImportError when `signal` is aborted */
export async function* chunksOf(file: string, signal?: AbortSignal): AsyncGenerator<Uint8Array> {
  try {
    // A stream allocates a whole chunk, however small the file is.
    const highWaterMark = Math.min(CHUNK_BYTES, (await regularSize(file)) + 1);
    for await (const chunk of createReadStream(file, { highWaterMark })) {
      if (signal?.aborted) throw new RetriedImportError('the server was stopped during the import');
      yield chunk;
    }
  } catch (error) {
    if (error instanceof RetriedImportError) throw error;
    throw unreadableFile(file, error as Error);
  }
}

/** The SHA-256 and size of a file of any size, read in chunks. @throws as `chunksOf` */
export async function fileDigest(file: string, signal?: AbortSignal): Promise<{ sha256: string; sizeBytes: number }> {
  const hash = createHash('sha256');
  let sizeBytes = 0;
  for await (const chunk of chunksOf(file, signal)) {
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
    return refuseDeep(JSON.parse(text), file);
  } catch (error) {
    if (error instanceof ManifestError) throw error;
    throw new ManifestError(`${file} is not valid JSON: ${error instanceof Error ? error.message : error}`);
  }
}

/** Real files have a few. Parts of files are written as JSON and sent to processes, which is recursive. */
const MAX_LEVELS = 100;

/** Returns the parsed content. @throws ManifestError if it is nested too deeply */
export function refuseDeep<T>(content: T, file: string): T {
  if (isDeeper(content, MAX_LEVELS))
    throw new ManifestError(`${file} is nested more than ${MAX_LEVELS} levels deep: correct the file, or remove it`);
  return content;
}

function isDeeper(value: unknown, levels: number): boolean {
  if (typeof value !== 'object' || value === null) return false;
  return levels === 0 || Object.values(value).some((one) => isDeeper(one, levels - 1));
}

/** Validates a parsed file against a schema. @throws ManifestError that lists all errors with their paths */
export function parseWith<T>(schema: z.ZodType<T>, value: unknown, file: string): T {
  const result = schema.safeParse(value, { error: unknownKeys });
  if (result.success) return result.data;
  throw new ManifestError(
    result.error.issues
      .map(({ path, message }) => [file, ...(path.length > 0 ? [path.join('.')] : []), message].join(': '))
      .join('; '),
  );
}

const MAX_UNKNOWN_KEYS = 3;

/** What to write instead of keys that the schema does not have. */
const unknownKeys: z.core.$ZodErrorMap = ({ code, keys, inst }) => {
  if (code !== 'unrecognized_keys') return undefined;
  const { shape = {} } = (inst as z.ZodObject | undefined) ?? {};
  const known = Object.keys(shape);
  const named = (keys as string[]).slice(0, MAX_UNKNOWN_KEYS).map((key) => {
    const similar = suggest(key, known);
    const advice = similar.length > 0 ? `did you mean ${similar.join(' or ')}?` : `use one of ${listed(known)}`;
    return `unknown key "${quoted(key)}"; ${advice}`;
  });
  return named.join('; ');
};
