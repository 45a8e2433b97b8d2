/**
 * The manifest of a backup: one line of JSON for the backup, one for each file, and one with totals, so that a manifest that was
 * cut is noticed. It is written and read line by line, because a backup may have millions of files.
 */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { z } from 'zod';
import { StartupError } from '../errors.js';
import { DATABASE_FILES } from '../storage/database.js';

const MANIFEST = 'manifest.jsonl';
const FORMAT = 1;
/** A line names one file. */
const MAX_LINE_CHARACTERS = 1_000;

const SHA256 = /^[0-9a-f]{64}$/;
const bytes = z.int().nonnegative();
const headSchema = z.strictObject({
  format: z.literal(FORMAT),
  createdAt: z.iso.datetime(),
  /** The newest migration of each database. */
  schema: z.strictObject({ catalog: z.string(), predictions: z.string() }),
});
const fileSchema = z.strictObject({ path: z.string(), bytes, sha256: z.string().regex(SHA256) });
/** A blob that was missing or damaged when the backup was made. */
const missingSchema = z.strictObject({ missing: z.string().regex(SHA256), place: z.string() });
const totalsSchema = z.strictObject({ files: bytes, bytes, missing: bytes, sha256: z.string().regex(SHA256) });

export type BackupHead = z.infer<typeof headSchema>;
export type BackupFile = z.infer<typeof fileSchema>;
export type MissingBlob = z.infer<typeof missingSchema>;
export type BackupTotals = z.infer<typeof totalsSchema>;

export class ManifestWriter {
  readonly #hash = createHash('sha256');
  readonly #handle: FileHandle;
  #files = 0;
  #bytes = 0;
  #missing = 0;

  private constructor(handle: FileHandle) {
    this.#handle = handle;
  }

  static async create(folder: string): Promise<ManifestWriter> {
    const handle = await open(path.join(folder, MANIFEST), 'wx', 0o600);
    const writer = new ManifestWriter(handle);
    const schema = {
      catalog: Object.keys(DATABASE_FILES.catalog.migrations).at(-1) ?? '',
      predictions: Object.keys(DATABASE_FILES.predictions.migrations).at(-1) ?? '',
    };
    await writer.#line({ format: FORMAT, createdAt: new Date().toISOString(), schema } satisfies BackupHead);
    return writer;
  }

  async file(file: BackupFile): Promise<void> {
    this.#files++;
    this.#bytes += file.bytes;
    await this.#line(file);
  }

  async missing(blob: MissingBlob): Promise<void> {
    this.#missing++;
    await this.#line(blob);
  }

  /** Writes the totals to the disk, and returns them. */
  async end(): Promise<BackupTotals> {
    const totals = { files: this.#files, bytes: this.#bytes, missing: this.#missing, sha256: this.#hash.digest('hex') };
    await this.#handle.appendFile(`${JSON.stringify(totals)}\n`);
    await this.#handle.sync();
    await this.#handle.close();
    return totals;
  }

  async #line(value: object): Promise<void> {
    const line = `${JSON.stringify(value)}\n`;
    this.#hash.update(line);
    await this.#handle.appendFile(line);
  }
}

export class BackupError extends StartupError {}

export type ManifestLine = { readonly file: BackupFile } | { readonly missing: MissingBlob };

/**
 * The lines of a manifest, between its head and its totals.
 *
 * @throws BackupError if a line, its path included, is none that a backup has, or the totals differ: at the end
 */
export async function* readManifest(backup: string): AsyncGenerator<ManifestLine, BackupTotals> {
  const hash = createHash('sha256');
  let [files, total, missing, number] = [0, 0, 0, 0];
  for await (const line of linesOf(path.join(backup, MANIFEST))) {
    const value = parse(line, ++number);
    const totals = totalsSchema.safeParse(value);
    if (totals.success) {
      const counted = { files, bytes: total, missing, sha256: hash.digest('hex') };
      if (JSON.stringify(totals.data) !== JSON.stringify(counted))
        throw new BackupError(`${MANIFEST} was changed: its last line does not fit the lines before it.`);
      return counted;
    }
    hash.update(`${line}\n`);
    if (number === 1) {
      check(headSchema, value, number);
      continue;
    }
    if (typeof value === 'object' && value !== null && 'missing' in value) {
      missing++;
      yield { missing: check(missingSchema, value, number) };
      continue;
    }
    const file = checkedFile(check(fileSchema, value, number), number);
    files++;
    total += file.bytes;
    yield { file };
  }
  throw new BackupError(`${MANIFEST} is not complete: the backup was not finished, or the file was cut.`);
}

async function* linesOf(file: string): AsyncGenerator<string> {
  const input = createReadStream(file);
  const failed = Promise.withResolvers<never>();
  input.once('error', (error) => failed.reject(new BackupError(`${file} cannot be read: ${error.message}`)));
  const lines = createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY })[Symbol.asyncIterator]();
  for (;;) {
    const { done, value } = await Promise.race([lines.next(), failed.promise]);
    if (done) return;
    if (value.length > MAX_LINE_CHARACTERS) throw new BackupError(`${MANIFEST} has a line that is too long.`);
    yield value;
  }
}

function parse(line: string, number: number): unknown {
  try {
    return JSON.parse(line);
  } catch {
    throw new BackupError(`Line ${number} of ${MANIFEST} is not JSON.`);
  }
}

function check<T>(schema: z.ZodType<T>, value: unknown, number: number): T {
  const checked = schema.safeParse(value);
  if (checked.success) return checked.data;
  const [issue] = checked.error.issues;
  throw new BackupError(
    `Line ${number} of ${MANIFEST} is not one of a backup: ${issue?.path.join('.')} ${issue?.message}.`,
  );
}

/** Only these paths are in backups, so none can lead out of the folder. */
function checkedFile(file: BackupFile, number: number): BackupFile {
  const names = Object.values(DATABASE_FILES).map(({ name }) => name as string);
  if (names.includes(file.path) || file.path === blobPath(file.sha256)) return file;
  throw new BackupError(
    `Line ${number} of ${MANIFEST} names ${JSON.stringify(file.path)}, which is no file of a backup.`,
  );
}

/** As `BlobFolder.pathOf`, from the data folder. */
export function blobPath(digest: string): string {
  return `blobs/sha256/${digest.slice(0, 2)}/${digest.slice(2)}`;
}
