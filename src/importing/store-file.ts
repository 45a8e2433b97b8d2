/** Reads files of the model store. Errors name the file. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readFile, realpath, stat } from 'node:fs/promises';
import path from 'node:path';
import { setImmediate } from 'node:timers/promises';
import type { z } from 'zod';
import { ManifestError, RetriedImportError } from '../errors.js';
import { JsonScan } from '../json-scan.js';
import { unwatchedReason } from './fingerprint.js';
import { ImportStoppedError } from './import-errors.js';
import { MAX_PROBLEMS, unknownKeys } from './schemas.js';

interface TextLimits {
  readonly bytes: number;
  /** Values and keys of JSON. Parsing takes memory and time for each, and a byte can be enough for one. */
  readonly values: number;
}

const KIB = 1024;
const MIB = 1024 * KIB;
/**
 * YAML is parsed in one turn of the event loop, and takes far longer than JSON. Cards of embedding models can have 300 KB of
 * results.
 */
export const MAX_YAML_BYTES = 512 * KIB;
const CARD_LIMITS: TextLimits = { bytes: MIB, values: 0 };
const YAML_LIMITS: TextLimits = { bytes: MAX_YAML_BYTES, values: 0 };
/** A config.json of 100,000 labels, which it has twice, has 400,000 values and keys. */
const JSON_LIMITS: TextLimits = { bytes: 16 * MIB, values: 500_000 };
/** The largest tokenizers have 35 MB and 2 million values. */
const LARGE_LIMITS: Readonly<Record<string, TextLimits>> = {
  'golden.json': { bytes: 64 * MIB, values: 2_000_000 },
  'tokenizer.json': { bytes: 64 * MIB, values: 4_000_000 },
};

function limitsOf(file: string): TextLimits {
  const name = path.basename(file);
  if (name.endsWith('.yaml')) return YAML_LIMITS;
  return name.endsWith('.json') ? (LARGE_LIMITS[name] ?? JSON_LIMITS) : CARD_LIMITS;
}

/** Reads a text file of a model or dataset; null if it does not exist. `root`: its folder. @throws ManifestError */
export async function readText(file: string, root: string): Promise<string | null> {
  const limits = limitsOf(file);
  try {
    const sizeBytes = await sizeWithin(file, root);
    if (sizeBytes > limits.bytes)
      throw new Error(`it has ${sizeBytes} bytes, and a file of this name can have at most ${limits.bytes}`);
    const bytes = await readFile(file);
    if (file.endsWith('.json')) await refuseManyValues(bytes, limits.values);
    return bytes.toString();
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes(String((error as NodeJS.ErrnoException).code))) return null;
    if (error instanceof ManifestError) throw error;
    throw unreadableFile(file, error as Error);
  }
}

/** Text that is not JSON passes: the parser says where it is wrong, and gets no farther. @throws Error */
async function refuseManyValues(json: Uint8Array, allowed: number): Promise<void> {
  const scan = new JsonScan({ maxBodyValues: allowed, maxBodyDepth: Number.POSITIVE_INFINITY });
  for (let at = 0; at < json.length; at += CHUNK_BYTES) {
    if (at > 0) await setImmediate();
    const fault = scan.scan(json.subarray(at, at + CHUNK_BYTES));
    if (fault === 'maxBodyValues')
      throw new Error(`it has more than ${allowed} values and keys, the most that a file of this name can have`);
    if (fault) return;
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
    throw new Error(
      'it is a link to a file outside of the folder; copy the file itself (of a repository in the cache of the Hugging Face Hub: hf download <repository> --local-dir <folder>)',
    );
  refuseUnwatched(file, root);
  return sizeBytes;
}

/** @throws Error if a change of the file would not be noticed */
export function refuseUnwatched(file: string, root: string): void {
  const reason = unwatchedReason(path.relative(root, file));
  if (reason) throw new ManifestError(`${path.basename(file)} cannot be read: ${reason}`);
}

/** Both paths are without links. */
export function isWithin(file: string, folder: string): boolean {
  const [first] = path.relative(folder, file).split(path.sep);
  return first !== '..' && !path.isAbsolute(first ?? '');
}

/** The size of a file of a model or dataset, in bytes. `root`: its folder, which links must not leave. @throws ManifestError */
export async function sizeOf(file: string, root: string): Promise<number> {
  return sizeWithin(file, root).catch((error) => {
    if (error instanceof ManifestError) throw error;
    throw unreadableFile(file, error);
  });
}

/** The bytes of a file of any size. @throws ManifestError; RetriedImportError when `signal` is aborted */
export async function* chunksOf(file: string, signal?: AbortSignal): AsyncGenerator<Uint8Array> {
  try {
    // A stream allocates a whole chunk, however small the file is.
    const highWaterMark = Math.min(CHUNK_BYTES, (await regularSize(file)) + 1);
    for await (const chunk of createReadStream(file, { highWaterMark })) {
      if (signal?.aborted) throw new ImportStoppedError();
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
  // Invisible, and an error for the frameworks too.
  if (text.startsWith('\ufeff'))
    throw new ManifestError(`${file} begins with a byte order mark: save it as UTF-8 without one`);
  try {
    return refuseDeep(JSON.parse(text), file);
  } catch (error) {
    if (error instanceof ManifestError) throw error;
    throw new ManifestError(`${file} is not valid JSON: ${error instanceof Error ? error.message : error}`);
  }
}

/** Real files have a few. Parts of files are written as JSON and sent to processes, which is recursive. */
const MAX_LEVELS = 100;
/** An alias of YAML repeats values. */
export const MAX_YAML_VALUES = 200_000;

/** Returns the parsed content. `maxValues`: within it. @throws ManifestError if it is nested too deeply, or is too large */
export function refuseDeep<T>(content: T, file: string, maxValues = Number.POSITIVE_INFINITY): T {
  const left = { values: maxValues };
  if (isDeeper(content, MAX_LEVELS, left))
    throw new ManifestError(`${file} is nested more than ${MAX_LEVELS} levels deep: correct the file, or remove it`);
  if (left.values < 0)
    throw new ManifestError(`${file} has more than ${maxValues} values, with those that its aliases repeat`);
  return content;
}

/** Also stops when no values are left. */
function isDeeper(value: unknown, levels: number, left: { values: number }): boolean {
  if (left.values-- < 0 || typeof value !== 'object' || value === null) return false;
  return levels === 0 || Object.values(value).some((one) => isDeeper(one, levels - 1, left));
}

/** Validates a parsed file against a schema. @throws ManifestError that lists errors with their paths */
export function parseWith<T>(schema: z.ZodType<T>, value: unknown, file: string): T {
  const result = schema.safeParse(value, { error: unknownKeys });
  if (result.success) return result.data;
  const { issues } = result.error;
  const listed = issues
    .slice(0, MAX_PROBLEMS)
    .map(({ path, message }) => [file, ...(path.length > 0 ? [path.join('.')] : []), message].join(': '));
  throw new ManifestError([...listed, ...(issues.length > MAX_PROBLEMS ? ['…'] : [])].join('; '));
}
