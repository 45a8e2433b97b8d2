/** The API keys of the server, and what changes them. */
import { Field, ID, InputType, ObjectType } from 'type-graphql';
import type { KeyKind } from '../access/api-key.js';
import { PUBLISHABLE_LIMITS } from '../access/key-limits.js';
import { REASON } from '../access/reason.js';
import { ROLE_DESCRIPTIONS, type Role } from '../access/roles.js';
import { connectionOf } from '../graphql/connection.type.js';
import { enumOf } from '../graphql/enum.type.js';
import { Problem } from '../graphql/problem.type.js';
import { DateTime } from '../graphql/scalars.js';
import { QuotaLimits, QuotaLimitsInput } from './quota.type.js';

export const RoleEnum = enumOf<Uppercase<Role>>(
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

export const PUBLISHABLE_DEFAULTS = `Of a publishable key, those that are left out are: ${Object.entries(
  PUBLISHABLE_LIMITS,
)
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
    description: 'When the key expires: it is refused from then on. Null if it does not expire.',
  })
  expiresAt!: Date | null;

  @Field(() => DateTime, { nullable: true, description: 'When the key was revoked; null if it was not.' })
  revokedAt!: Date | null;

  @Field(() => ID, {
    nullable: true,
    description: 'Id of the key that `rotateApiKey` made to replace it; null if there is none.',
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

  @Field(() => DateTime, {
    nullable: true,
    description: 'When the key expires: it is refused from then on. Default: never.',
  })
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
