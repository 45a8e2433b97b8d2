/** The audit log. */

import { Arg, Field, ID, Int, ObjectType, Query, Resolver } from 'type-graphql';
import type { AuditEntry as Entry } from '../access/audit.js';
import { findAuditPage } from '../access/audit.queries.js';
import { Policy } from '../access/policy.js';
import { AFTER, connectionOf, FIRST } from '../graphql/connection.type.js';
import { create } from '../graphql/create.js';
import { DateTime, JSONObject } from '../graphql/scalars.js';
import { sha256 } from '../storage/blobs.js';
import type { CatalogDatabase } from '../storage/database.js';

@Policy('audit')
@ObjectType({
  description:
    'One change of an alias, a key, a registered operation or the account of a model, a registered model, a publication, or a version that was imported or published. Entries are never changed or removed.',
})
export class AuditEntry {
  @Field(() => Int, { description: 'Position in the log: 1 for the first entry, without gaps.' })
  sequence!: number;

  @Field(() => DateTime, { description: 'When the change was made.' })
  at!: Date;

  @Field({
    description:
      'Account that made the change; "anonymous" while the server has no keys, "command-line" for `npm run keys`, "system" for the server itself, "oidc:…" for tokens.',
  })
  account!: string;

  @Field(() => ID, { nullable: true, description: 'Id of the key that it was made with; null if there was none.' })
  keyId!: string | null;

  @Field(() => String, {
    nullable: true,
    description: 'Issuer of the token that it was made with; null if there was none.',
  })
  issuer!: string | null;

  @Field(() => String, {
    nullable: true,
    description: 'Whom that token was issued to, as the issuer names them; null if there was none.',
  })
  subject!: string | null;

  @Field({ description: 'What was done: the name of a mutation, such as "setAlias".' })
  action!: string;

  @Field({ description: 'What was changed, such as "spam-filter@champion" or "API key 5f3a…".' })
  target!: string;

  @Field(() => String, { nullable: true, description: 'Reason that the caller gave; null if none was given.' })
  reason!: string | null;

  @Field(() => JSONObject, { nullable: true, description: 'State before the change; null if there was none.' })
  before!: Record<string, unknown> | null;

  @Field(() => JSONObject, { nullable: true, description: 'State after the change; null if there is none.' })
  after!: Record<string, unknown> | null;

  @Field(() => String, { nullable: true, description: 'SHA-256 of `before` as it is stored, in hexadecimal.' })
  beforeSha256!: string | null;

  @Field(() => String, { nullable: true, description: 'SHA-256 of `after` as it is stored, in hexadecimal.' })
  afterSha256!: string | null;

  @Field({
    description:
      'SHA-256 of this entry and of the `sha256` of the one before, in hexadecimal. Whoever writes it down elsewhere can tell later that nothing before it was changed: `npm run audit:verify -- <sequence> <sha256>`.',
  })
  sha256!: string;
}

@ObjectType({ description: 'One page of the audit log.' })
export class AuditEntryConnection extends connectionOf(AuditEntry) {}

@Resolver()
export class AuditResolver {
  constructor(private readonly db: CatalogDatabase) {}

  @Policy('audit')
  @Query(() => AuditEntryConnection, {
    nullable: true,
    description:
      'Changes of aliases, keys, registered operations and accounts of models, registered models, publications, and imported versions, newest first. For callers with the role AUDITOR.',
  })
  async auditLog(
    @Arg('first', () => Int, { defaultValue: 20, description: FIRST }) first: number,
    @Arg('after', () => String, { nullable: true, description: AFTER }) after: string | null,
    @Arg('target', () => String, { nullable: true, description: 'Only changes of this target.' }) target: string | null,
  ): Promise<AuditEntryConnection> {
    return new AuditEntryConnection(await findAuditPage(this.db, { first, after }, target ?? null, typeOf));
  }
}

function typeOf(entry: Entry): AuditEntry {
  const { before, after } = entry;
  return create(AuditEntry, {
    ...entry,
    before: before === null ? null : JSON.parse(before),
    after: after === null ? null : JSON.parse(after),
    beforeSha256: digest(before),
    afterSha256: digest(after),
  });
}

function digest(json: string | null): string | null {
  return json === null ? null : sha256(json);
}
