/**
 * Perturbations for the batch invariance test, and for observing scores: from a row, each creates a different row. Far larger,
 * far smaller and other numbers, other strings, other tokens.
 */
import { DATATYPES, type TensorArray, type TensorData } from '../tasks/datatypes.js';
import type { GraphRow } from './batch.js';
import type { OpenSession } from './native/session-thread.js';

/** Creates a neighbor of `row`. `n` numbers the neighbors, so that each of them is different. */
export type Perturbation = (row: GraphRow, n: number) => GraphRow;

/** Whether the graph runs this row alone without an error. */
export async function isRunnable(session: OpenSession, row: GraphRow): Promise<boolean> {
  return session.run(row).then(
    () => true,
    () => false,
  );
}

// ── numbers and strings ──

interface Change {
  readonly float: (x: number, i: number) => number;
  readonly int: (x: number, i: number, seen: readonly number[]) => number;
  readonly word: (x: string, i: number, seen: readonly string[]) => string;
}

/** Larger integers may overflow, and the extremes of a datatype may crash the process: INT_MIN / −1. */
const MAX_INT = 1_000_000;
/** Used if all strings are empty. It is also a valid number, for graphs that parse strings. */
const SOME_WORD = '1';
const DIGITS = 9;

/**
 * Perturbations with far larger, far smaller and other values than those of these rows. They set no integer to zero,
 * except to a zero that the rows already contain, because an integer division by zero may crash the process.
 */
export function numericPerturbations(rows: readonly GraphRow[]): Perturbation[] {
  const seen = new Map(rows[0]?.map(({ name }) => [name, discreteValuesOf(rows, name)]));
  const perturbation = (change: (n: number) => Change) => (row: GraphRow, n: number) =>
    row.map((tensor) => ({ ...tensor, data: changed(tensor, change(n), seen.get(tensor.name) ?? []) }));
  const large = (x: number) => (x === 0 ? 1_000 : x * 1_000);
  const small = (x: number) => (x === 0 ? -1_000 : x * -1_000);
  const isSwapped = (n: number): Change => ({
    float: large,
    int: (_, i, values) => pickByHash([...values, 1], n, i),
    word: (_, i, values) => pickByHash([...values, SOME_WORD], n, i),
  });
  return [
    perturbation((n) => ({ ...isSwapped(n), int: large })),
    perturbation((n) => ({ ...isSwapped(n), float: () => 0, word: () => '' })),
    perturbation((n) => ({ ...isSwapped(n), float: small, int: small, word: () => '' })),
    perturbation((n) => ({ ...isSwapped(n), int: (_, i) => 1 + (hash(n, i) % 100) })),
    perturbation((n) => ({ ...isSwapped(n), float: (_, i) => digit(n, i), int: (_, i) => digit(n, i) })),
    perturbation((n) => ({ ...isSwapped(n), float: (_, i) => digit(n, i) })),
  ];
}

/**
 * The row with each number multiplied by a factor from −`most` to `most`, and with other words in every second `n`.
 * Integers become digits: larger ones may be out of the range of an index.
 */
export function rescaled(row: GraphRow, n: number, most: number): GraphRow {
  const factor = (i: number) => (most * ((hash(n, i) % 2_001) - 1_000)) / 1_000;
  const change: Change = {
    float: (x, i) => (x === 0 ? 1 : x) * factor(i),
    int: (_, i) => digit(n, i),
    word: (x) => (n % 2 === 0 ? x : ''),
  };
  return row.map((tensor) => ({ ...tensor, data: changed(tensor, change, []) }));
}

/** If all rows are zero, adds a row of other numbers: a graph may answer zero to zeros in any batch. */
export async function withNonZeroRow(
  session: OpenSession,
  rows: readonly GraphRow[],
  perturbations: readonly Perturbation[],
): Promise<readonly GraphRow[]> {
  const [first] = rows;
  const isBlank = rows.every((row) => row.every(({ data }) => data.every((x: unknown) => !x)));
  if (!first || !isBlank) return rows;
  for (const perturbation of perturbations.slice(-2)) {
    const row = perturbation(first, 0);
    if (await isRunnable(session, row)) return [...rows, row];
  }
  return rows;
}

function changed({ datatype, data }: TensorData, change: Change, seen: readonly (number | string)[]): TensorArray {
  if (Array.isArray(data)) return data.map((x, i) => change.word(x, i, seen as readonly string[]));
  if (datatype === 'BOOL') return (data as Uint8Array).map((x) => 1 - x);
  const range = DATATYPES[datatype]?.range;
  if (!range) return (data as Float32Array).map(change.float);
  const int = (x: number, i: number) => clampChange(range, x, change.int(x, i, seen as readonly number[]));
  if (data instanceof BigInt64Array || data instanceof BigUint64Array)
    return (data as BigInt64Array).map((x, i) => BigInt(int(Number(x), i)));
  return (data as Int32Array).map(int);
}

function clampChange([low, high]: readonly [bigint, bigint], x: number, wanted: number): number {
  if (wanted === x) return x;
  const limit = Math.min(Math.max(MAX_INT, 2 * Math.abs(x)), Number.MAX_SAFE_INTEGER);
  const least = low === 0n ? Number(wanted !== 0) : Math.max(-limit, Number(low) + 1);
  return Math.max(least, Math.min(wanted, limit, Number(high) - 1));
}

/** The distinct values of an integer or string tensor; empty for floats. */
function discreteValuesOf(rows: readonly GraphRow[], name: string): (number | string)[] {
  const values = new Set<number | string>();
  for (const row of rows) {
    const tensor = row.find((one) => one.name === name);
    if (!tensor || DATATYPES[tensor.datatype]?.range === null) continue;
    for (const x of tensor.data) values.add(typeof x === 'string' ? x : Number(x));
  }
  return [...values];
}

function pickByHash<T>(values: readonly T[], n: number, i: number): T {
  return values[hash(n, i) % values.length] as T;
}

function digit(n: number, i: number): number {
  return 1 + (hash(n, i) % DIGITS);
}

/** Deterministic, so that every import of a version tries the same neighbors. */
function hash(n: number, i: number): number {
  let x = Math.imul(n + 1, 0x9e3779b1) ^ Math.imul(i + 1, 0x85ebca6b);
  x = Math.imul(x ^ (x >>> 15), 0x2c1b3c6d);
  return (x ^ (x >>> 12)) >>> 0;
}

// ── tokens ──

/**
 * The largest token id to try: the last of the vocabulary, or the largest of these rows if the graph rejects that one.
 * The embedding table may be smaller than the vocabulary, and its size is unknown.
 */
export async function largestId(
  session: OpenSession,
  rows: readonly GraphRow[],
  vocabularySize: number | null,
): Promise<number> {
  const seen = rows.flatMap((row) => row.filter(({ name }) => name === 'input_ids').map(({ data }) => data));
  const largest = seen.reduce((most, data) => (data as Int32Array).reduce((a, b) => Math.max(a, Number(b)), most), 0);
  const wanted = (vocabularySize ?? 0) - 1;
  const [first] = rows;
  if (!first || wanted <= largest) return largest;
  return (await isRunnable(
    session,
    withIds(first, () => wanted),
  ))
    ? wanted
    : largest;
}

/** Replaces the token ids and keeps all other inputs, such as the attention mask. */
export function withIds(row: GraphRow, idAt: (i: number) => number): GraphRow {
  return row.map((tensor) => {
    if (tensor.name !== 'input_ids') return tensor;
    const { data } = tensor;
    if (data instanceof BigInt64Array) return { ...tensor, data: data.map((_, i) => BigInt(idAt(i))) };
    return { ...tensor, data: (data as Int32Array).map((_, i) => idAt(i)) };
  });
}

/** The k-th value of a sequence that visits each id from 0 to `largest` once, in scattered order, and then repeats. */
export function scattered(k: number, largest: number): number {
  const count = largest + 1;
  let step = Math.max(1, Math.floor(count * 0.618));
  while (greatestDivisor(step, count) > 1) step++;
  return (k * step) % count;
}

function greatestDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestDivisor(b, a % b);
}

export function sequenceLength([first]: GraphRow): number {
  return first?.shape[first.ragged === 'values' ? 0 : 1] ?? 1;
}

/** The same tokens in reverse order. */
export function reversed(row: GraphRow): GraphRow {
  return row.map((tensor) =>
    tensor.name === 'input_ids' ? { ...tensor, data: (tensor.data as BigInt64Array).toReversed() } : tensor,
  );
}

/** The row, which is joined to others, with all its values twice. */
export function doubled(row: GraphRow): GraphRow {
  return row.map((tensor) => {
    if (tensor.ragged !== 'values') return tensor;
    const data = tensor.data as BigInt64Array;
    const twice = (data.constructor as typeof BigInt64Array).from([...data, ...data]);
    return { ...tensor, shape: [twice.length], data: twice };
  });
}

/** The row repeated to twice its length, up to `maxTokens`. */
export function repeated(row: GraphRow, maxTokens: number): GraphRow {
  const length = Math.min(2 * sequenceLength(row), maxTokens);
  if (length <= sequenceLength(row)) return row;
  return row.map((tensor) => {
    const data = tensor.data as BigInt64Array;
    const values = Array.from({ length }, (_, i) => data[i % data.length] as bigint);
    const counted =
      tensor.name === 'position_ids' ? values.map((value, i) => (typeof value === 'bigint' ? BigInt(i) : i)) : values;
    return {
      ...tensor,
      shape: [1, length],
      data: (data.constructor as typeof BigInt64Array).from(counted as bigint[]),
    };
  });
}
