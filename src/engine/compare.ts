/**
 * May a version's inputs share a run? Only if nobody's answer depends on who else is in the batch.
 *
 * Every item is run alone, then beside mates that are as unlike it as can be found: far larger, far smaller or other
 * numbers, other words, other tokens; and the answers compared. That finds the usual culprits, such as a dynamically
 * quantised graph, which scales a whole batch by its largest value. It is a trial and no proof.
 */

import { DATATYPES, type TensorArray, type TensorData } from '../tasks/datatypes.js';
import type { OpenSession } from '../tasks/native/session-thread.js';
import type { VersionSpec } from '../tasks/spec.js';
import { groupByShape, rowsOf, split, stack } from './batch.js';

/** Matrix kernels may add in another order for another batch size; more than this is another answer. */
const TOLERANCE = 2e-6;
/** Where a value has gone through many layers. */
const DEEP_TOLERANCE = 1e-4;
const BATCH_SIZES = [2, 8, 32];
/** Rows of tokens are long and their graphs deep: fewer say as much. */
const TOKEN_BATCH_SIZES = [2, 8];
const MAX_TOKEN_ROWS = 8;
/** Rows of other shapes never share a run: pictures that keep the ratio of their sides, for one. */
const MAX_SHAPES = 3;
/** Of a vocabulary: one token of it may be the one that matters. */
const MAX_TRIED_IDS = 256;

const NO_MATES = 'no other inputs could be found to try beside it';

type Row = readonly TensorData[];
/** What may stand beside a row; `n` counts all mates, so that each is another. */
type Disguise = (row: Row, n: number) => Row;

/**
 * Descriptions of the first difference beside mates of the same length, and beside longer ones; null when every answer
 * is the same alone and in company.
 */
export async function compareMates(
  session: OpenSession,
  rows: readonly Row[],
  { text, inputKind }: VersionSpec,
  vocabularySize: number | null = null,
): Promise<{ difference: string | null; padding: string | null }> {
  if (!text) {
    const how = { sizes: BATCH_SIZES, tolerance: inputKind === 'ROW' ? TOLERANCE : DEEP_TOLERANCE };
    for (const alike of rowsByShape(rows).slice(0, MAX_SHAPES)) {
      const disguises = unlike(alike);
      const observed = await withNumbers(session, alike, disguises);
      const difference = await differenceOf(session, observed, { ...how, disguises });
      if (difference) return { difference, padding: null };
    }
    return { difference: null, padding: null };
  }
  const few = rows.toSorted((a, b) => lengthOf(a) - lengthOf(b)).slice(0, MAX_TOKEN_ROWS);
  const how = { sizes: TOKEN_BATCH_SIZES, tolerance: DEEP_TOLERANCE };
  // One length at a time: beside others these rows would be filled up.
  const alike = few.filter((row) => lengthOf(row) === lengthOf(few[0] as Row));
  const largest = await largestId(session, few, vocabularySize);
  const swept = (row: Row, n: number) => withIds(row, (i) => scattered(Math.floor(n / 2) * lengthOf(row) + i, largest));
  const highest = (row: Row) => withIds(row, () => largest);
  const lowest = (row: Row) => withIds(row, () => 0);
  const disguises = [swept, highest, swept, lowest, swept, reversed];
  // Every other mate is swept.
  const atLeast = Math.ceil((2 * Math.min(MAX_TRIED_IDS, largest + 1)) / Math.max(1, lengthOf(few[0] as Row)));
  const difference = await differenceOf(session, alike, { ...how, disguises, atLeast });
  const isFixed = rows.every((row) => row.every(({ pad }) => pad === undefined));
  if (difference || isFixed) return { difference, padding: isFixed ? 'its length is fixed' : difference };
  const longer = (row: Row) => repeated(row, text.maxTokens);
  const longerAndOther = (row: Row, n: number) => (longer(row) === row ? row : swept(longer(row), n));
  return {
    difference,
    padding: await differenceOf(session, few, { ...how, disguises: [longerAndOther, longer] }),
  };
}

/** The shape that most rows have comes first. */
function rowsByShape(rows: readonly Row[]): Row[][] {
  const groups = groupByShape(rows).map((indices) => indices.map((i) => rows[i] as Row));
  return groups.sort((a, b) => b.length - a.length);
}

interface How {
  readonly sizes: readonly number[];
  /** What becomes a row's neighbours, in turn. */
  readonly disguises: readonly Disguise[];
  readonly tolerance: number;
  /** So many mates in batches of the last size, however few the rows. */
  readonly atLeast?: number;
}

async function differenceOf(session: OpenSession, rows: readonly Row[], how: How): Promise<string | null> {
  const alone = [];
  for (const row of rows) alone.push(await session.run(row));
  const mates = new Mates(session, how.disguises);
  for (const size of how.sizes) {
    const observed = size / 2;
    const count = Math.max(rows.length, size === how.sizes.at(-1) ? (how.atLeast ?? 0) : 0);
    for (let start = 0; start < count; start += observed) {
      const indices = Array.from({ length: observed }, (_, i) => (start + i) % rows.length);
      const difference = await compareBatch(session, mates, { rows, alone, indices, tolerance: how.tolerance });
      if (difference) return `in a batch of ${size}, ${difference}`;
    }
  }
  return mates.found ? null : NO_MATES;
}

/** The neighbours of rows: each differs from its row, and the graph runs it. */
class Mates {
  readonly #session: OpenSession;
  readonly #disguises: readonly Disguise[];
  /** Those with which the graph does not run: an index out of range, for one, says nothing about batches. */
  readonly #useless = new Set<Disguise>();
  #count = 0;
  /** Was any row ever run beside another? */
  found = false;

  constructor(session: OpenSession, disguises: readonly Disguise[]) {
    this.#session = session;
    this.#disguises = disguises;
  }

  get nextTurn(): number {
    return this.#count++;
  }

  /** The first in turn that is another than the row; the row itself when there is none. */
  beside(row: Row, turn: number): { mate: Row; disguise: Disguise | null } {
    const { length } = this.#disguises;
    for (let i = 0; i < length; i++) {
      const disguise = this.#disguises[(turn + i) % length] as Disguise;
      const mate = this.#useless.has(disguise) ? row : disguise(row, turn);
      if (!isSameRow(mate, row)) return { mate, disguise };
    }
    return { mate: row, disguise: null };
  }

  /** Leaves out what does not run alone; were there any? */
  async sortOut(pairs: readonly { mate: Row; disguise: Disguise | null }[]): Promise<boolean> {
    const before = this.#useless.size;
    for (const { mate, disguise } of pairs) {
      if (disguise && !this.#useless.has(disguise) && !(await runs(this.#session, mate))) this.#useless.add(disguise);
    }
    return this.#useless.size > before;
  }
}

async function runs(session: OpenSession, row: Row): Promise<boolean> {
  return session.run(row).then(
    () => true,
    () => false,
  );
}

interface Observed {
  readonly rows: readonly Row[];
  readonly alone: readonly Row[];
  readonly indices: readonly number[];
  readonly tolerance: number;
}

/** Each observed row has a neighbour of its own, before it or after it. */
async function compareBatch(
  session: OpenSession,
  mates: Mates,
  { rows, alone, indices, tolerance }: Observed,
): Promise<string | null> {
  const turns = indices.map(() => mates.nextTurn);
  for (;;) {
    const pairs = indices.map((index, i) => mates.beside(rows[index] as Row, turns[i] as number));
    const batch = pairs.flatMap(({ mate }, i) => {
      const row = rows[indices[i] as number] as Row;
      return i % 2 === 0 ? [row, mate] : [mate, row];
    });
    try {
      const parts = split(await session.run(stack(batch)), batch.map(rowsOf));
      if (pairs.some(({ disguise }) => disguise)) mates.found = true;
      for (const [i, index] of indices.entries()) {
        const own = parts[2 * i + (i % 2)] as Row;
        const other = own.find((output, k) => !isSame(output, (alone[index] as Row)[k] as TensorData, tolerance));
        if (other) return `output "${other.name}" depends on the other inputs`;
      }
      return null;
    } catch (error) {
      if (await mates.sortOut(pairs)) continue;
      return error instanceof Error ? error.message : String(error);
    }
  }
}

// ── mates of numbers and words ──

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
function unlike(rows: readonly Row[]): Disguise[] {
  const seen = new Map(rows[0]?.map(({ name }) => [name, valuesOf(rows, name)]));
  const disguise = (change: (n: number) => Change) => (row: Row, n: number) =>
    row.map((tensor) => ({ ...tensor, data: changed(tensor, change(n), seen.get(tensor.name) ?? []) }));
  const large = (x: number) => (x === 0 ? 1_000 : x * 1_000);
  const small = (x: number) => (x === 0 ? -1_000 : x * -1_000);
  const isSwapped = (n: number): Change => ({
    float: large,
    int: (_, i, values) => pick([...values, 1], n, i),
    word: (_, i, values) => pick([...values, SOME_WORD], n, i),
  });
  return [
    disguise((n) => ({ ...isSwapped(n), int: large })),
    disguise((n) => ({ ...isSwapped(n), float: () => 0, word: () => '' })),
    disguise((n) => ({ ...isSwapped(n), float: small, int: small, word: () => '' })),
    disguise((n) => ({ ...isSwapped(n), int: (_, i) => 1 + (hash(n, i) % 100) })),
    disguise((n) => ({ ...isSwapped(n), float: (_, i) => digit(n, i), int: (_, i) => digit(n, i) })),
    disguise((n) => ({ ...isSwapped(n), float: (_, i) => digit(n, i) })),
  ];
}

/** An example of zeros may answer zero beside anything: other numbers, if the graph takes any, are observed too. */
async function withNumbers(
  session: OpenSession,
  rows: readonly Row[],
  disguises: readonly Disguise[],
): Promise<readonly Row[]> {
  const [first] = rows;
  const isBlank = rows.every((row) => row.every(({ data }) => data.every((x: unknown) => !x)));
  if (!first || !isBlank) return rows;
  for (const disguise of disguises.slice(-2)) {
    const row = disguise(first, 0);
    if (await runs(session, row)) return [...rows, row];
  }
  return rows;
}

function changed({ datatype, data }: TensorData, change: Change, seen: readonly (number | string)[]): TensorArray {
  if (Array.isArray(data)) return data.map((x, i) => change.word(x, i, seen as readonly string[]));
  if (datatype === 'BOOL') return (data as Uint8Array).map((x) => 1 - x);
  const range = DATATYPES[datatype]?.range;
  if (!range) return (data as Float32Array).map(change.float);
  const int = (x: number, i: number) => within(range, x, change.int(x, i, seen as readonly number[]));
  if (data instanceof BigInt64Array || data instanceof BigUint64Array)
    return (data as BigInt64Array).map((x, i) => BigInt(int(Number(x), i)));
  return (data as Int32Array).map(int);
}

function within([low, high]: readonly [bigint, bigint], x: number, wanted: number): number {
  if (wanted === x) return x;
  const limit = Math.min(Math.max(MAX_INT, 2 * Math.abs(x)), Number.MAX_SAFE_INTEGER);
  const least = low === 0n ? Number(wanted !== 0) : Math.max(-limit, Number(low) + 1);
  return Math.max(least, Math.min(wanted, limit, Number(high) - 1));
}

/** Whole numbers and words only. */
function valuesOf(rows: readonly Row[], name: string): (number | string)[] {
  const values = new Set<number | string>();
  for (const row of rows) {
    const tensor = row.find((one) => one.name === name);
    if (!tensor || DATATYPES[tensor.datatype]?.range === null) continue;
    for (const x of tensor.data) values.add(typeof x === 'string' ? x : Number(x));
  }
  return [...values];
}

function pick<T>(values: readonly T[], n: number, i: number): T {
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

// ── mates of tokens ──

/** As large as the graph takes: the size of its embedding is not known, and may be smaller than the vocabulary. */
async function largestId(session: OpenSession, rows: readonly Row[], vocabularySize: number | null): Promise<number> {
  const seen = rows.flatMap((row) => row.filter(({ name }) => name === 'input_ids').map(({ data }) => data));
  const largest = seen.reduce((most, data) => (data as Int32Array).reduce((a, b) => Math.max(a, Number(b)), most), 0);
  const wanted = (vocabularySize ?? 0) - 1;
  const highest = withIds(rows[0] as Row, () => wanted);
  return wanted > largest && (await runs(session, highest)) ? wanted : largest;
}

/** Other tokens in the same places; what is the same for each of them stays. */
function withIds(row: Row, idAt: (i: number) => number): Row {
  return row.map((tensor) => {
    if (tensor.name !== 'input_ids') return tensor;
    const { data } = tensor;
    if (data instanceof BigInt64Array) return { ...tensor, data: data.map((_, i) => BigInt(idAt(i))) };
    return { ...tensor, data: (data as Int32Array).map((_, i) => idAt(i)) };
  });
}

/** From 0 to `largest`, each once before any comes again, in no order. */
function scattered(k: number, largest: number): number {
  const count = largest + 1;
  let step = Math.max(1, Math.floor(count * 0.618));
  while (greatestDivisor(step, count) > 1) step++;
  return (k * step) % count;
}

function greatestDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestDivisor(b, a % b);
}

function lengthOf([first]: Row): number {
  return first?.shape[1] ?? 1;
}

/** The same tokens the other way round. */
function reversed(row: Row): Row {
  return row.map((tensor) =>
    tensor.name === 'input_ids' ? { ...tensor, data: (tensor.data as BigInt64Array).toReversed() } : tensor,
  );
}

/** Twice as long, as far as the graph reads. */
function repeated(row: Row, maxTokens: number): Row {
  const length = Math.min(2 * lengthOf(row), maxTokens);
  if (length <= lengthOf(row)) return row;
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

function isSameRow(a: Row, b: Row): boolean {
  return a === b || a.every((tensor, k) => isSameData(tensor.data, (b[k] as TensorData).data));
}

function isSameData(a: TensorArray, b: TensorArray): boolean {
  if (a === b) return true;
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) {
    if (!Object.is(a[i], b[i])) return false;
  }
  return true;
}

/** Of a row that was filled up only its own part counts: its tokens come first. */
function isSame(batched: TensorData, alone: TensorData, tolerance: number): boolean {
  const isFilled = (batched.shape[1] ?? 1) > (alone.shape[1] ?? 1);
  if (!isFilled && batched.data.length !== alone.data.length) return false;
  return isNear(batched.data, alone.data, alone.data.length, tolerance);
}

function isNear(a: TensorArray, b: TensorArray, count: number, tolerance: number): boolean {
  for (let i = 0; i < count; i++) {
    const [x, y] = [a[i], b[i]];
    const near = typeof x === 'number' && Math.abs(x - (y as number)) <= tolerance * Math.max(1, Math.abs(x));
    if (!near && x !== y && !(Number.isNaN(x) && Number.isNaN(y))) return false;
  }
  return true;
}
