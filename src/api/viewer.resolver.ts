/** Who the caller is, and the API keys of the server. */
import { Arg, Ctx, Field, ID, InputType, Int, Mutation, ObjectType, Query, Resolver } from 'type-graphql';
import type { KeyKind, ApiKey as StoredKey } from '../access/api-key.js';
import type { Actor, ApiKeys } from '../access/api-keys.js';
import { checkLimits, PUBLISHABLE_LIMITS } from '../access/key-limits.js';
import { checkNewKey, MAX_OVERLAP_MS } from '../access/new-key.js';
import { Policy } from '../access/policy.js';
import { isNobody, type Principal } from '../access/principal.js';
import { checkReason, REASON } from '../access/reason.js';
import { ROLE_DESCRIPTIONS, type Role } from '../access/roles.js';
import { InvalidInputError, NotFoundError } from '../errors.js';
import { AFTER, connectionOf, FIRST } from '../graphql/connection.type.js';
import { Cost, POINTS_PER_CHANGE } from '../graphql/cost.js';
import { create } from '../graphql/create.js';
import { enumOf } from '../graphql/enum.type.js';
import { Problem, payloadOf } from '../graphql/problem.type.js';
import { DateTime, SafeInt } from '../graphql/scalars.js';
import { QuotaLimits, QuotaLimitsInput, QuotaUse } from './quota.type.js';

const RoleEnum = enumOf<Uppercase<Role>>(
  'Role',
  'What the holder of a key may do.',
  Object.fromEntries(
    Object.entries(ROLE_DESCRIPTIONS).map(([role, description]) => [role.toUpperCase(), description]),
  ) as Record<Uppercase<Role>, string>,
);
const KeyKindEnum = enumOf<Uppercase<KeyKind>>('ApiKeyKind', 'Who may know a key.', {
  SECRET: 'Only its holder. For servers and scripts.',
  PUBLISHABLE:
    'Everybody: it may be part of a web page. It is bound to origins, operations and models, and reads no predictions.',
});

const PUBLISHABLE_DEFAULTS = `Of a publishable key, those that are left out are: ${Object.entries(PUBLISHABLE_LIMITS)
  .map(([name, limit]) => `${name} ${limit.toLocaleString('en')}`)
  .join(', ')}.`;

@ObjectType({ description: 'API key, without its secret.' })
export class ApiKey {
  @Field(() => ID, { description: 'The part of the key that is not secret.' })
  id!: string;

  @Field({ description: 'What the key is for.' })
  name!: string;

  @Field({ description: 'Account that owns the predictions made with the key.' })
  account!: string;

  @Field(() => KeyKindEnum, { description: 'Who may know the key.' })
  kind!: Uppercase<KeyKind>;

  @Field(() => [RoleEnum], { description: 'What the holder may do.' })
  roles!: Uppercase<Role>[];

  @Field(() => [String], { nullable: true, description: 'Root fields that the key may use; null if its roles decide.' })
  operations!: readonly string[] | null;

  @Field(() => [String], {
    nullable: true,
    description:
      'Models that the key may run, change and read predictions of, such as "spam-filter", and single aliases that it may run and move, such as "spam-filter@canary"; null for all.',
  })
  models!: readonly string[] | null;

  @Field(() => [String], {
    nullable: true,
    description: 'Origins of the web pages that may send the key; null if it is not bound to any.',
  })
  origins!: readonly string[] | null;

  @Field(() => QuotaLimits, { nullable: true, description: 'Quotas of the key; null if nothing is limited.' })
  limits!: QuotaLimits | null;

  @Field(() => DateTime, { description: 'When the key was made.' })
  createdAt!: Date;

  @Field(() => DateTime, {
    nullable: true,
    description: 'From when on the key is refused; null if it does not expire.',
  })
  expiresAt!: Date | null;

  @Field(() => DateTime, { nullable: true, description: 'When the key was revoked; null if it was not.' })
  revokedAt!: Date | null;

  @Field(() => ID, {
    nullable: true,
    description: 'Id of the key that `rotateApiKey` made of it; null if there is none.',
  })
  replacedBy!: string | null;

  @Field(() => DateTime, {
    nullable: true,
    description: 'Minute in which the server last accepted a request with the key; null if it never did.',
  })
  lastUsedAt!: Date | null;
}

@ObjectType({ description: 'One page of the API keys of the server.' })
export class ApiKeyConnection extends connectionOf(ApiKey) {}

@ObjectType({ description: 'Access token of an OpenID issuer.' })
export class AccessToken {
  @Field({ description: 'Address of the issuer.' })
  issuer!: string;

  @Field({ description: 'Whom the token was issued to, as the issuer names them (`sub`).' })
  subject!: string;

  @Field(() => DateTime, { description: 'When the token expires. The server accepts it up to a minute longer.' })
  expiresAt!: Date;
}

@ObjectType({ description: 'Who sends the request.' })
export class Viewer {
  @Field(() => String, {
    nullable: true,
    description:
      'Account that owns the predictions of the caller; of a token, "oidc:" and a claim. Null for a request without a key or token, while the server asks for one.',
  })
  account!: string | null;

  @Field(() => [RoleEnum], {
    description:
      'What the caller may do. While the server has no keys and trusts no issuer, everybody on the same machine has all roles.',
  })
  roles!: Uppercase<Role>[];

  @Field(() => ApiKey, { nullable: true, description: 'Key of the request; null if it has none.' })
  key!: ApiKey | null;

  @Field(() => AccessToken, { nullable: true, description: 'Token of the request; null if it has none.' })
  token!: AccessToken | null;

  @Field(() => QuotaLimits, { nullable: true, description: 'Quotas of the caller; null if nothing is limited.' })
  limits!: QuotaLimits | null;

  @Field(() => QuotaUse, {
    nullable: true,
    description: 'What the caller has used today, from 00:00 UTC; null if nothing is limited, and so not counted.',
  })
  usage!: QuotaUse | null;
}

@InputType({ description: 'New API key.' })
export class CreateApiKeyInput {
  @Field({ description: 'What the key is for, 1 to 100 characters.' })
  name!: string;

  @Field({ description: 'Account that owns the predictions made with the key: 1 to 64 of a-z, 0-9 and "-".' })
  account!: string;

  @Field(() => KeyKindEnum, { defaultValue: 'SECRET', description: 'Who may know the key.' })
  kind!: Uppercase<KeyKind>;

  @Field(() => [RoleEnum], { description: 'What the holder may do, 1 to 6 roles. Publishable: VIEWER or PREDICTOR.' })
  roles!: Uppercase<Role>[];

  @Field(() => [String], {
    nullable: true,
    description:
      'Root fields that the key may use, 1 to 50. Required if it is publishable. Default: all that its roles allow.',
  })
  operations?: string[] | null;

  @Field(() => [String], {
    nullable: true,
    description:
      'Models that the key may run, change and read predictions of, such as "spam-filter", and single aliases that it may run and move, such as "spam-filter@canary": 1 to 100. Required if it is publishable. Default: all.',
  })
  models?: string[] | null;

  @Field(() => [String], {
    nullable: true,
    description:
      'Origins of the web pages that may send the key, such as "https://example.com", 1 to 20. Required if it is publishable, and only possible then.',
  })
  origins?: string[] | null;

  @Field(() => QuotaLimitsInput, {
    nullable: true,
    description: `Quotas of the key. Default: no limits. ${PUBLISHABLE_DEFAULTS}`,
  })
  limits?: QuotaLimitsInput | null;

  @Field(() => DateTime, { nullable: true, description: 'From when on the key is refused. Default: never.' })
  expiresAt?: Date | null;

  @Field(() => String, { nullable: true, description: REASON })
  reason?: string | null;
}

@ObjectType({ description: 'The new key, or the problem that prevented it: exactly one of them.' })
export class CreateApiKeyPayload {
  @Field(() => ApiKey, { nullable: true, description: 'The key; null if there is a problem.' })
  apiKey!: ApiKey | null;

  @Field(() => String, {
    nullable: true,
    description: 'The whole key, for the header `Authorization: Bearer …`. It cannot be read again.',
  })
  secret!: string | null;

  @Field(() => Problem, { nullable: true, description: 'Why no key was made; null if one was.' })
  problem!: Problem | null;
}

@ObjectType({ description: 'The changed key, or the problem that prevented it: exactly one of them.' })
export class SetApiKeyLimitsPayload {
  @Field(() => ApiKey, { nullable: true, description: 'The key; null if there is a problem.' })
  apiKey!: ApiKey | null;

  @Field(() => Problem, { nullable: true, description: 'Why nothing was changed; null if the limits were.' })
  problem!: Problem | null;
}

@ObjectType({ description: 'The revoked key, or the problem that prevented it: exactly one of them.' })
export class RevokeApiKeyPayload {
  @Field(() => ApiKey, { nullable: true, description: 'The key; null if there is a problem.' })
  apiKey!: ApiKey | null;

  @Field(() => Problem, { nullable: true, description: 'Why nothing was revoked; null if the key was.' })
  problem!: Problem | null;
}

const MINUTE_MS = 60_000;

interface AccessContext {
  readonly principal: Principal;
}

@Resolver()
export class ViewerResolver {
  constructor(private readonly keys: ApiKeys) {}

  @Policy('public')
  @Query(() => Viewer, { description: 'Who sends the request, and what they may do.' })
  viewer(@Ctx() { principal }: AccessContext): Viewer {
    const { id, roles, key, token, quota } = principal;
    return create(Viewer, {
      account: isNobody(principal) ? null : id,
      roles: roles.map(upper),
      key: key && this.#typeOf(key),
      token: token && create(AccessToken, token),
      limits: quota?.limits ?? null,
      usage: quota && create(QuotaUse, { ...quota.used, resetsAt: quota.resetsAt }),
    });
  }

  @Policy('operate')
  @Query(() => ApiKeyConnection, {
    nullable: true,
    description:
      'API keys of the server, newest first. Those that have ended are kept for 90 days, or less if there are 10,000 keys.',
  })
  async apiKeys(
    @Arg('first', () => Int, { defaultValue: 20, description: FIRST }) first: number,
    @Arg('after', () => String, { nullable: true, description: AFTER }) after: string | null,
  ): Promise<ApiKeyConnection> {
    return new ApiKeyConnection(await this.keys.page({ first, after }, (key) => this.#typeOf(key)));
  }

  @Policy('operate')
  @Cost({ points: POINTS_PER_CHANGE })
  @Mutation(() => CreateApiKeyPayload, {
    nullable: true,
    description:
      'Makes an API key. From the first key on, requests without one may only do what is public. Null only with an entry in `errors`. Problems: InvalidInput, Forbidden, StorageFull.',
  })
  async createApiKey(
    @Arg('input', () => CreateApiKeyInput, { description: 'The key.' }) { reason, ...input }: CreateApiKeyInput,
    @Ctx() context: AccessContext,
  ): Promise<CreateApiKeyPayload> {
    const { result, problem } = await payloadOf(async () => {
      const lists = {
        operations: input.operations ?? null,
        models: input.models ?? null,
        origins: input.origins ?? null,
        limits: input.limits ?? null,
        expiresAt: input.expiresAt ?? null,
      };
      const wanted = { ...input, ...lists, kind: lower<KeyKind>(input.kind), roles: input.roles.map(lower<Role>) };
      return this.keys.create(checkNewKey(wanted, ['input']), actorOf(context, reason, ['input', 'reason']));
    });
    return { apiKey: result && this.#typeOf(result.key), secret: result?.text ?? null, problem };
  }

  @Policy('operate')
  @Cost({ points: POINTS_PER_CHANGE })
  @Mutation(() => CreateApiKeyPayload, {
    nullable: true,
    description:
      'Makes a key with the same rights as another one that is still accepted and was not replaced yet, and lets that one expire. Null only with an entry in `errors`. Problems: InvalidInput, NotFound, Forbidden, StorageFull.',
  })
  async rotateApiKey(
    @Arg('id', () => ID, { description: 'Id of the key to replace.' }) id: string,
    @Arg('overlapMs', () => SafeInt, {
      defaultValue: 86_400_000,
      description: `How long the old key is still accepted, in milliseconds, 0 to ${MAX_OVERLAP_MS.toLocaleString('en')}.`,
    })
    overlapMs: number,
    @Arg('limits', () => QuotaLimitsInput, {
      nullable: true,
      description: 'Quotas of the new key, which begin unused. Default: those of the old key.',
    })
    limits: QuotaLimitsInput | null,
    @Arg('reason', () => String, { nullable: true, description: REASON }) reason: string | null,
    @Ctx() context: AccessContext,
  ): Promise<CreateApiKeyPayload> {
    const { result, problem } = await payloadOf(async () => {
      if (overlapMs < 0 || overlapMs > MAX_OVERLAP_MS) throw new InvalidInputError([outOfRange(overlapMs)]);
      const wanted = { overlapMs, limits: checkLimits(limits, ['limits']) };
      return orNotFound(await this.keys.rotate(id, wanted, actorOf(context, reason, ['reason'])), id);
    });
    return { apiKey: result && this.#typeOf(result.key), secret: result?.text ?? null, problem };
  }

  @Policy('operate')
  @Cost({ points: POINTS_PER_CHANGE })
  @Mutation(() => SetApiKeyLimitsPayload, {
    nullable: true,
    description:
      'Replaces the quotas of an API key that is still accepted; what it has used today still counts. Null only with an entry in `errors`. Problems: InvalidInput, NotFound, Forbidden, StorageFull.',
  })
  async setApiKeyLimits(
    @Arg('id', () => ID, { description: 'Id of the key.' }) id: string,
    @Arg('limits', () => QuotaLimitsInput, {
      nullable: true,
      description: `All quotas that the key has from now on. Default: no limits. ${PUBLISHABLE_DEFAULTS}`,
    })
    limits: QuotaLimitsInput | null,
    @Arg('reason', () => String, { nullable: true, description: REASON }) reason: string | null,
    @Ctx() context: AccessContext,
  ): Promise<SetApiKeyLimitsPayload> {
    const { result, problem } = await payloadOf(async () => {
      const wanted = checkLimits(limits, ['limits']);
      return orNotFound(await this.keys.setLimits(id, wanted, actorOf(context, reason, ['reason'])), id);
    });
    return { apiKey: result && this.#typeOf(result), problem };
  }

  @Policy('operate')
  @Cost({ points: POINTS_PER_CHANGE })
  @Mutation(() => RevokeApiKeyPayload, {
    nullable: true,
    description:
      'Revokes an API key: from now on it is refused; by other processes that share the data folder, within a second. Null only with an entry in `errors`. Problems: InvalidInput, NotFound, Forbidden, StorageFull.',
  })
  async revokeApiKey(
    @Arg('id', () => ID, { description: 'Id of the key.' }) id: string,
    @Arg('reason', () => String, { nullable: true, description: REASON }) reason: string | null,
    @Ctx() context: AccessContext,
  ): Promise<RevokeApiKeyPayload> {
    const { result, problem } = await payloadOf(async () =>
      orNotFound(await this.keys.revoke(id, actorOf(context, reason, ['reason'])), id),
    );
    return { apiKey: result && this.#typeOf(result), problem };
  }

  #typeOf({ secretSha256: _, limitsChangedAt: __, ...key }: StoredKey): ApiKey {
    const used = this.keys.uses.lastUsedAt(key.id)?.getTime() ?? null;
    const lastUsedAt = used === null ? null : new Date(used - (used % MINUTE_MS));
    return create(ApiKey, { ...key, lastUsedAt, kind: upper(key.kind), roles: key.roles.map(upper) });
  }
}

function actorOf({ principal }: AccessContext, reason: string | null | undefined, path: readonly string[]): Actor {
  return { principal, reason: checkReason(reason, path) };
}

function orNotFound<T>(found: T | null, id: string): T {
  if (found === null) throw new NotFoundError(`The API key "${id.slice(0, 40)}"`);
  return found;
}

function outOfRange(overlapMs: number) {
  return {
    path: ['overlapMs'],
    code: 'OUT_OF_RANGE' as const,
    message: 'the overlap is out of range',
    expected: `0 to ${MAX_OVERLAP_MS} ms`,
    received: `${overlapMs} ms`,
  };
}

function upper<T extends string>(text: T): Uppercase<T> {
  return text.toUpperCase() as Uppercase<T>;
}

function lower<T extends string>(text: Uppercase<T>): T {
  return text.toLowerCase() as T;
}
