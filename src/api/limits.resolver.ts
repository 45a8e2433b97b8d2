import { Field, Int, ObjectType, Query, Resolver } from 'type-graphql';
import { Policy } from '../access/policy.js';
import { LIMITS } from './limits.js';

@ObjectType({
  simpleResolvers: true,
  description: 'What this server allows; the cost of an operation comes back in `extensions.cost { requested limit }`.',
})
export class Limits {
  @Field(() => Int, { description: 'Largest `first`.' })
  maxPageSize!: number;

  @Field(() => Int, { description: 'Largest number of inputs of `predictMany`.' })
  maxBatch!: number;

  @Field(() => Int, { description: 'Largest request.' })
  maxBodyBytes!: number;

  @Field(() => Int, { description: 'Width times height of a picture.' })
  maxImagePixels!: number;

  @Field(() => Int, { description: 'Levels of an operation.' })
  maxDepth!: number;

  @Field(() => Int, { description: 'Lexical tokens of a document.' })
  maxTokens!: number;

  @Field(() => Int, { description: 'An element of a list costs 1 and what is selected of it, a prediction 5.' })
  maxCost!: number;

  @Field(() => Int, { description: 'Milliseconds that a prediction has which names no `deadlineMs`.' })
  defaultDeadlineMs!: number;
}

@Resolver()
export class LimitsResolver {
  constructor(private readonly defaultDeadlineMs: number) {}

  @Policy('read')
  @Query(() => Limits, { description: 'What this server allows.' })
  limits(): Limits {
    return { ...LIMITS, defaultDeadlineMs: this.defaultDeadlineMs };
  }
}
