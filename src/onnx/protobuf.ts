/**
 * A strict reader for the protobuf wire format, and a minimal writer to replace single fields of a message.
 *
 * The reader checks every length, copies no data and does not recurse. It knows no schema: callers interpret fields by
 * their number.
 */

/** The bytes are not a valid protobuf message. */
export class MalformedProtobufError extends Error {}

export interface ProtobufField {
  readonly number: number;
  /** The value of a varint, 0 for other wire types. Rounded if it exceeds ±2^53. */
  readonly value: number;
  /** The content of a length-delimited or fixed-size field, empty for a varint. */
  readonly bytes: Uint8Array;
  /** The complete field, including its tag and length. */
  readonly whole: Uint8Array;
}

const VARINT = 0;
const FIXED_64 = 1;
const LENGTH_DELIMITED = 2;
const FIXED_32 = 5;
const LONGEST_VARINT = 10;
/** Marks a varint field. Compared by identity, because a length-delimited field may be empty too. */
const NO_BYTES = new Uint8Array();

/**
 * Iterates over the fields of a message in file order.
 *
 * @throws MalformedProtobufError
 */
export function* fieldsOf(message: Uint8Array): Generator<ProtobufField> {
  const at = { position: 0 };
  while (at.position < message.length) {
    const start = at.position;
    const whole = () => message.subarray(start, at.position);
    const key = readVarint(message, at);
    const number = Math.floor(key / 8);
    const wireType = key % 8;
    if (number < 1) throw new MalformedProtobufError('a field has an invalid number');
    if (wireType === VARINT) {
      const value = readVarint(message, at);
      yield { number, value, bytes: NO_BYTES, whole: whole() };
    } else {
      const length = fieldLength(wireType, message, at);
      if (length > message.length - at.position) {
        throw new MalformedProtobufError(
          `field ${number} claims ${length} bytes, but only ${message.length - at.position} remain`,
        );
      }
      at.position += length;
      yield { number, value: 0, bytes: message.subarray(at.position - length, at.position), whole: whole() };
    }
  }
}

/** The size of a field's content, in bytes; 0 for a varint, which is read. Moves `at` behind the length. @throws MalformedProtobufError */
export function fieldLength(wireType: number, message: Uint8Array, at: { position: number }): number {
  if (wireType === LENGTH_DELIMITED) {
    const length = readVarint(message, at);
    if (length < 0) throw new MalformedProtobufError('a length is negative');
    return length;
  }
  if (wireType === FIXED_64) return 8;
  if (wireType === FIXED_32) return 4;
  if (wireType === VARINT) {
    readVarint(message, at);
    return 0;
  }
  throw new MalformedProtobufError(`wire type ${wireType} does not exist`);
}

/** Reads a varint as a signed 64-bit integer, and moves `at` behind it. @throws MalformedProtobufError */
export function readVarint(message: Uint8Array, at: { position: number }): number {
  let [low, high] = [0, 0];
  for (let i = 0; i < LONGEST_VARINT; i++) {
    const byte = message[at.position++];
    if (byte === undefined) throw new MalformedProtobufError('the data ends inside a varint');
    const bits = byte & 0x7f;
    if (i < 4) low += bits * 2 ** (7 * i);
    else high += bits * 2 ** (7 * (i - 4));
    if (byte < 0x80) return toSigned(low, high);
  }
  throw new MalformedProtobufError('a varint has more than 10 bytes');
}

/** Joins the low 28 and the high 36 bits. Exact for values near zero, positive or negative. */
function toSigned(low: number, high: number): number {
  if (high < 2 ** 35) return high * 2 ** 28 + low;
  return -((2 ** 36 - 1 - high) * 2 ** 28 + (2 ** 28 - low));
}

/** The varints of a packed field, or the single value of an unpacked one. */
export function numbersOf({ value, bytes }: ProtobufField): number[] {
  if (bytes === NO_BYTES) return [value];
  const at = { position: 0 };
  const numbers = [];
  while (at.position < bytes.length) numbers.push(readVarint(bytes, at));
  return numbers;
}

/** Counts the varints of a packed field without decoding them. */
export function countNumbers({ bytes }: ProtobufField): number {
  if (bytes === NO_BYTES) return 1;
  let count = 0;
  for (const byte of bytes) if (byte < 0x80) count++;
  return count;
}

const decoder = new TextDecoder();

export function fieldText({ bytes }: ProtobufField): string {
  return decoder.decode(bytes);
}

/** The text of the first field with that number; empty if there is none. */
export function stringField(message: Uint8Array, number: number): string {
  for (const field of fieldsOf(message)) if (field.number === number) return fieldText(field);
  return '';
}

/** Encodes a length-delimited field. */
export function encodeField(number: number, content: Uint8Array | string): Uint8Array {
  const bytes = typeof content === 'string' ? Buffer.from(content) : content;
  return Buffer.concat([encodeVarint(number * 8 + LENGTH_DELIMITED), encodeVarint(bytes.length), bytes]);
}

/** Encodes a varint field. `value` must be a non-negative integer. */
export function encodeNumber(number: number, value: number): Uint8Array {
  return Buffer.concat([encodeVarint(number * 8 + VARINT), encodeVarint(value)]);
}

function encodeVarint(value: number): Uint8Array {
  const bytes = [];
  for (let rest = value; ; rest = Math.floor(rest / 128)) {
    if (rest < 128) return Uint8Array.of(...bytes, rest);
    bytes.push((rest % 128) + 128);
  }
}
