/** The registered operations: what clients may run by an id. */
import type { GraphQLResolveInfo } from 'graphql';
import { Arg, Ctx, Field, ID, Info, InputType, Int, Mutation, ObjectType, Query, Resolver } from 'type-graphql';
import { Policy } from '../access/policy.js';
import type { Principal } from '../access/principal.js';
import { checkReason, REASON } from '../access/reason.js';
import type { RegisteredOperation as Registered } from '../access/registered-operation.queries.js';
import { MAX_DOCUMENT_BYTES, MAX_OPERATIONS, type RegisteredOperations } from '../access/registered-operations.js';
import { AFTER, connectionOf, FIRST } from '../graphql/connection.type.js';
import { Cost, POINTS_PER_CHANGE } from '../graphql/cost.js';
import { create } from '../graphql/create.js';
import { enumOf } from '../graphql/enum.type.js';
import { Problem, payloadOf } from '../graphql/problem.type.js';
import { DateTime, JSONObject } from '../graphql/scalars.js';
import { LIMITS } from './limits.js';
import { checkManifest } from './operation-checks.js';

/** To check a document takes at most 1.2 µs for each of its characters. */
const CHARACTERS_PER_POINT = 40;

const OperationTypeEnum = enumOf<Uppercase<Registered['type']>>('OperationType', 'What an operation does.', {
  QUERY: 'It reads.',
  MUTATION: 'It runs models or changes data.',
});

@Policy('operate')
@ObjectType({ description: 'Operation that clients may run by its id, without sending its document.' })
export class RegisteredOperation {
  @Field(() => ID, {
    description:
      'What clients send as `documentId`: "sha256:" and the SHA-256 of the document in lower-case hexadecimal, or its SHA-1.',
  })
  id!: string;

  @Field({ description: 'Name of the operation in its document.' })
  name!: string;

  @Field(() => OperationTypeEnum, { description: 'What the operation does.' })
  type!: Uppercase<Registered['type']>;

  @Cost({ bytes: LIMITS.maxDocumentBytes })
  @Field({ description: `GraphQL document, at most ${LIMITS.maxDocumentBytes.toLocaleString('en')} bytes.` })
  document!: string;

  @Field(() => DateTime, { description: 'When the operation was registered.' })
  publishedAt!: Date;
}

@ObjectType({ description: 'One page of a list of registered operations.' })
export class RegisteredOperationConnection extends connectionOf(RegisteredOperation) {}

@InputType({ description: 'Operations to register.' })
export class PublishOperationsInput {
  @Field(() => JSONObject, {
    description:
      "What a tool wrote: `persistedDocuments` of GraphQL Code Generator's client preset (hashes and documents, by SHA-256 or SHA-1), or Apollo's persisted query manifest.",
  })
  manifest!: Record<string, unknown>;

  @Field(() => String, { nullable: true, description: REASON })
  reason?: string | null;
}

@ObjectType({
  description: 'How many operations were registered, or the problem that prevented it: exactly one of them.',
})
export class PublishOperationsPayload {
  @Field(() => Int, {
    nullable: true,
    description: 'Operations that are registered now and were not; null if there is a problem.',
  })
  added!: number | null;

  @Field(() => Int, {
    nullable: true,
    description: 'Operations that were registered before; null if there is a problem.',
  })
  unchanged!: number | null;

  @Field(() => Problem, { nullable: true, description: 'Why nothing was registered; null if the operations were.' })
  problem!: Problem | null;
}

@ObjectType({ description: 'How many operations were removed, or the problem that prevented it: exactly one of them.' })
export class RemoveOperationsPayload {
  @Field(() => Int, {
    nullable: true,
    description: 'Operations that clients can no longer run by their id; null if there is a problem.',
  })
  removed!: number | null;

  @Field(() => Problem, { nullable: true, description: 'Why nothing was removed; null if the operations were.' })
  problem!: Problem | null;
}

interface OperationsContext {
  readonly principal: Principal;
}

@Resolver()
export class OperationsResolver {
  constructor(private readonly registered: RegisteredOperations) {}

  @Policy('operate')
  @Query(() => RegisteredOperationConnection, {
    nullable: true,
    description: 'Operations that clients may run by their id, newest first.',
  })
  async operations(
    @Arg('first', () => Int, { defaultValue: 20, description: FIRST }) first: number,
    @Arg('after', () => String, { nullable: true, description: AFTER }) after: string | null,
  ): Promise<RegisteredOperationConnection> {
    return new RegisteredOperationConnection(await this.registered.page({ first, after }, typeOf));
  }

  @Policy('operate')
  @Cost({ points: ({ input }) => POINTS_PER_CHANGE + charactersIn(input) / CHARACTERS_PER_POINT })
  @Mutation(() => PublishOperationsPayload, {
    nullable: true,
    description: `Registers the operations of a page, all of them or none, so that clients run them by their id. Those that are registered stay. Each hash must be that of its document, and each document valid, with one operation that has a name. A server has at most ${MAX_OPERATIONS.toLocaleString('en')} operations of ${MAX_DOCUMENT_BYTES.toLocaleString('en')} bytes in all. Null only with an entry in \`errors\`. Problems: InvalidInput, Forbidden, StorageFull.`,
  })
  async publishOperations(
    @Arg('input', () => PublishOperationsInput, { description: 'The operations.' }) input: PublishOperationsInput,
    @Ctx() { principal }: OperationsContext,
    @Info() { schema }: GraphQLResolveInfo,
  ): Promise<PublishOperationsPayload> {
    const path = ['input', 'manifest'];
    const { result, problem } = await payloadOf(async () => {
      const reason = checkReason(input.reason, ['input', 'reason']);
      const operations = await checkManifest(schema, input.manifest, path);
      return this.registered.publish(operations, { principal, reason }, path);
    });
    return { added: result?.added ?? null, unchanged: result?.unchanged ?? null, problem };
  }

  @Policy('operate')
  @Cost({ points: ({ ids }) => POINTS_PER_CHANGE + (Array.isArray(ids) ? ids.length : 1) })
  @Mutation(() => RemoveOperationsPayload, {
    nullable: true,
    description:
      'Removes registered operations, all of those that are named or none: requests with their ids are refused from now on. Null only with an entry in `errors`. Problems: InvalidInput, NotFound, Forbidden, StorageFull.',
  })
  async removeOperations(
    @Arg('ids', () => [ID], { description: 'Ids of the operations.' }) ids: string[],
    @Arg('reason', () => String, { nullable: true, description: REASON }) reason: string | null,
    @Ctx() { principal }: OperationsContext,
  ): Promise<RemoveOperationsPayload> {
    const { result, problem } = await payloadOf(async () =>
      this.registered.remove(ids, { principal, reason: checkReason(reason, ['reason']) }),
    );
    return { removed: result, problem };
  }
}

function typeOf(operation: Registered): RegisteredOperation {
  return create(RegisteredOperation, {
    ...operation,
    type: operation.type.toUpperCase() as Uppercase<Registered['type']>,
  });
}

/** Of all strings in a value. */
function charactersIn(value: unknown): number {
  if (typeof value === 'string') return value.length;
  if (typeof value !== 'object' || value === null) return 0;
  let characters = 0;
  for (const key of Object.keys(value)) characters += charactersIn((value as Readonly<Record<string, unknown>>)[key]);
  return characters;
}
