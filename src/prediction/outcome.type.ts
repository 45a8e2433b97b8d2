import { Field, Float, ID, InputType, ObjectType } from 'type-graphql';
import { MAX_REASON_CHARACTERS } from '../access/reason.js';
import { Problem } from '../graphql/problem.type.js';
import { DateTime } from '../graphql/scalars.js';
import { Prediction } from './prediction.type.js';

@InputType({ description: 'What turned out to be true of a prediction. Give exactly one of `label` and `value`.' })
export class RecordOutcomeInput {
  @Field(() => ID, { description: 'Id of one of your recorded predictions.' })
  prediction!: string;

  @Field(() => String, {
    nullable: true,
    description: 'True class, of a prediction that chose one of the labels of its version: one of these labels.',
  })
  label?: string | null;

  @Field(() => Float, {
    nullable: true,
    description: 'True number, in the unit of the predicted one, of a prediction of one number.',
  })
  value?: number | null;

  @Field(() => String, {
    nullable: true,
    description: `How the outcome became known, or why it replaces an earlier one, 1 to ${MAX_REASON_CHARACTERS} characters. It is kept with the outcome.`,
  })
  reason?: string | null;
}

@ObjectType({ description: 'What turned out to be true of a prediction, as its account has recorded it.' })
export class Outcome {
  @Field(() => String, { nullable: true, description: 'True class; null if a number was predicted.' })
  label!: string | null;

  @Field(() => Float, {
    nullable: true,
    description: 'True number, in the unit of the predicted one; null if a class was predicted.',
  })
  value!: number | null;

  @Field(() => String, {
    nullable: true,
    description: 'How it became known, or why it replaced an earlier outcome; null if that was not said.',
  })
  reason!: string | null;

  @Field(() => DateTime, { description: 'When this outcome was recorded.' })
  recordedAt!: Date;

  @Field(() => DateTime, {
    description: 'When the first outcome of the prediction was recorded: earlier than `recordedAt` if it was replaced.',
  })
  firstRecordedAt!: Date;
}

@ObjectType({
  description: 'The prediction with its outcome, or the problem that prevented recording it: exactly one of them.',
})
export class RecordOutcomePayload {
  @Field(() => Prediction, {
    nullable: true,
    description: 'The prediction, with its new outcome; null if there is a problem.',
  })
  prediction!: Prediction | null;

  @Field(() => Problem, { nullable: true, description: 'Why the outcome was not recorded; null if it was.' })
  problem!: Problem | null;
}
