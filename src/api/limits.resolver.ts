import { Field, Int, ObjectType, Query, Resolver } from 'type-graphql';
import { Policy } from '../access/policy.js';
import { LIMITS } from './limits.js';

@ObjectType({
  description:
    'Limits of this server. `extensions.cost` of every response has the cost of the operation, as `requested`, and its `limit`.',
})
export class Limits {
  @Field(() => Int, {
    description: 'Maximum page size: largest accepted `first`, and largest number of `ids` in `nodes`.',
  })
  maxPageSize!: number;

  @Field(() => Int, { description: 'Maximum number of inputs or rows in `predictMany`.' })
  maxBatch!: number;

  @Field(() => Int, { description: 'Maximum size of a request body, in bytes.' })
  maxBodyBytes!: number;

  @Field(() => Int, {
    description:
      'Maximum size of an answer, in bytes. Fields beyond it are left out, with one error with code RESPONSE_TOO_LARGE.',
  })
  maxResponseBytes!: number;

  @Field(() => Int, { description: 'Maximum number of pixels in an image: width times height.' })
  maxImagePixels!: number;

  @Field(() => Int, { description: 'Maximum depth of an operation, in levels of nested fields.' })
  maxDepth!: number;

  @Field(() => Int, { description: 'Maximum number of lexical tokens in a document, including comments.' })
  maxTokens!: number;

  @Field(() => Int, {
    description:
      'Maximum cost of an operation. The cost reflects the objects, fields and bytes that the response may have, the size of the inputs, the computation of the model, and the rows that the database may read. The computation for one input, the largest, does not count towards the maximum.',
  })
  maxCost!: number;

  @Field(() => Int, { description: 'Deadline of a prediction without `deadlineMs`, in milliseconds.' })
  defaultDeadlineMs!: number;
}

@Resolver()
export class LimitsResolver {
  constructor(private readonly configured: Pick<Limits, 'defaultDeadlineMs' | 'maxResponseBytes'>) {}

  @Policy('read')
  @Query(() => Limits, { description: 'Limits of this server.' })
  limits(): Limits {
    return { ...LIMITS, ...this.configured };
  }
}
