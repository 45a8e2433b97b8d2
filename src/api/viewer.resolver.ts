/** Who the caller is, and the API keys of the server. */
import { Arg, Ctx, ID, Int, Mutation, Query, Resolver } from 'type-graphql';
import type { KeyKind, ApiKey as StoredKey } from '../access/api-key.js';
import type { Actor, ApiKeys } from '../access/api-keys.js';
import { checkLimits } from '../access/key-limits.js';
import { checkNewKey, MAX_OVERLAP_MS } from '../access/new-key.js';
import { Policy } from '../access/policy.js';
import { isNobody, type Principal } from '../access/principal.js';
import { checkReason, REASON } from '../access/reason.js';
import type { Role } from '../access/roles.js';
import { InvalidInputError, NotFoundError } from '../errors.js';
import { AFTER, FIRST } from '../graphql/connection.type.js';
import { Cost, POINTS_PER_CHANGE } from '../graphql/cost.js';
import { create } from '../graphql/create.js';
import { payloadOf } from '../graphql/problem.type.js';
import { SafeInt } from '../graphql/scalars.js';
import {
  ApiKey,
  ApiKeyConnection,
  CreateApiKeyInput,
  CreateApiKeyPayload,
  PUBLISHABLE_DEFAULTS,
  RevokeApiKeyPayload,
  SetApiKeyLimitsPayload,
} from './api-key.type.js';
import { QuotaLimitsInput, QuotaUse } from './quota.type.js';
import { AccessToken, Viewer } from './viewer.type.js';

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
