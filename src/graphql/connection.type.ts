/**
 * Lists that can grow: forward connections on keyset cursors.
 *
 * A cursor carries the order and the filter of its list, so that it cannot be used on another one.
 */
import { createHash } from 'node:crypto';
import { type ClassType, Field, Int, ObjectType } from 'type-graphql';
import { BadPageError } from '../errors.js';

export const MAX_PAGE_SIZE = 100;

@ObjectType({ description: 'Whether there is more, and where to go on.', simpleResolvers: true })
export class PageInfo {
  @Field({ description: 'Is there anything after this page?' })
  hasNextPage!: boolean;

  @Field(() => String, { nullable: true, description: 'Pass it as `after` for the next page; null on an empty page.' })
  endCursor!: string | null;
}

export interface Edge<T> {
  readonly cursor: string;
  readonly node: T;
}

/** One page of a list. The total costs a statement of its own, so it is counted only when somebody asks. */
export class Page<T> {
  constructor(
    readonly edges: readonly Edge<T>[],
    readonly hasNextPage: boolean,
    readonly countTotal: () => Promise<number>,
  ) {}
}

/** The GraphQL type of a page of `Node`. */
export function connectionOf<T extends object>(Node: ClassType<T>) {
  const name = Node.name;

  @ObjectType(`${name}Edge`, { simpleResolvers: true, description: `A ${name} and its place in the list.` })
  class EdgeType {
    @Field({ description: 'Pass it as `after` to go on behind this one.' })
    cursor!: string;

    @Field(() => Node, { description: 'The one that stands here.' })
    node!: T;
  }

  @ObjectType(`${name}Connection`, { description: `A page of a list of ${name}s.` })
  class Connection {
    constructor(readonly page: Page<T>) {}

    @Field(() => [Node], { description: 'What is on the page, in the order of the list.' })
    nodes(): T[] {
      return this.page.edges.map(({ node }) => node);
    }

    @Field(() => [EdgeType], { description: 'The same, each with its cursor.' })
    edges(): Edge<T>[] {
      return [...this.page.edges];
    }

    @Field(() => PageInfo, { description: 'Whether there is more, and where to go on.' })
    pageInfo(): PageInfo {
      return { hasNextPage: this.page.hasNextPage, endCursor: this.page.edges.at(-1)?.cursor ?? null };
    }

    @Field(() => Int, { description: 'Size of the whole list; counted only when selected.' })
    totalCount(): Promise<number> {
      return this.page.countTotal();
    }
  }
  return Connection;
}

export type Key = string | number;

/** @throws BadPageError unless 1 ≤ first ≤ 100 */
export function checkFirst(first: number): number {
  if (first >= 1 && first <= MAX_PAGE_SIZE) return first;
  throw new BadPageError(`first is ${first}; it must lie between 1 and ${MAX_PAGE_SIZE}.`);
}

/** What a cursor must belong to: the name of the list and everything that orders or filters it; null is nothing. */
export function listId(...parts: readonly unknown[]): string {
  const json = JSON.stringify(parts, (_, value: unknown) => value ?? undefined);
  return createHash('sha256').update(json).digest('base64url').slice(0, 8);
}

export function encodeCursor(list: string, key: readonly Key[]): string {
  return Buffer.from(JSON.stringify([list, ...key])).toString('base64url');
}

/** @throws BadPageError for a cursor that is none, or of another list, order or filter */
export function decodeCursor(list: string, cursor: string, keyLength: number): Key[] {
  const [of, ...key] = parse(cursor);
  const isKey = key.length === keyLength && key.every((part) => typeof part === 'string' || typeof part === 'number');
  if (of === list && isKey) return key as Key[];
  throw new BadPageError('after is not a cursor of this list with this order and filter; start again without it.');
}

function parse(cursor: string): unknown[] {
  try {
    const value: unknown = JSON.parse(Buffer.from(cursor, 'base64url').toString());
    return Array.isArray(value) ? value : [];
  } catch {
    return [];
  }
}

/** Cuts the one row too many that a query asked for, and makes a page of the rest. */
export function pageOf<Row, T>(
  rows: readonly Row[],
  first: number,
  options: {
    readonly toNode: (row: Row) => T;
    readonly list: string;
    readonly keyOf: (row: Row) => readonly Key[];
    readonly countTotal: () => Promise<number>;
  },
): Page<T> {
  const edges = rows
    .slice(0, first)
    .map((row) => ({ cursor: encodeCursor(options.list, options.keyOf(row)), node: options.toNode(row) }));
  return new Page(edges, rows.length > first, options.countTotal);
}
