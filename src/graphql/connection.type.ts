/**
 * Lists that can grow, as Relay connections: the GraphQL side of `storage/pages.ts`.
 */
import { type ClassType, Field, Int, ObjectType } from 'type-graphql';
import type { Edge, Page } from '../storage/pages.js';

@ObjectType({ description: 'Whether there is more, and where to go on.', simpleResolvers: true })
export class PageInfo {
  @Field({ description: 'Is there anything after this page?' })
  hasNextPage!: boolean;

  @Field(() => String, { nullable: true, description: 'Pass it as `after` for the next page; null on an empty page.' })
  endCursor!: string | null;
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
