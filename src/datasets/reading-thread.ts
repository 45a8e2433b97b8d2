/**
 * Body of the thread that reads a dataset: see `dataset-reader.ts`. It writes all rows to one file, a piece at a time, and images
 * that rows name to another.
 */
import { closeSync, openSync, writeSync } from 'node:fs';
import { parentPort, workerData } from 'node:worker_threads';
import { type RowsResult, readRows, type WantedRows } from './read-rows.js';
import type { Piece } from './row-pieces.js';

export interface ReadingTask {
  readonly wanted: WantedRows;
  /** File that the rows are written to. */
  readonly file: string;
  readonly imageFile: string;
}

/** A piece that was written. */
export type WrittenPiece = Omit<Piece, 'bytes'> & { readonly sizeBytes: number };

export interface ReadingReply {
  readonly result: RowsResult;
  readonly pieces: readonly WrittenPiece[];
}

const port = parentPort;
if (!port) throw new Error('reading-thread.js runs as a worker thread only. This is a bug.');

// `hyparquet` reads columns at the same time: when one fails, the others may fail before somebody waits for them.
process.on('unhandledRejection', () => {});

/** Appends to a new file. */
function writerOf(file: string) {
  const handle = openSync(file, 'wx', 0o600);
  const write = (bytes: Uint8Array) => {
    for (let done = 0; done < bytes.length; ) done += writeSync(handle, bytes, done);
  };
  return { write, close: () => closeSync(handle) };
}

const { wanted, file, imageFile } = workerData as ReadingTask;
const pieces: WrittenPiece[] = [];
const [rows, images] = [writerOf(file), writerOf(imageFile)];
const result = await readRows(wanted, {
  onPiece: ({ bytes, ...piece }) => {
    rows.write(bytes);
    pieces.push({ ...piece, sizeBytes: bytes.length });
  },
  onImage: images.write,
});
rows.close();
images.close();
port.postMessage({ result, pieces } satisfies ReadingReply);
