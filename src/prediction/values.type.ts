/** Output types for several numbers. */
import { Field, Float, ObjectType } from 'type-graphql';
import { Cost } from '../graphql/cost.js';

@ObjectType('NamedValue', { description: 'One of several predicted numbers.' })
export class NamedValueType {
  @Field({ description: 'Name of the number, as in `signature.targets`.' })
  name!: string;

  @Field(() => Float, { description: 'Value, in `unit`.' })
  value!: number;

  @Field(() => String, { nullable: true, description: 'Unit of the value, such as "g"; null if it has none.' })
  unit!: string | null;
}

@ObjectType({
  description: 'Several predicted numbers: of several targets, quantiles or steps.',
})
export class Values {
  @Cost({ elements: (_, { prediction }) => prediction.targets })
  @Field(() => [NamedValueType], { description: 'One number for each of `signature.targets`, in that order.' })
  values!: readonly NamedValueType[];
}
