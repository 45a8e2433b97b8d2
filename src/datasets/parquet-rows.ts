/**
 * Rows of Parquet. Sizes that a file states are checked before anything is unpacked, and a part of a row group is read at a
 * time.
 */
import { isUtf8 } from 'node:buffer';
import { type FileHandle, open } from 'node:fs/promises';
import { brotliDecompressSync, gunzipSync, zstdDecompressSync } from 'node:zlib';
import {
  type AsyncBuffer,
  type Compressors,
  type FileMetaData,
  parquetMetadataAsync,
  parquetReadObjects,
  parquetSchema,
  type RowGroup,
  snappyUncompress,
} from 'hyparquet';
import { parquetHeader } from 'hyparquet/src/column.js';
import { mediaTypeOf } from '../tasks/image-file.js';
import { MAX_COLUMNS, MAX_ROWS } from './dataset-limits.js';
import type { RawRow, RawRows } from './raw-rows.js';
import { UnreadableRowsError } from './row-problem.js';

const MIB = 1024 ** 2;
const MAGIC = 'PAR1';
/** The length of the metadata, and `MAGIC`. */
const FOOTER_BYTES = 8;
const MAX_METADATA_BYTES = 16 * MIB;
const MAX_GROUP_BYTES = 256 * MIB;
const MAX_PAGE_BYTES = 64 * MIB;
const MAX_PAGE_VALUES = 4_000_000;
/** Rows that are in memory at a time. */
const ROWS_A_STEP = 10_000;
const MAX_HEADER_BYTES = 64 * 1024;

/** @throws UnreadableRowsError */
export async function parquetRows(path: string): Promise<RawRows> {
  const handle = await open(path);
  const file = await bufferOf(handle);
  try {
    await checkFooter(file);
    const metadata = await parquetMetadataAsync(file, { geoparquet: false });
    checkMetadata(metadata);
    const columns = parquetSchema(metadata).children.map(({ element }) => element.name);
    return { columns, isText: false, rows: rowsOf(handle, file, metadata) };
  } catch (error) {
    await handle.close();
    throw asUnreadable(error, null);
  }
}

async function* rowsOf(handle: FileHandle, file: AsyncBuffer, metadata: FileMetaData): AsyncGenerator<RawRow> {
  let number = 0;
  try {
    for (const group of metadata.row_groups) {
      await checkPages(file, group);
      const end = number + Number(group.num_rows);
      while (number < end) {
        const range = { rowStart: number, rowEnd: Math.min(end, number + ROWS_A_STEP) };
        const rows = await parquetReadObjects({
          ...range,
          file,
          metadata,
          compressors,
          utf8: false,
          geoparquet: false,
        });
        if (rows.length !== range.rowEnd - range.rowStart) throw new Error('rows are missing');
        for (const values of rows) yield { number: ++number, line: null, values: plain(values) };
      }
    }
  } catch (error) {
    throw asUnreadable(error, number + 1);
  } finally {
    await handle.close();
  }
}

function asUnreadable(error: unknown, row: number | null): UnreadableRowsError {
  if (error instanceof UnreadableRowsError) return error;
  const message = `the file cannot be read as Parquet: ${(error as Error).message}`;
  return new UnreadableRowsError({ row, message, expected: 'a Parquet file without encryption' });
}

async function bufferOf(handle: FileHandle): Promise<AsyncBuffer> {
  const { size } = await handle.stat();
  return {
    byteLength: size,
    slice: async (start, end = size) => {
      const from = start < 0 ? size + start : start;
      if (from < 0 || end < from || end > size) throw new Error('it refers to bytes beyond its end');
      const bytes = new Uint8Array(end - from);
      const { bytesRead } = await handle.read(bytes, 0, bytes.length, from);
      if (bytesRead !== bytes.length) throw new Error('it has become shorter');
      return bytes.buffer;
    },
  };
}

async function checkFooter(file: AsyncBuffer): Promise<void> {
  if (file.byteLength < MAGIC.length + FOOTER_BYTES) throw new Error('it is too short');
  const footer = Buffer.from(await file.slice(file.byteLength - FOOTER_BYTES));
  if (footer.toString('latin1', 4) !== MAGIC) throw new Error(`it does not end with ${MAGIC}`);
  const bytes = footer.readUInt32LE(0);
  if (bytes > Math.min(MAX_METADATA_BYTES, file.byteLength - FOOTER_BYTES))
    throw new Error('its metadata are too large');
}

function checkMetadata({ num_rows, row_groups, schema }: FileMetaData): void {
  const tooLarge = (message: string, most: number, received: number | bigint) =>
    new UnreadableRowsError({ code: 'TOO_LARGE', message, expected: `at most ${most}`, received: String(received) });
  if (num_rows > MAX_ROWS) throw tooLarge('there are too many rows', MAX_ROWS, num_rows);
  if (schema.length > MAX_COLUMNS) throw tooLarge('there are too many columns', MAX_COLUMNS, schema.length);
  const sum = row_groups.reduce((rows, group) => rows + group.num_rows, 0n);
  if (sum !== num_rows || row_groups.some((group) => group.num_rows < 0n))
    throw new Error('its row groups have other rows than the file');
  for (const [i, { total_byte_size }] of row_groups.entries())
    if (total_byte_size > MAX_GROUP_BYTES || total_byte_size < 0n)
      throw tooLarge(`row group ${i + 1} has too many bytes; write smaller ones`, MAX_GROUP_BYTES, total_byte_size);
}

/** What pages say of their sizes is believed when they are read. */
async function checkPages(file: AsyncBuffer, { columns, num_rows }: RowGroup): Promise<void> {
  for (const { meta_data: column } of columns) {
    if (!column) throw new Error('a column has no metadata');
    const start = Number(column.dictionary_page_offset || column.data_page_offset);
    const end = start + Number(column.total_compressed_size);
    let values = 0;
    for (let at = start; at < end; ) {
      const view = new DataView(await file.slice(at, Math.min(end, at + MAX_HEADER_BYTES)));
      const reader = { view, offset: 0 };
      const page = parquetHeader(reader);
      const bytes = page.compressed_page_size;
      if (!(bytes >= 0 && page.uncompressed_page_size >= 0 && page.uncompressed_page_size <= MAX_PAGE_BYTES))
        throw new Error(`a page has more than ${MAX_PAGE_BYTES} bytes`);
      const { num_values = 0 } = page.data_page_header ?? page.data_page_header_v2 ?? page.dictionary_page_header ?? {};
      if (!(num_values >= 0 && num_values <= MAX_PAGE_VALUES))
        throw new Error(`a page has more than ${MAX_PAGE_VALUES} values`);
      if (!page.dictionary_page_header) values += num_values;
      at += reader.offset + bytes;
    }
    if (values < Number(num_rows)) throw new Error('a column has fewer values than its row group has rows');
  }
}

/** Of as many bytes as the page says, which were checked. */
const compressors: Compressors = {
  SNAPPY: (input, length) => {
    const output = new Uint8Array(length);
    snappyUncompress(input, output);
    return output;
  },
  GZIP: (input, length) => gunzipSync(input, { maxOutputLength: Math.max(1, length) }),
  BROTLI: (input, length) => brotliDecompressSync(input, { maxOutputLength: Math.max(1, length) }),
  ZSTD: (input, length) => zstdDecompressSync(input, { maxOutputLength: Math.max(1, length) }),
};

function plain(values: Record<string, unknown>): Record<string, unknown> {
  const row: Record<string, unknown> = Object.create(null);
  for (const [name, value] of Object.entries(values)) row[name] = plainValue(value);
  return row;
}

/** As JSON would have it. An image is base64, also in the form of the Hugging Face Hub: an object with its bytes and path. */
function plainValue(value: unknown): unknown {
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? null : value.toISOString();
  if (value instanceof Uint8Array) return textOf(value);
  if (typeof value !== 'object' || value === null) return value;
  if (ArrayBuffer.isView(value)) return Array.from(value as Uint8Array, innerValue);
  if (Array.isArray(value)) return value.map(innerValue);
  const { bytes } = value as { bytes?: unknown };
  if (bytes instanceof Uint8Array && mediaTypeOf(bytes)) return Buffer.from(bytes).toString('base64');
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, innerValue(inner)]));
}

/** Of a list or an object, whose type no column states: digits for a whole number that is not exact as a number of JSON. */
function innerValue(value: unknown): unknown {
  if (typeof value !== 'bigint') return plainValue(value);
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : String(value);
}

function textOf(bytes: Uint8Array): string {
  if (mediaTypeOf(bytes) === null && isUtf8(bytes)) return Buffer.from(bytes).toString();
  return Buffer.from(bytes).toString('base64');
}
