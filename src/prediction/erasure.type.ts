import { Field, ID, Int, ObjectType } from 'type-graphql';
import { Policy } from '../access/policy.js';
import { Problem } from '../graphql/problem.type.js';
import { DateTime } from '../graphql/scalars.js';

@Policy('history')
@ObjectType({ description: 'Predictions that were erased.' })
export class Erasure {
  @Field(() => ID, {
    description:
      'Id of the erasure, as in the audit log. If none of the ids to delete is yours, nothing is erased, and the audit log has no entry.',
  })
  id!: string;

  @Field(() => Int, { description: 'Number of predictions that were deleted, at most 2,147,483,647.' })
  deleted!: number;

  @Field(() => Int, {
    description:
      'Of these, predictions that can still be read in backups, because other predictions share their keys: those of parts of days, and those that were named by their ids. At most 2,147,483,647.',
  })
  leftInBackups!: number;

  @Field(() => DateTime, { description: 'When it was requested.' })
  requestedAt!: Date;

  @Field(() => DateTime, {
    nullable: true,
    description:
      'When everything was erased. Null if the server stopped first, or if a command such as a backup was reading the databases: the erasure goes on when the server starts, and every hour.',
  })
  finishedAt!: Date | null;
}

@ObjectType({ description: 'The erasure, or the problem that prevented it: exactly one of them.' })
export class ErasurePayload {
  @Field(() => Erasure, { nullable: true, description: 'The erasure; null if there is a problem.' })
  erasure!: Erasure | null;

  @Field(() => Problem, { nullable: true, description: 'Why nothing was erased; null if there is an erasure.' })
  problem!: Problem | null;
}
