/**
 * What stands beside a row when it is tried in company: rows as unlike it as can be found.
 */
import { DATATYPES, type TensorArray, type TensorData } from '../tasks/datatypes.js';
import type { GraphRow } from './batch.js';
import type { OpenSession } from './native/session-thread.js';

/** What may stand beside a row; `n` counts all neighbours, so that each is another. */
export type Perturbation = (row: GraphRow, n: number) => GraphRow;

/** Does the graph take it at all? */
export async function isRunnable(session: OpenSession, row: GraphRow): Promise<boolean> {
  return session.run(row).then(
    () => true,
    () => false,
  );
}

// ── neighbours of numbers and words ──

interface Change {
  readonly float: (x: number, i: number) => number;
  readonly int: (x: number, i: number, seen: readonly number[]) => number;
  readonly word: (x: string, i: number, seen: readonly string[]) => string;
}

/** Beyond, whole numbers may overflow; the ends of a datatype itself may even end the process: INT_MIN / −1. */
const MAX_INT = 1_000_000;
/** Made up, where all words are empty; it is a number too. */
const SOME_WORD = '1';
const DIGITS = 9;

/**
 * Far larger, smaller and other values than those of these rows. No whole number becomes zero that could not be zero
 * anyway: to divide by it may end the process.
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

/** An example of zeros may answer zero beside anything: other numbers, if the graph takes any, are observed too. */
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

/** Whole numbers and words only. */
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

/** The same at every import. */
function hash(n: number, i: number): number {
  let x = Math.imul(n + 1, 0x9e3779b1) ^ Math.imul(i + 1, 0x85ebca6b);
  x = Math.imul(x ^ (x >>> 15), 0x2c1b3c6d);
  return (x ^ (x >>> 12)) >>> 0;
}

// ── neighbours of tokens ──

/** As large as the graph takes: the size of its embedding is not known, and may be smaller than the vocabulary. */
export async function largestId(
  session: OpenSession,
  rows: readonly GraphRow[],
  vocabularySize: number | null,
): Promise<number> {
  const seen = rows.flatMap((row) => row.filter(({ name }) => name === 'input_ids').map(({ data }) => data));
  const largest = seen.reduce((most, data) => (data as Int32Array).reduce((a, b) => Math.max(a, Number(b)), most), 0);
  const wanted = (vocabularySize ?? 0) - 1;
  const highest = withIds(rows[0] as GraphRow, () => wanted);
  return wanted > largest && (await isRunnable(session, highest)) ? wanted : largest;
}

/** Other tokens in the same places; what is the same for each of them stays. */
export function withIds(row: GraphRow, idAt: (i: number) => number): GraphRow {
  return row.map((tensor) => {
    if (tensor.name !== 'input_ids') return tensor;
    const { data } = tensor;
    if (data instanceof BigInt64Array) return { ...tensor, data: data.map((_, i) => BigInt(idAt(i))) };
    return { ...tensor, data: (data as Int32Array).map((_, i) => idAt(i)) };
  });
}

/** From 0 to `largest`, each once before any comes again, in no order. */
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
  return first?.shape[1] ?? 1;
}

/** The same tokens the other way round. */
export function reversed(row: GraphRow): GraphRow {
  return row.map((tensor) =>
    tensor.name === 'input_ids' ? { ...tensor, data: (tensor.data as BigInt64Array).toReversed() } : tensor,
  );
}

/** Twice as long, as far as the graph reads. */
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
