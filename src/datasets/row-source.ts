/** Rows of a file as they are there, before the types of columns are known. Reads a part of the file at a time. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { pipeline, Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { csvRows } from './csv-rows.js';
import { MAX_DATASET_BYTES } from './dataset-limits.js';
import { jsonRows } from './json-rows.js';
import { parquetRows } from './parquet-rows.js';
import type { DatasetFormat, RawRows } from './raw-rows.js';
import { UnreadableRowsError } from './row-problem.js';

/** The bytes of a dataset. */
export type DatasetSource =
  | { readonly kind: 'file'; readonly path: string; readonly format: DatasetFormat; readonly isGzipped: boolean }
  | { readonly kind: 'text'; readonly text: string; readonly format: Exclude<DatasetFormat, 'PARQUET'> };

/** The rows, and the digest of the bytes, which is known when all rows were read. @throws UnreadableRowsError */
export async function openSource(source: DatasetSource): Promise<{ rows: RawRows; sha256: () => Promise<string> }> {
  const hash = createHash('sha256');
  if (source.format === 'PARQUET') {
    const { path } = source as DatasetSource & { kind: 'file' };
    const digest = async () => {
      for await (const chunk of createReadStream(path)) hash.update(chunk);
      return hash.digest('hex');
    };
    return { rows: await parquetRows(path), sha256: digest };
  }
  const bytes = hashed(source.kind === 'text' ? [Buffer.from(source.text)] : createReadStream(source.path), hash);
  const isGzipped = source.kind === 'file' && source.isGzipped;
  // `pipeline` passes errors of the file on to the stream that is read; `pipe` does not.
  const plain = isGzipped ? pipeline(Readable.from(bytes), createGunzip(), () => {}) : bytes;
  const chunks = bounded(plain as AsyncIterable<Buffer>);
  const rows = source.format === 'CSV' ? await csvRows(chunks) : jsonRows(chunks);
  return { rows, sha256: async () => hash.digest('hex') };
}

async function* hashed(chunks: Iterable<Buffer> | AsyncIterable<Buffer>, hash: ReturnType<typeof createHash>) {
  for await (const chunk of chunks) {
    hash.update(chunk);
    yield chunk;
  }
}

/** A few bytes of gzip can stand for millions. */
async function* bounded(chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let bytes = 0;
  for await (const chunk of unpacked(chunks)) {
    bytes += chunk.length;
    if (bytes > MAX_DATASET_BYTES)
      throw new UnreadableRowsError({
        code: 'TOO_LARGE',
        message: 'the dataset is too large',
        expected: `at most ${MAX_DATASET_BYTES} bytes, unpacked`,
        received: 'more',
      });
    yield chunk;
  }
}

async function* unpacked(chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  try {
    yield* chunks;
  } catch (error) {
    if (!(error as NodeJS.ErrnoException).code?.startsWith('Z_')) throw error;
    throw new UnreadableRowsError({ message: `the file cannot be unpacked: ${(error as Error).message}` });
  }
}
