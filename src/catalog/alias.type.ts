import { Field, ObjectType } from 'type-graphql';
import { connectionOf } from '../graphql/connection.type.js';
import { enumOf } from '../graphql/enum.type.js';
import { DateTime } from '../graphql/scalars.js';

@ObjectType({
  description: 'Name that points to a version of a model and can be moved to another.',
})
export class Alias {
  @Field({ description: 'Name, unique within its model, matching `[a-z][a-z0-9-]{0,31}`.' })
  name!: string;

  @Field(() => DateTime, { description: 'When the alias was last moved.' })
  updatedAt!: Date;

  /** Not in the schema: `aliasedVersion` is resolved from `versionId`. */
  modelId!: string;
  versionId!: string;
}

const GateOutcome = enumOf('GateOutcome', 'Whether a version had passed the gate of an alias that was moved to it.', {
  PASSED: 'The version had passed the gate.',
  OVERRIDDEN: 'The version had not passed the gate, which an administrator has overridden.',
});

@ObjectType({ description: 'One change of an alias: to which version it was moved, and from which.' })
export class AliasChange {
  @Field({ description: 'Name of the alias.' })
  alias!: string;

  @Field(() => DateTime, { description: 'When the alias was moved.' })
  changedAt!: Date;

  @Field({ description: 'Whether `rollbackAlias` made the change.' })
  isRollback!: boolean;

  @Field(() => GateOutcome, {
    nullable: true,
    description: 'Whether the version had passed the gate; null if the alias had none, and for rollbacks.',
  })
  gateOutcome!: keyof typeof GateOutcome | null;

  /** Not in the schema: resolved from these, or only for some callers. */
  modelId!: string;
  versionId!: string;
  previousVersionId!: string | null;
  account!: string | null;
  statedReason!: string | null;
}

@ObjectType({ description: 'One page of the history of aliases.' })
export class AliasChangeConnection extends connectionOf(AliasChange) {}
