/**
 * The bytes of uploads, each in a file that has the id of the upload as its name. How many bytes a file has is how many have
 * been received, so that an upload continues after a crash without anything else being written down.
 */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { type FileHandle, mkdir, open, readdir, rm, stat, statfs } from 'node:fs/promises';
import path from 'node:path';
import { StorageFullError } from '../errors.js';
import { faultPoint } from '../fault-points.js'; // @fault
import { syncFolder } from '../storage/blobs.js';
import { throwDiskFailureAsStorageFull } from '../storage/disk-failure.js';

const ID = /^upload_[0-9a-f-]{36}$/;
/** Other files that are synced meanwhile would have to wait for more. */
const SYNC_INTERVAL_BYTES = 16 * 1024 * 1024;
/** Takes about 0.05 ms to hash. */
const HASHED_BYTES = 64 * 1024;

/** Left free on the disk for databases and blobs: predictions are recorded there. */
const RESERVED_BYTES = 256 * 1024 * 1024;

/** There are more bytes than announced. */
export class TooManyBytesError extends Error {}

export class UploadFiles {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
  }

  async open(): Promise<void> {
    await mkdir(this.#folder, { recursive: true });
  }

  /** @throws Error if it is no id. Only rows of the database name files, so this is a bug. */
  pathOf(id: string): string {
    if (!ID.test(id)) throw new Error(`"${id}" is not the id of an upload. This is a bug.`);
    return path.join(this.#folder, id);
  }

  /** Bytes received so far. */
  async size(id: string): Promise<number> {
    return stat(this.pathOf(id)).then(
      ({ size }) => size,
      () => 0,
    );
  }

  /** The ids of all files. */
  async list(): Promise<string[]> {
    return (await readdir(this.#folder)).filter((name) => ID.test(name));
  }

  async remove(id: string): Promise<void> {
    await rm(this.pathOf(id), { force: true });
  }

  /**
   * Appends bytes after the first `offset`, and drops what the file has beyond them. What has arrived when `chunks` ends or
   * fails is on the disk before this returns or rejects.
   *
   * @throws StorageFullError or TooManyBytesError, after which the file is as before; what `chunks` throws
   */
  async append(id: string, offset: number, maxBytes: number, chunks: AsyncIterable<Uint8Array>): Promise<void> {
    const handle = await openAt(this.pathOf(id), offset).catch(throwDiskFailureAsStorageFull);
    try {
      await this.#writeAll(handle, offset, maxBytes, chunks);
    } finally {
      await handle.close();
    }
    // The name of a new file.
    if (offset === 0) await syncFolder(this.#folder);
  }

  /** Of an upload without bytes, which nobody needs to send. @throws StorageFullError */
  async makeEmpty(id: string): Promise<void> {
    const handle = await openAt(this.pathOf(id), 0).catch(throwDiskFailureAsStorageFull);
    await handle.close();
    await syncFolder(this.#folder);
  }

  async #writeAll(
    handle: FileHandle,
    offset: number,
    maxBytes: number,
    chunks: AsyncIterable<Uint8Array>,
  ): Promise<void> {
    let [position, unsynced] = [offset, 0];
    const toDisk = (work: () => Promise<unknown>) =>
      work().catch(async (error) => {
        await handle.truncate(offset).catch(() => {});
        throwDiskFailureAsStorageFull(error);
      });
    try {
      for await (const chunk of chunks) {
        if (position + chunk.length > maxBytes) throw new TooManyBytesError();
        await toDisk(() => writeChunk(handle, chunk, position));
        position += chunk.length;
        unsynced += chunk.length;
        if (unsynced < SYNC_INTERVAL_BYTES) continue;
        await toDisk(() => this.#syncData(handle));
        unsynced = 0;
      }
    } catch (error) {
      if (error instanceof TooManyBytesError) await handle.truncate(offset);
      throw error;
    } finally {
      await toDisk(() => this.#syncData(handle));
    }
  }

  async #syncData(handle: FileHandle): Promise<void> {
    faultPoint('upload.sync'); // @fault
    await handle.datasync();
    const { bavail, bsize } = await statfs(this.#folder);
    if (bavail * bsize < RESERVED_BYTES) throw new StorageFullError();
  }

  /** The SHA-256 of all bytes, in hexadecimal, read in small chunks. */
  async digest(id: string): Promise<string> {
    const hash = createHash('sha256');
    if ((await this.size(id)) > 0)
      for await (const chunk of createReadStream(this.pathOf(id), { highWaterMark: HASHED_BYTES })) hash.update(chunk);
    return hash.digest('hex');
  }
}

/** Empty for the first byte. */
async function openAt(file: string, offset: number): Promise<FileHandle> {
  faultPoint('upload.open'); // @fault
  return open(file, offset === 0 ? 'w' : 'r+', 0o600);
}

async function writeChunk(handle: FileHandle, chunk: Uint8Array, position: number): Promise<void> {
  faultPoint('upload.write'); // @fault
  for (let done = 0; done < chunk.length; ) {
    const { bytesWritten } = await handle.write(chunk, done, chunk.length - done, position + done);
    done += bytesWritten;
  }
}
