/**
 * The payload of frames with a batch of numbers and of the replies to it. It is flat: numbers are copied, not described one
 * by one, which takes a tenth of the time of a structured clone. All integers are little endian.
 *
 *   batch  1, flags, 0, 0 · id, key bytes, items, inputs (u32) · key · rows of each item (u32) · inputs
 *   ran    2, flags, 0, 0 · id, runs (u32) · timing (3 × f64) · CPU ms, grown bytes (f64) · runs
 *   run    items, outputs (u32) · positions of the items (u32) · outputs
 *   failed run   items, 2^32 − 1 (u32) · positions · kind, message bytes (u32) · message
 *   array  type, dimensions, 0, 0 · byte length (u32) · dimensions (u32) · values
 *   texts  255, dimensions, 0, 0 · byte length (u32) · dimensions (u32) · number, byte lengths (u32) · UTF-8
 *
 * A structured clone begins with 0xff. Every part begins at a multiple of 4, and a payload ends with its last part.
 */
import type { NumericArray, TensorArray } from '../tasks/datatypes.js';
import type { NumericOutput, NumericRun } from '../tasks/numeric.js';
import type { BatchUse, FromWorker, NumericBatchMessage } from './messages.js';

type NumberedBatch = NumericBatchMessage & { readonly id: number };
type Ran = Extract<FromWorker, { kind: 'ran' }>;

const BATCH = 1;
const RAN = 2;
const FAILED = 0xffff_ffff;
const [ANNOUNCES_START, MEASURES_USE, ARE_TENSORS] = [1, 2, 4];
const [HAS_USE, HAS_GROWN_BYTES] = [1, 2];
/** The type of outputs that are strings, such as labels. Inputs never are. */
const TEXTS = 0xff;
const FAILURES = ['inference', 'memory'] as const;

const ARRAYS = [
  Float16Array,
  Float32Array,
  Float64Array,
  Int8Array,
  Uint8Array,
  Int16Array,
  Uint16Array,
  Int32Array,
  Uint32Array,
  BigInt64Array,
  BigUint64Array,
] as const;
/** By name, because an array may be of another realm. */
const TYPES = new Map<string, number>(ARRAYS.map(({ name }, type) => [name, type]));

export function isNumericMessage(message: unknown): message is NumberedBatch | Ran {
  const kind = (message as { readonly kind?: unknown } | null)?.kind;
  return kind === 'numericBatch' || kind === 'ran';
}

/** The payload, after `headerBytes` that are left free. */
export function encodeNumeric(message: NumberedBatch | Ran, headerBytes: number): Buffer {
  return message.kind === 'ran' ? encodeRan(message, headerBytes) : encodeBatch(message, headerBytes);
}

/** @throws Error if the payload is not exactly one message */
export function decodeNumeric(payload: Buffer): NumberedBatch | Ran {
  const reader = new Reader(payload);
  const tag = payload[0];
  if (tag !== BATCH && tag !== RAN) throw new Error(`unknown kind of payload: ${tag}`);
  const message = tag === BATCH ? decodeBatch(reader) : decodeRan(reader);
  reader.expectEnd();
  return message;
}

// ── batch ──

function encodeBatch(message: NumberedBatch, headerBytes: number): Buffer {
  const { id, key, counts, inputs, areTensors, announceStart, measureUse } = message;
  const keyBytes = Buffer.byteLength(key);
  let size = 20 + padded(keyBytes) + 4 * counts.length;
  for (const input of inputs) size += sizeOfArray(input, 0);
  const writer = new Writer(headerBytes, size);
  const flags =
    (announceStart ? ANNOUNCES_START : 0) | (measureUse ? MEASURES_USE : 0) | (areTensors ? ARE_TENSORS : 0);
  writer.word(BATCH | (flags << 8));
  writer.word(id);
  writer.word(keyBytes);
  writer.word(counts.length);
  writer.word(inputs.length);
  writer.text(key, keyBytes);
  for (const count of counts) writer.word(count);
  for (const input of inputs) writer.array(input, []);
  return writer.bytes;
}

function decodeBatch(reader: Reader): NumberedBatch {
  const flags = reader.word() >>> 8;
  const [id, keyBytes, items, inputCount] = [reader.word(), reader.word(), reader.word(), reader.word()];
  const key = reader.text(keyBytes);
  const counts = reader.words(items);
  const inputs: NumericArray[] = [];
  for (let i = 0; i < inputCount; i++) inputs.push(reader.numbers());
  return {
    kind: 'numericBatch',
    id,
    key,
    counts,
    inputs,
    areTensors: (flags & ARE_TENSORS) !== 0,
    announceStart: (flags & ANNOUNCES_START) !== 0,
    measureUse: (flags & MEASURES_USE) !== 0,
  };
}

// ── ran ──

function encodeRan({ id, runs, timing, use }: Ran, headerBytes: number): Buffer {
  let size = 12 + 40;
  for (const run of runs) size += sizeOfRun(run);
  const writer = new Writer(headerBytes, size);
  const grownBytes = use?.grownBytes ?? null;
  writer.word(RAN | (((use ? HAS_USE : 0) | (grownBytes === null ? 0 : HAS_GROWN_BYTES)) << 8));
  writer.word(id);
  writer.word(runs.length);
  for (const ms of [timing.preprocessMs, timing.inferMs, timing.postprocessMs]) writer.double(ms);
  writer.double(use?.cpuMs ?? 0);
  writer.double(grownBytes ?? 0);
  for (const run of runs) writeRun(writer, run);
  return writer.bytes;
}

function sizeOfRun(run: NumericRun): number {
  const size = 8 + 4 * run.items.length;
  if ('failure' in run) return size + 8 + padded(Buffer.byteLength(run.failure.message));
  return run.outputs.reduce((sum, { shape, data }) => sum + sizeOfArray(data, shape.length), size);
}

function writeRun(writer: Writer, run: NumericRun): void {
  writer.word(run.items.length);
  writer.word('failure' in run ? FAILED : run.outputs.length);
  for (const item of run.items) writer.word(item);
  if ('failure' in run) {
    const { kind, message } = run.failure;
    const bytes = Buffer.byteLength(message);
    writer.word(FAILURES.indexOf(kind));
    writer.word(bytes);
    writer.text(message, bytes);
  } else for (const { shape, data } of run.outputs) writer.array(data, shape);
}

function decodeRan(reader: Reader): Ran {
  const flags = reader.word() >>> 8;
  const id = reader.word();
  const count = reader.word();
  const timing = { preprocessMs: reader.double(), inferMs: reader.double(), postprocessMs: reader.double() };
  const [cpuMs, grownBytes] = [reader.double(), reader.double()];
  const use: BatchUse | null =
    flags & HAS_USE ? { cpuMs, grownBytes: flags & HAS_GROWN_BYTES ? grownBytes : null } : null;
  const runs: NumericRun[] = [];
  for (let i = 0; i < count; i++) runs.push(readRun(reader));
  return { kind: 'ran', id, runs, timing, use };
}

function readRun(reader: Reader): NumericRun {
  const count = reader.word();
  const outputCount = reader.word();
  const items = reader.words(count);
  if (outputCount === FAILED) {
    const kind = FAILURES[reader.word()];
    if (!kind) throw new Error('unknown kind of failure');
    return { items, failure: { kind, message: reader.text(reader.word()) } };
  }
  const outputs: NumericOutput[] = [];
  for (let i = 0; i < outputCount; i++) outputs.push(reader.array());
  return { items, outputs };
}

// ── parts ──

function padded(bytes: number): number {
  return bytes + (-bytes & 3);
}

function sizeOfArray(data: TensorArray, dimensions: number): number {
  return (
    8 +
    4 * dimensions +
    (Array.isArray(data) ? 4 + 4 * data.length + padded(bytesOfTexts(data)) : padded(data.byteLength))
  );
}

function bytesOfTexts(texts: readonly string[]): number {
  let bytes = 0;
  for (const text of texts) bytes += Buffer.byteLength(text);
  return bytes;
}

class Writer {
  readonly bytes: Buffer;
  #at: number;

  constructor(headerBytes: number, size: number) {
    this.bytes = Buffer.allocUnsafe(headerBytes + size);
    this.#at = headerBytes;
  }

  word(value: number): void {
    this.#at = this.bytes.writeUInt32LE(value >>> 0, this.#at);
  }

  double(value: number): void {
    this.#at = this.bytes.writeDoubleLE(value, this.#at);
  }

  text(text: string, bytes: number): void {
    this.bytes.write(text, this.#at);
    this.#pad(bytes);
  }

  array(data: TensorArray, shape: readonly number[]): void {
    if (Array.isArray(data)) {
      this.#texts(data, shape);
      return;
    }
    this.word((TYPES.get(data[Symbol.toStringTag]) as number) | (shape.length << 8));
    this.word(data.byteLength);
    for (const size of shape) this.word(size);
    this.bytes.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), this.#at);
    this.#pad(data.byteLength);
  }

  #texts(texts: readonly string[], shape: readonly number[]): void {
    const bytes = bytesOfTexts(texts);
    this.word(TEXTS | (shape.length << 8));
    this.word(bytes);
    for (const size of shape) this.word(size);
    this.word(texts.length);
    for (const text of texts) this.word(Buffer.byteLength(text));
    let at = this.#at;
    for (const text of texts) at += this.bytes.write(text, at);
    this.#pad(bytes);
  }

  /** Overwrites what the memory held before. */
  #pad(bytes: number): void {
    const end = this.#at + padded(bytes);
    for (let at = this.#at + bytes; at < end; at++) this.bytes[at] = 0;
    this.#at = end;
  }
}

/** Every read is within the payload, or throws. */
class Reader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  word(): number {
    const value = this.#bytes.readUInt32LE(this.#at);
    this.#at += 4;
    return value;
  }

  double(): number {
    const value = this.#bytes.readDoubleLE(this.#at);
    this.#at += 8;
    return value;
  }

  words(count: number): number[] {
    this.#expect(4 * count);
    return Array.from({ length: count }, () => this.word());
  }

  text(bytes: number): string {
    this.#expect(padded(bytes));
    const text = this.#bytes.toString('utf8', this.#at, this.#at + bytes);
    this.#at += padded(bytes);
    return text;
  }

  array(): NumericOutput {
    const first = this.word();
    const byteLength = this.word();
    const shape = this.words((first >>> 8) & 0xff);
    return { shape, data: (first & 0xff) === TEXTS ? this.#texts(byteLength) : this.#values(first, byteLength) };
  }

  /** Of an input. */
  numbers(): NumericArray {
    const { data } = this.array();
    if (Array.isArray(data)) throw new Error('an input is not numeric');
    return data;
  }

  #texts(byteLength: number): string[] {
    const lengths = this.words(this.word());
    this.#expect(padded(byteLength));
    let at = this.#at;
    const texts = lengths.map((length) => {
      at += length;
      return this.#bytes.toString('utf8', at - length, at);
    });
    if (at !== this.#at + byteLength) throw new Error('texts have another length than they say');
    this.#at += padded(byteLength);
    return texts;
  }

  /** A copy, in memory of its own: what remains of a frame may be large. */
  #values(first: number, byteLength: number): NumericArray {
    const ArrayType = ARRAYS[first & 0xff];
    this.#expect(padded(byteLength));
    if (!ArrayType || byteLength % ArrayType.BYTES_PER_ELEMENT !== 0) throw new Error('an array is not valid');
    const start = this.#bytes.byteOffset + this.#at;
    this.#at += padded(byteLength);
    return new ArrayType(this.#bytes.buffer.slice(start, start + byteLength) as ArrayBuffer);
  }

  expectEnd(): void {
    if (this.#at !== this.#bytes.length) throw new Error(`${this.#bytes.length - this.#at} bytes follow the message`);
  }

  #expect(bytes: number): void {
    if (bytes > this.#bytes.length - this.#at) throw new Error('the payload is shorter than it says');
  }
}
