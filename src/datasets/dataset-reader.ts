/**
 * Reads datasets in a thread, which writes their rows and images to files. Only if all rows are right do they become blobs, so that
 * what is refused leaves nothing behind. However large a dataset is, one piece is in memory.
 */
import { open, rm } from 'node:fs/promises';
import { computeInThread } from '../compute-in-thread.js';
import { ShuttingDownError, StorageFullError } from '../errors.js';
import type { BlobFolder } from '../storage/blobs.js';
import { throwDiskFailureAsStorageFull } from '../storage/disk-failure.js';
import type { ReadRows, WantedRows } from './read-rows.js';
import type { ReadingReply, ReadingTask, WrittenPiece } from './reading-thread.js';
import { type RowProblem, UnreadableRowsError } from './row-problem.js';

const FILE = new URL('./reading-thread.js', import.meta.url);
/** Of objects of JavaScript, in a thread. */
const MAX_HEAP_MB = 512;
/** A dataset of 1 GiB takes less than a minute of computing. */
const MAX_READ_MS = 15 * 60_000;
/** Parts that become blobs at the same time: each waits for the disk. */
const STORED_AT_ONCE = 16;
const MAX_BYTES_AT_ONCE = 8 * 1024 ** 2;

export interface RowsToStore extends ReadRows {
  readonly pieces: readonly WrittenPiece[];
  /** Makes blobs of the pieces and images. Nothing refers to them until the dataset is saved. @throws StorageFullError */
  readonly store: () => Promise<void>;
}

export type ReadResult = { readonly rows: RowsToStore } | { readonly problems: readonly RowProblem[] };

export class DatasetReader {
  readonly #blobs: Pick<BlobFolder, 'put' | 'newPartialFile'>;
  readonly #signal: AbortSignal | undefined;

  /** `signal`: aborted when the server stops. */
  constructor(blobs: Pick<BlobFolder, 'put' | 'newPartialFile'>, signal: AbortSignal | undefined) {
    this.#blobs = blobs;
    this.#signal = signal;
  }

  /** Calls `use` with what was read, which is there until it returns. @throws StorageFullError, ShuttingDownError, as `use` */
  async read<T>(wanted: WantedRows, use: (read: ReadResult) => Promise<T>): Promise<T> {
    const [file, imageFile] = [this.#blobs.newPartialFile(), this.#blobs.newPartialFile()];
    try {
      const reply = await this.#run({ wanted, file, imageFile });
      if ('problems' in reply) return await use(reply);
      const { result, pieces } = reply;
      if ('problems' in result) return await use(result);
      const store = async () => {
        await this.#store(file, pieces);
        await this.#store(imageFile, result.rows.images);
      };
      return await use({ rows: { ...result.rows, pieces, store } });
    } finally {
      await rm(file, { force: true });
      await rm(imageFile, { force: true });
    }
  }

  async #run(task: ReadingTask): Promise<ReadingReply | { readonly problems: readonly RowProblem[] }> {
    const signal = this.#signal;
    const timeout = () => tooLarge('reading the data takes too long', `${MAX_READ_MS / 60_000} minutes`);
    try {
      return await computeInThread(FILE, task, { maxMs: MAX_READ_MS, timeout, maxHeapMb: MAX_HEAP_MB, signal });
    } catch (error) {
      if (signal?.aborted) throw new ShuttingDownError();
      const refusal = isOutOfMemory(error)
        ? tooLarge('reading the data takes too much memory', `${MAX_HEAP_MB} MB`)
        : error;
      if (refusal instanceof UnreadableRowsError) return { problems: [refusal.problem] };
      return throwDiskFailureAsStorageFull(error);
    }
  }

  /** Makes blobs of the parts of a file. */
  async #store(file: string, parts: readonly { readonly sha256: string; readonly sizeBytes: number }[]): Promise<void> {
    const handle = await open(file, 'r');
    try {
      let [position, at] = [0, 0];
      while (at < parts.length) {
        if (this.#signal?.aborted) throw new ShuttingDownError();
        const storing: Promise<string>[] = [];
        for (let bytes = 0; at < parts.length && storing.length < STORED_AT_ONCE && bytes < MAX_BYTES_AT_ONCE; at++) {
          const { sha256, sizeBytes } = parts[at] as (typeof parts)[number];
          const { buffer, bytesRead } = await handle.read(Buffer.allocUnsafe(sizeBytes), 0, sizeBytes, position);
          if (bytesRead !== sizeBytes) throw new StorageFullError();
          storing.push(this.#blobs.put(buffer, sha256));
          position += sizeBytes;
          bytes += sizeBytes;
        }
        await Promise.all(storing);
      }
    } finally {
      await handle.close();
    }
  }
}

function tooLarge(message: string, most: string): UnreadableRowsError {
  return new UnreadableRowsError({ code: 'TOO_LARGE', message, expected: `at most ${most}` });
}

function isOutOfMemory(error: unknown): boolean {
  return (error as NodeJS.ErrnoException).code === 'ERR_WORKER_OUT_OF_MEMORY';
}
