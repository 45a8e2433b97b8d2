/**
 * The input `bytes`: a file as base64 or as a `data:` URL, for models that read the bytes of files. A model reads the
 * beginning and the end of a file, as its spec says, so that only these are sent to a worker.
 */
import { arrayOf, type TensorData } from './datatypes.js';
import { type AnyItem, defineInput } from './define-input.js';
import { splitDataUrl } from './image.js';
import type { Problems } from './problems.js';
import { onlyInput } from './row.js';
import type { AnySpec, BytesSpec, Example, SpecBase } from './spec.js';
import { decodeBase64 } from './tensors.js';

/** Of a file that is sent. */
export const MAX_FILE_BYTES = 8_388_608;
/** Of a file, at the beginning and at the end. */
export const MAX_BYTES_READ = 2_097_152;

interface BytesItem extends AnyItem {
  readonly kind: 'bytes';
  /** Bytes, and the value for missing ones. */
  readonly values: Int32Array;
}

export const bytesInput = defineInput({ kind: 'BYTES', key: 'bytes', check: checkBytes });

const EXPECTED = `a file of at most ${MAX_FILE_BYTES / 1_048_576} MiB, as base64 or a data: URL`;

/** Problems have the path `bytes`. */
function checkBytes(text: string, { bytes: spec }: AnySpec, problems: Problems): BytesItem {
  const path = ['bytes'];
  const { media, base64 } = splitDataUrl(text);
  const file = decodeBase64(base64);
  if (media === null) problems.add(path, 'UNREADABLE', 'the data: URL is not encoded as base64', EXPECTED, text);
  else if (base64 === '') problems.add(path, 'EMPTY', 'the file is empty', EXPECTED, text);
  else if (!file) problems.add(path, 'UNREADABLE', 'the value is not valid base64', EXPECTED, text);
  else if (file.length > MAX_FILE_BYTES)
    problems.add(path, 'TOO_LARGE', 'the file is too large', EXPECTED, `${file.length} bytes`);
  const values = spec ? bytesRead(file ?? Buffer.alloc(0), spec) : new Int32Array();
  return { kind: 'bytes', rows: 1, work: Math.max(1, values.length), preprocessingWork: 0, values };
}

/** What a model reads of a file. */
export function bytesRead(file: Uint8Array, { begin, end, padding, stripWithin }: BytesSpec): Int32Array {
  const values = new Int32Array(begin + end).fill(padding);
  const block = stripWithin ?? file.length;
  const first = stripWithin === null ? file : stripStart(file.subarray(0, block));
  values.set(first.subarray(0, begin));
  const last = stripWithin === null ? file : stripEnd(file.subarray(Math.max(0, file.length - block)));
  const ending = last.subarray(Math.max(0, last.length - end));
  if (end > 0) values.set(ending, begin + end - ending.length);
  return values;
}

function stripStart(bytes: Uint8Array): Uint8Array {
  const start = bytes.findIndex((byte) => !isWhitespace(byte));
  return bytes.subarray(start < 0 ? bytes.length : start);
}

function stripEnd(bytes: Uint8Array): Uint8Array {
  return bytes.subarray(0, bytes.findLastIndex((byte) => !isWhitespace(byte)) + 1);
}

/** As of Python's `bytes.strip`: tab, line feed, vertical tab, form feed, carriage return, space. */
function isWhitespace(byte: number): boolean {
  return byte === 0x20 || (byte >= 0x09 && byte <= 0x0d);
}

/** Builds the input of the graph, of the shape [1, begin + end]. */
export function preprocessBytes({ values }: BytesItem, spec: Pick<SpecBase, 'inputs'>): TensorData[] {
  const input = onlyInput(spec);
  return [{ name: input.name, datatype: input.datatype, shape: [1, values.length], data: arrayOf(input, [...values]) }];
}

export function bytesExamples(): Example[] {
  return [{ bytes: Buffer.from('Hello, world! This is a plain text.\n').toString('base64') }];
}
