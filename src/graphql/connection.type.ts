/**
 * Relay connections, for lists that can grow. The GraphQL side of `storage/pages.ts`.
 */
import { type ClassType, Field, Int, ObjectType } from 'type-graphql';
import { type Edge, MAX_COUNT, MAX_PAGE_SIZE, type Page } from '../storage/pages.js';
import { Cost } from './cost.js';

/** Descriptions of the two arguments that every paginated field has. */
export const FIRST = `Number of items per page, 1 to ${MAX_PAGE_SIZE}. Other values are a BAD_USER_INPUT error.`;
export const AFTER = 'Cursor to continue from: `pageInfo.endCursor` of the previous page. Omit it for the first page.';

/** A count of a list reads its rows, up to a maximum. */
const COUNT_POINTS = 10;
const PAGE_INFO = 'Where this page is in its list, and the cursor to continue from.';

@ObjectType({ description: PAGE_INFO })
export class PageInfo {
  @Field({ description: 'Whether more items follow this page.' })
  hasNextPage!: boolean;

  @Field({
    description:
      'Whether the page was requested with `after`, so that items precede it, unless they were removed since.',
  })
  hasPreviousPage!: boolean;

  @Field(() => String, { nullable: true, description: 'Cursor of the first item on this page. Null on an empty page.' })
  startCursor!: string | null;

  @Field(() => String, {
    nullable: true,
    description:
      'Cursor of the last item on this page; pass it as `after` to get the next page. Null on an empty page.',
  })
  endCursor!: string | null;
}

/** The GraphQL type of a page of `Node`. */
export function connectionOf<T extends object>(Node: ClassType<T>) {
  const name = Node.name;

  @ObjectType(`${name}Edge`, { description: `${name} in a paginated list, with its cursor.` })
  class EdgeType {
    @Field({ description: 'Position of this item; pass it as `after` to get the items that follow it.' })
    cursor!: string;

    @Field(() => Node, { description: 'The item itself.' })
    node!: T;
  }

  @ObjectType(`${name}Connection`, { description: `One page of a list of type ${name}.` })
  class Connection {
    constructor(readonly page: Page<T>) {}

    @Cost({ elements: (_, { pageSize }) => pageSize })
    @Field(() => [Node], { description: 'Items on this page, in list order.' })
    nodes(): T[] {
      return this.page.edges.map(({ node }) => node);
    }

    @Cost({ elements: (_, { pageSize }) => pageSize })
    @Field(() => [EdgeType], { description: 'Items on this page with their cursors, in list order.' })
    edges(): Edge<T>[] {
      return [...this.page.edges];
    }

    @Field(() => PageInfo, { description: PAGE_INFO })
    pageInfo(): PageInfo {
      const { edges, has } = this.page;
      return {
        hasNextPage: has.nextPage,
        hasPreviousPage: has.previousPage,
        startCursor: edges[0]?.cursor ?? null,
        endCursor: edges.at(-1)?.cursor ?? null,
      };
    }

    @Cost({ points: COUNT_POINTS })
    @Field(() => Int, {
      description: `Number of items in the whole list, at most ${MAX_COUNT.toLocaleString('en')}; see \`totalCountCapped\`. Counted only if selected, which adds 10 to the cost of each page.`,
    })
    async totalCount(): Promise<number> {
      return (await this.page.total()).count;
    }

    @Cost({ points: COUNT_POINTS })
    @Field(() => Boolean, {
      description: `Whether the list has more items than \`totalCount\`, because counting stops at ${MAX_COUNT.toLocaleString('en')}.`,
    })
    async totalCountCapped(): Promise<boolean> {
      return (await this.page.total()).isCapped;
    }
  }
  return Connection;
}
