/**
 * Blobs in a folder, named by their SHA-256. Other names exist only in SQL: no string from a client ever becomes a path.
 *
 * A blob becomes visible only when it is complete and on the disk: written to a temporary file, synced, renamed, folder
 * synced.
 */
import { createHash, randomUUID } from 'node:crypto';
import { mkdir, open, opendir, readFile, rename, rm, stat, utimes } from 'node:fs/promises';
import path from 'node:path';
import { faultPoint } from '../fault-points.js'; // @fault
import { throwDiskFailureAsStorageFull } from './disk-failure.js';

const SHA256 = /^[0-9a-f]{64}$/;

/** The names of the folders that blobs are divided into. */
export const BLOB_FOLDERS = Array.from({ length: 256 }, (_, i) => i.toString(16).padStart(2, '0'));

export function sha256(bytes: Uint8Array | string): string {
  return createHash('sha256').update(bytes).digest('hex');
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

  /** @throws Error if the text is not a digest. Only rows of the database name blobs, so this is a bug. */
  pathOf(digest: string): string {
    if (!SHA256.test(digest)) throw new Error(`"${digest}" is not a SHA-256 digest. This is a bug.`);
    return path.join(this.#root, 'sha256', digest.slice(0, 2), digest.slice(2));
  }

  /**
   * Stores the bytes durably and returns their digest. Storing the same bytes again only resets their age.
   *
   * @throws StorageFullError if they cannot be written; then no blob is visible.
   */
  async put(bytes: Uint8Array | string): Promise<string> {
    const digest = sha256(bytes);
    const target = this.pathOf(digest);
    await this.#inTurn(digest, async () => {
      const renewed = await utimes(target, new Date(), new Date()).then(
        () => true,
        () => false,
      );
      if (!renewed) await this.#write(target, bytes).catch(throwDiskFailureAsStorageFull);
    });
    return digest;
  }

  /** Whether there is a blob of this size. Its bytes are checked whenever they are loaded. */
  async has(digest: string, sizeBytes: number): Promise<boolean> {
    const found = await stat(this.pathOf(digest)).catch(() => null);
    return found?.size === sizeBytes;
  }

  /** As `put`, but also replaces a blob of these bytes that is damaged. */
  async replace(bytes: Uint8Array | string): Promise<string> {
    const digest = sha256(bytes);
    await this.#inTurn(digest, () => this.#write(this.pathOf(digest), bytes).catch(throwDiskFailureAsStorageFull));
    return digest;
  }

  /** Size in bytes. @throws Error if there is no such blob */
  async size(digest: string): Promise<number> {
    return (await stat(this.pathOf(digest))).size;
  }

  async get(digest: string): Promise<Buffer> {
    return readFile(this.pathOf(digest));
  }

  /** The digests of blobs in one of `BLOB_FOLDERS` that were last stored before this time. */
  async *storedBefore(before: number, name: string): AsyncGenerator<string> {
    const folder = await opendir(path.join(this.#root, 'sha256', name)).catch(() => []);
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

  async #write(target: string, bytes: Uint8Array | string): Promise<void> {
    const folder = path.dirname(target);
    faultPoint('blob.mkdir'); // @fault
    const isNew = (await mkdir(folder, { recursive: true })) !== undefined;
    const aside = path.join(this.#aside, randomUUID());
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

async function writeSynced(file: string, bytes: Uint8Array | string): Promise<void> {
  faultPoint('blob.open'); // @fault
  const handle = await open(file, 'wx');
  try {
    faultPoint('blob.write'); // @fault
    await handle.writeFile(bytes);
    faultPoint('blob.sync'); // @fault
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function syncFolder(folder: string): Promise<void> {
  faultPoint('blob.syncFolder'); // @fault
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
