/** Checks numbers as clients send them, in tensors and rows, against the datatype of the graph that they feed. */
import { DATATYPES, type Datatype } from './datatypes.js';

/** Why a value is refused. */
export type NumberRefusal = 'WRONG_TYPE' | 'OUT_OF_RANGE' | 'NOT_FINITE';

/** A whole number as a string, which keeps digits that a JSON number loses. */
const DIGITS = /^-?\d{1,20}$/;

export function isDigits(value: unknown): value is string {
  return typeof value === 'string' && DIGITS.test(value);
}

/** Whether the datatype holds whole numbers beyond 2^53. */
export function isWide(datatype: string): boolean {
  return datatype === 'INT64' || datatype === 'UINT64';
}

/** The value as a number of this datatype, or why it is refused. Whole numbers may be strings of digits. */
export function readNumber(type: Datatype, value: unknown): number | bigint | NumberRefusal {
  return type.range ? readInteger(type, value) : readFloat(type, value);
}

function readFloat({ bytes }: Datatype, value: unknown): number | NumberRefusal {
  if (typeof value !== 'number') return 'WRONG_TYPE';
  if (!Number.isFinite(value)) return 'NOT_FINITE';
  const rounded = bytes === 8 ? value : bytes === 4 ? Math.fround(value) : Math.f16round(value);
  return Number.isFinite(rounded) ? value : 'OUT_OF_RANGE';
}

function readInteger({ ort, range }: Datatype, value: unknown): number | bigint | NumberRefusal {
  if (typeof value === 'boolean') return ort === 'bool' ? Number(value) : 'WRONG_TYPE';
  if (typeof value !== 'number') return isDigits(value) ? withinRange(range, BigInt(value)) : 'WRONG_TYPE';
  if (value === Infinity || value === -Infinity) return 'NOT_FINITE';
  if (!Number.isInteger(value)) return 'WRONG_TYPE';
  return Number.isSafeInteger(value) ? withinRange(range, BigInt(value)) : 'OUT_OF_RANGE';
}

function withinRange(range: Datatype['range'], whole: bigint): bigint | NumberRefusal {
  const [minimum, maximum] = range as readonly [bigint, bigint];
  return whole >= minimum && whole <= maximum ? whole : 'OUT_OF_RANGE';
}

/** The message for a value that is refused with `code`. */
export function numberMessage(datatype: string, value: unknown, code: NumberRefusal): string {
  const range = DATATYPES[datatype]?.range;
  if (code === 'NOT_FINITE') return 'the number is not finite';
  if (code === 'WRONG_TYPE') return `${datatype} values are ${range ? 'whole ' : ''}numbers`;
  if (isWide(datatype) && typeof value === 'number' && Math.abs(value) <= Number(range?.[1]))
    return `a JSON number beyond 2^53 loses digits: send it as a string, such as "${2n ** 53n + 1n}"`;
  const limits = range ? `whole numbers from ${range[0]} to ${range[1]}` : `numbers up to ${LARGEST[datatype]}`;
  return `the value does not fit ${datatype}, which holds ${limits}`;
}

const LARGEST: Readonly<Record<string, number>> = {
  FP16: 65_504,
  FP32: (2 - 2 ** -23) * 2 ** 127,
  FP64: Number.MAX_VALUE,
};
