/**
 * Pages of lists, with keyset cursors.
 *
 * A cursor contains a digest of its list: name, parent, order and filter. It is refused on any other list.
 */
import { createHash } from 'node:crypto';
import { BadArgumentError } from '../errors.js';

export const MAX_PAGE_SIZE = 100;
/** Counts stop here, so that no count reads a whole table. */
export const MAX_COUNT = 10_000;

export interface Edge<T> {
  readonly cursor: string;
  readonly node: T;
}

export interface Total {
  /** At most `MAX_COUNT`. */
  readonly count: number;
  /** Whether the list has more items than `count`. */
  readonly isCapped: boolean;
}

/** The total for a count that stopped at `MAX_COUNT + 1`. */
export function totalOf(counted: number): Total {
  return { count: Math.min(counted, MAX_COUNT), isCapped: counted > MAX_COUNT };
}

/** One page of a list. The total takes a statement of its own, so it is counted only if it is selected, and once. */
export class Page<T> {
  readonly #count: () => Promise<Total>;
  #total: Promise<Total> | undefined;

  constructor(
    readonly edges: readonly Edge<T>[],
    readonly has: { readonly previousPage: boolean; readonly nextPage: boolean },
    count: () => Promise<Total>,
  ) {
    this.#count = count;
  }

  total(): Promise<Total> {
    this.#total ??= this.#count();
    return this.#total;
  }

  /** The same page of other items. */
  map<Other>(of: (node: T) => Other): Page<Other> {
    const edges = this.edges.map(({ cursor, node }) => ({ cursor, node: of(node) }));
    return new Page(edges, this.has, () => this.total());
  }
}

export type Key = string | number;
export type KeyType = 'string' | 'number';

/** Longer than any cursor of this server, whose keys are names, ids and numbers. */
export const MAX_CURSOR_CHARACTERS = 2_048;

/** Which page of a list is requested. */
export interface PageArgs {
  readonly first: number;
  readonly after?: string | null | undefined;
}

/** @throws BadArgumentError unless 1 ≤ first ≤ 100 */
export function checkFirst(first: number): number {
  if (first >= 1 && first <= MAX_PAGE_SIZE) return first;
  throw new BadArgumentError(`first is ${first}; it must be between 1 and ${MAX_PAGE_SIZE}.`);
}

/** Identifies a list by its name, order and filter. Null and missing values are the same. */
export function listId(...parts: readonly unknown[]): string {
  const json = JSON.stringify(parts, (_, value: unknown) => value ?? undefined);
  return createHash('sha256').update(json).digest('base64url').slice(0, 8);
}

function encodeCursor(list: string, key: readonly Key[]): string {
  return Buffer.from(JSON.stringify([list, ...key])).toString('base64url');
}

/** @throws BadArgumentError for a malformed cursor, or a cursor of another list, parent, order or filter */
export function decodeCursor(list: string, cursor: string, types: readonly KeyType[]): Key[] {
  const [of, ...key] = parse(cursor);
  const isKey = key.length === types.length && key.every((part, i) => typeof part === types[i]);
  if (of === list && isKey) return key as Key[];
  throw new BadArgumentError(
    'after is not a cursor of this list with this parent, order and filter. Omit it to get the first page.',
  );
}

function parse(cursor: string): unknown[] {
  if (cursor.length > MAX_CURSOR_CHARACTERS) return [];
  try {
    const bytes = Buffer.from(cursor, 'base64url');
    // Node ignores characters that are not base64url.
    if (bytes.toString('base64url') !== cursor) return [];
    const value: unknown = JSON.parse(bytes.toString());
    return Array.isArray(value) ? value : [];
  } catch {
    return [];
  }
}

interface PageOptions<Row, T> {
  readonly toNode: (row: Row) => T;
  readonly keyOf: (row: Row) => readonly Key[];
}

/** Makes a page of rows. The query reads one row more than `first`, to tell whether there is a next page. */
export function pageOf<Row, T>(
  rows: readonly Row[],
  args: PageArgs,
  options: PageOptions<Row, T> & { readonly list: string; readonly countTotal: () => Promise<Total> },
): Page<T> {
  const edges = rows
    .slice(0, args.first)
    .map((row) => ({ cursor: encodeCursor(options.list, options.keyOf(row)), node: options.toNode(row) }));
  return new Page(edges, { previousPage: args.after != null, nextPage: rows.length > args.first }, options.countTotal);
}

/** Groups rows by their `parent_id` and makes a page for each parent, keeping the order of the rows. */
export function pagesByParent<Row extends { parent_id: string }, T>(
  parentIds: readonly string[],
  rows: readonly Row[],
  args: PageArgs,
  options: PageOptions<Row, T> & {
    readonly listOf: (parentId: string) => string;
    /** Counts up to `MAX_COUNT + 1` for all parents in one statement, which runs only if a total is selected. */
    readonly countTotals: () => Promise<{ parent_id: string; count: number }[]>;
  },
): Map<string, Page<T>> {
  const byParent = Map.groupBy(rows, (row) => row.parent_id);
  let counted: Promise<Map<string, number>> | undefined;
  const countTotal = async (parentId: string) => {
    counted ??= options.countTotals().then((counts) => new Map(counts.map((row) => [row.parent_id, row.count])));
    return totalOf((await counted).get(parentId) ?? 0);
  };
  return new Map(
    parentIds.map((id) => [
      id,
      pageOf(byParent.get(id) ?? [], args, { ...options, list: options.listOf(id), countTotal: () => countTotal(id) }),
    ]),
  );
}
