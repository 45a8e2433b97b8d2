/**
 * Blobs in a folder, named by their SHA-256. Other names exist only in SQL: no string from a client ever becomes a path.
 *
 * A blob becomes visible only when it is complete and on the disk: written to a temporary file, synced, renamed, folder
 * synced.
 */
import { createHash, randomUUID } from 'node:crypto';
import { createReadStream } from 'node:fs';
import {
  type FileHandle,
  lstat,
  mkdir,
  open,
  opendir,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  utimes,
} from 'node:fs/promises';
import path from 'node:path';
import { faultPoint } from '../fault-points.js'; // @fault
import { throwDiskFailureAsStorageFull } from './disk-failure.js';

const SHA256 = /^[0-9a-f]{64}$/;

/** The names of the folders that blobs are divided into. */
export const BLOB_FOLDERS = Array.from({ length: 256 }, (_, i) => i.toString(16).padStart(2, '0'));

export function sha256(bytes: Uint8Array | string): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** Small enough to keep the event loop responsive. */
const READ_BYTES = 1024 * 1024;

export interface StoredFile {
  readonly file: string;
  /** Relative to the folder. */
  readonly name: string;
  /** Null if the file is no blob. */
  readonly digest: string | null;
  readonly sizeBytes: number;
  /** Milliseconds since the epoch. */
  readonly storedAt: number;
}

export class BlobFolder {
  readonly #root: string;
  /** By digest, while blobs are stored or deleted. */
  readonly #turns = new Map<string, Promise<void>>();

  constructor(root: string) {
    this.#root = root;
  }

  /** Deletes partial files that a crash has left. */
  async open(): Promise<void> {
    await rm(this.#aside, { recursive: true, force: true });
    await mkdir(this.#aside, { recursive: true });
  }

  /** The folder that contains all blobs, and nothing else. */
  get folder(): string {
    return path.join(this.#root, 'sha256');
  }

  /** A new name for a file that is written here before its parts become blobs. If a crash leaves it, the next start deletes it. */
  newPartialFile(): string {
    return path.join(this.#aside, randomUUID());
  }

  /** @throws Error if the text is not a digest. Only rows of the database name blobs, so this is a bug. */
  pathOf(digest: string): string {
    if (!SHA256.test(digest)) throw new Error(`"${digest}" is not a SHA-256 digest. This is a bug.`);
    return path.join(this.folder, digest.slice(0, 2), digest.slice(2));
  }

  /**
   * Stores the bytes durably and returns their digest, which is computed unless it is known. Storing the same bytes again only
   * resets their age.
   *
   * @throws StorageFullError if they cannot be written; then no blob is visible.
   */
  async put(bytes: Uint8Array | string, digest = sha256(bytes)): Promise<string> {
    const target = this.pathOf(digest);
    await this.#inTurn(digest, async () => {
      if (!(await renew(target))) await this.#write(target, bytes).catch(throwDiskFailureAsStorageFull);
    });
    return digest;
  }

  /**
   * As `put`, for bytes that are too many to be in memory. A blob that is damaged is replaced. Returns false, and stores
   * nothing, if they have another digest.
   *
   * @throws StorageFullError as `put`; what `chunks` throws
   */
  async putChunks(digest: string, chunks: AsyncIterable<Uint8Array>, signal?: AbortSignal): Promise<boolean> {
    const target = this.pathOf(digest);
    return this.#inTurn(digest, async () => {
      if ((await this.isIntact(digest, signal)) && (await renew(target))) return true;
      return this.#copy(target, digest, chunks);
    });
  }

  /** Whether there is a blob with these bytes. Reads all of it; false if `signal` is aborted meanwhile. */
  async isIntact(digest: string, signal?: AbortSignal): Promise<boolean> {
    const hash = createHash('sha256');
    try {
      const highWaterMark = Math.min(READ_BYTES, (await this.size(digest)) + 1);
      const chunks = createReadStream(this.pathOf(digest), { highWaterMark, ...(signal && { signal }) });
      for await (const chunk of chunks) hash.update(chunk);
    } catch {
      return false;
    }
    return hash.digest('hex') === digest;
  }

  /** Whether there is a blob of this size. Its bytes are checked whenever they are loaded. */
  async has(digest: string, sizeBytes: number): Promise<boolean> {
    const found = await stat(this.pathOf(digest)).catch(() => null);
    return found?.size === sizeBytes;
  }

  /** Size in bytes. @throws Error if there is no such blob */
  async size(digest: string): Promise<number> {
    return (await stat(this.pathOf(digest))).size;
  }

  async get(digest: string): Promise<Buffer> {
    return readFile(this.pathOf(digest));
  }

  /** These bytes of a blob; fewer at its end. @throws Error if there is no such blob, also if it was deleted a moment ago */
  async getPart(digest: string, offset: number, length: number): Promise<Buffer> {
    const handle = await open(this.pathOf(digest), 'r');
    try {
      const { buffer, bytesRead } = await handle.read(Buffer.allocUnsafe(length), 0, length, offset);
      return buffer.subarray(0, bytesRead);
    } finally {
      await handle.close();
    }
  }

  /**
   * The files of the folder: blobs in the order of their digests, and what is no blob: partial files, and files with other
   * names. Files that are deleted meanwhile are left out.
   */
  async *files(): AsyncGenerator<StoredFile> {
    for (const name of (await readdir(this.folder).catch(() => [])).sort()) {
      const names = await readdir(path.join(this.folder, name)).catch(() => ['']);
      for (const rest of names.sort()) yield* this.#stored(path.join(this.folder, name, rest), name + rest);
    }
    for (const name of await readdir(this.#aside).catch(() => [])) yield* this.#stored(path.join(this.#aside, name));
  }

  async *#stored(file: string, digest = ''): AsyncGenerator<StoredFile> {
    const found = await lstat(file).catch(() => null);
    if (!found) return;
    const isBlob = SHA256.test(digest) && found.isFile();
    const { size: sizeBytes, mtimeMs: storedAt } = found;
    yield { file, name: path.relative(this.#root, file), digest: isBlob ? digest : null, sizeBytes, storedAt };
  }

  /** The digests of blobs in one of `BLOB_FOLDERS` that were last stored before this time. */
  async *storedBefore(before: number, name: string): AsyncGenerator<string> {
    const folder = await opendir(path.join(this.folder, name)).catch(() => []);
    for await (const entry of folder) {
      const digest = name + entry.name;
      if (SHA256.test(digest) && (await this.#isOlder(digest, before))) yield digest;
    }
  }

  /**
   * Deletes an unused blob, unless it was stored after `before`: its row may not have been written yet. Returns whether it
   * was deleted.
   */
  async deleteUnused(digest: string, before: number): Promise<boolean> {
    return this.#inTurn(digest, async () => {
      const isOlder = await this.#isOlder(digest, before);
      if (isOlder) await rm(this.pathOf(digest), { force: true });
      return isOlder;
    });
  }

  async #isOlder(digest: string, before: number): Promise<boolean> {
    const found = await stat(this.pathOf(digest)).catch(() => null);
    return found !== null && found.mtimeMs < before;
  }

  /** Storing and deleting the same blob take turns: a blob that was just renewed must not be deleted. */
  async #inTurn<T>(digest: string, work: () => Promise<T>): Promise<T> {
    const mine = (this.#turns.get(digest) ?? Promise.resolve()).then(work);
    const ended = mine.then(
      () => {},
      () => {},
    );
    this.#turns.set(digest, ended);
    return mine.finally(() => this.#turns.get(digest) === ended && this.#turns.delete(digest));
  }

  get #aside(): string {
    return path.join(this.#root, 'aside');
  }

  async #copy(target: string, digest: string, chunks: AsyncIterable<Uint8Array>): Promise<boolean> {
    const hash = createHash('sha256');
    const hashed = async function* () {
      for await (const chunk of chunks) {
        hash.update(chunk);
        yield chunk;
      }
      if (hash.digest('hex') !== digest) throw new OtherDigestError();
    };
    return this.#write(target, hashed()).then(
      () => true,
      (error) => (error instanceof OtherDigestError ? false : throwDiskFailureAsStorageFull(error)),
    );
  }

  async #write(target: string, bytes: Content): Promise<void> {
    const folder = path.dirname(target);
    faultPoint('blob.mkdir'); // @fault
    const isNew = (await mkdir(folder, { recursive: true })) !== undefined;
    const aside = this.newPartialFile();
    try {
      await writeSynced(aside, bytes);
      faultPoint('blob.rename'); // @fault
      await rename(aside, target);
      await syncFolder(folder);
      if (isNew) await syncFolder(path.dirname(folder));
      faultPoint('blob.stored'); // @fault
    } catch (error) {
      await rm(aside, { force: true });
      throw error;
    }
  }
}

type Content = Uint8Array | string | AsyncIterable<Uint8Array>;

/** The bytes that were to be stored are others than announced. */
class OtherDigestError extends Error {}

/** Resets the age of a blob. Returns whether there is one. */
async function renew(target: string): Promise<boolean> {
  return utimes(target, new Date(), new Date()).then(
    () => true,
    () => false,
  );
}

/** Bytes that are written before they are synced. Other files that are synced meanwhile would have to wait for more. */
const SYNC_INTERVAL_BYTES = 16 * 1024 * 1024;

async function writeAll(handle: FileHandle, bytes: Content): Promise<void> {
  if (typeof bytes === 'string' || bytes instanceof Uint8Array) return handle.writeFile(bytes);
  let unsynced = 0;
  for await (const chunk of bytes) {
    await handle.writeFile(chunk);
    unsynced += chunk.length;
    if (unsynced < SYNC_INTERVAL_BYTES) continue;
    await handle.datasync();
    unsynced = 0;
  }
}

async function writeSynced(file: string, bytes: Content): Promise<void> {
  faultPoint('blob.open'); // @fault
  const handle = await open(file, 'wx');
  try {
    faultPoint('blob.write'); // @fault
    await writeAll(handle, bytes);
    faultPoint('blob.sync'); // @fault
    await handle.sync();
  } finally {
    await handle.close();
  }
}

export async function syncFolder(folder: string): Promise<void> {
  faultPoint('blob.syncFolder'); // @fault
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
