/**
 * The wire format of protocol buffers, strictly: every length is checked, nothing is copied, nothing recurses. And as
 * much of writing as it takes to put a changed part back.
 */
export class MalformedProtobufError extends Error {}

export interface ProtobufField {
  readonly number: number;
  /** Of a varint; a 64-bit one beyond 2^53 is only near to what was written. */
  readonly value: number;
  /** Of a length-delimited field, and of fixed ones. */
  readonly bytes: Uint8Array;
  /** The whole field, number and length included. */
  readonly whole: Uint8Array;
}

const VARINT = 0;
const FIXED_64 = 1;
const LENGTH_DELIMITED = 2;
const FIXED_32 = 5;
const LONGEST_VARINT = 10;
/** What a varint field has; a length-delimited one may be empty too, but is another array. */
const NO_BYTES = new Uint8Array();

/** @throws MalformedBytes */
export function* fieldsOf(message: Uint8Array): Generator<ProtobufField> {
  const at = { position: 0 };
  while (at.position < message.length) {
    const start = at.position;
    const whole = () => message.subarray(start, at.position);
    const key = readVarint(message, at);
    const number = Math.floor(key / 8);
    const wireType = key % 8;
    if (number < 1) throw new MalformedProtobufError('a field has no number');
    if (wireType === VARINT) {
      const value = readVarint(message, at);
      yield { number, value, bytes: NO_BYTES, whole: whole() };
    } else {
      const length = fieldLength(wireType, message, at);
      if (length > message.length - at.position) {
        throw new MalformedProtobufError(
          `field ${number} says it has ${length} bytes, and ${message.length - at.position} are left`,
        );
      }
      at.position += length;
      yield { number, value: 0, bytes: message.subarray(at.position - length, at.position), whole: whole() };
    }
  }
}

function fieldLength(wireType: number, message: Uint8Array, at: { position: number }): number {
  if (wireType === LENGTH_DELIMITED) return readVarint(message, at);
  if (wireType === FIXED_64) return 8;
  if (wireType === FIXED_32) return 4;
  throw new MalformedProtobufError(`wire type ${wireType} does not exist`);
}

/** As a signed 64-bit integer. */
function readVarint(message: Uint8Array, at: { position: number }): number {
  let [low, high] = [0, 0];
  for (let i = 0; i < LONGEST_VARINT; i++) {
    const byte = message[at.position++];
    if (byte === undefined) throw new MalformedProtobufError('it ends in the middle of a number');
    const bits = byte & 0x7f;
    if (i < 4) low += bits * 2 ** (7 * i);
    else high += bits * 2 ** (7 * (i - 4));
    if (byte < 0x80) return toSigned(low, high);
  }
  throw new MalformedProtobufError('a number has more than ten bytes');
}

/** `low` is 28 bits, `high` the 36 above; near zero nothing is lost on either side. */
function toSigned(low: number, high: number): number {
  if (high < 2 ** 35) return high * 2 ** 28 + low;
  return -((2 ** 36 - 1 - high) * 2 ** 28 + (2 ** 28 - low));
}

/** The numbers of a packed field, or the one of an unpacked. */
export function numbersOf({ value, bytes }: ProtobufField): number[] {
  if (bytes === NO_BYTES) return [value];
  const at = { position: 0 };
  const numbers = [];
  while (at.position < bytes.length) numbers.push(readVarint(bytes, at));
  return numbers;
}

/** How many numbers a packed field has, without decoding them. */
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
export function textAt(message: Uint8Array, number: number): string {
  for (const field of fieldsOf(message)) if (field.number === number) return fieldText(field);
  return '';
}

/** A length-delimited field. */
export function encodeField(number: number, content: Uint8Array | string): Uint8Array {
  const bytes = typeof content === 'string' ? Buffer.from(content) : content;
  return Buffer.concat([encodeVarint(number * 8 + LENGTH_DELIMITED), encodeVarint(bytes.length), bytes]);
}

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
