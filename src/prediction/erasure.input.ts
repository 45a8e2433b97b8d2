import { Field, ID, InputType } from 'type-graphql';
import { REASON } from '../access/reason.js';
import { DateTime } from '../graphql/scalars.js';

@InputType({
  description:
    'Which predictions to erase: those that meet all conditions. Give at least one besides `account` and `reason`.',
})
export class ErasePredictionsInput {
  @Field({
    description:
      'Account that owns the predictions: `account` of the API key, or of `viewer`. Without keys, `anonymous`.',
  })
  account!: string;

  @Field(() => String, { nullable: true, description: 'Subject that the predictions were made with.' })
  subject?: string | null;

  @Field(() => ID, { nullable: true, description: 'Id of the API key that the predictions were made with.' })
  keyId?: string | null;

  @Field(() => DateTime, { nullable: true, description: 'Earliest time of the predictions, inclusive.' })
  from?: Date | null;

  @Field(() => DateTime, { nullable: true, description: 'Latest time of the predictions, exclusive. Default: now.' })
  to?: Date | null;

  @Field(() => String, { nullable: true, description: REASON })
  reason?: string | null;
}
