/** Quotas of a key, and what was used of them. */
import { Field, Float, InputType, ObjectType } from 'type-graphql';
import type { QuotaLimits as Limits } from '../access/quota.js';
import { DateTime, SafeInt } from '../graphql/scalars.js';

const DESCRIPTIONS: Readonly<Record<keyof Limits, string>> = {
  operationsPerSecond: 'Operations per second: root fields, and requests answered with a status of 400 to 499.',
  operationsPerDay:
    'Operations per day, from 00:00 UTC: root fields, and requests answered with a status of 400 to 499.',
  computeMsPerSecond: 'Milliseconds of computing per second.',
  computeMsPerDay: 'Milliseconds of computing per day, from 00:00 UTC.',
  bytesPerSecond: 'Bytes of request bodies and answers per second.',
  bytesPerDay: 'Bytes of request bodies and answers per day, from 00:00 UTC.',
};

function LimitField(name: keyof Limits, more: string): PropertyDecorator {
  return Field(() => SafeInt, { nullable: true, description: `${DESCRIPTIONS[name]} ${more}` });
}

const UNLIMITED = 'Null: not limited.';
const ACCEPTED = 'At least 1. Default: not limited.';

@ObjectType({
  description:
    'What the holder of a key may use. Computing is what models take, with a share of their batches, and the `requested` cost of everything else, at 20 points per millisecond.',
})
export class QuotaLimits {
  @LimitField('operationsPerSecond', UNLIMITED)
  operationsPerSecond!: number | null;

  @LimitField('operationsPerDay', UNLIMITED)
  operationsPerDay!: number | null;

  @LimitField('computeMsPerSecond', UNLIMITED)
  computeMsPerSecond!: number | null;

  @LimitField('computeMsPerDay', UNLIMITED)
  computeMsPerDay!: number | null;

  @LimitField('bytesPerSecond', UNLIMITED)
  bytesPerSecond!: number | null;

  @LimitField('bytesPerDay', UNLIMITED)
  bytesPerDay!: number | null;
}

@InputType({ description: 'Quotas of a key.' })
export class QuotaLimitsInput {
  @LimitField('operationsPerSecond', ACCEPTED)
  operationsPerSecond?: number | null;

  @LimitField('operationsPerDay', ACCEPTED)
  operationsPerDay?: number | null;

  @LimitField('computeMsPerSecond', ACCEPTED)
  computeMsPerSecond?: number | null;

  @LimitField('computeMsPerDay', ACCEPTED)
  computeMsPerDay?: number | null;

  @LimitField('bytesPerSecond', ACCEPTED)
  bytesPerSecond?: number | null;

  @LimitField('bytesPerDay', ACCEPTED)
  bytesPerDay?: number | null;
}

@ObjectType({ description: 'What was used of quotas today, from 00:00 UTC.' })
export class QuotaUse {
  @Field(() => Float, { description: 'Root fields, and requests answered with a status of 400 to 499.' })
  operations!: number;

  @Field(() => Float, { description: 'Milliseconds of computing.' })
  computeMs!: number;

  @Field(() => Float, { description: 'Bytes of request bodies and answers.' })
  bytes!: number;

  @Field(() => DateTime, { description: 'When the day ends.' })
  resetsAt!: Date;
}
