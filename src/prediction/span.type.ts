/** Output types for parts of a text: labeled spans, and the span that answers a question. */
import { Arg, Field, Float, Int, ObjectType } from 'type-graphql';
import { Cost } from '../graphql/cost.js';
import { enumOf } from '../graphql/enum.type.js';
import { Sized } from '../graphql/sized.js';
import type { AggregationName, AnswerOf } from '../tasks/answer.js';
import { spansOf } from '../tasks/token-classification.js';

const Aggregation = enumOf<AggregationName>(
  'Aggregation',
  'How labels of tokens are merged into items: the `aggregation_strategy` of Hugging Face Transformers.',
  {
    NONE: 'One item per token. Labels keep the prefix "B-" or "I-".',
    SIMPLE: 'Adjacent tokens with the same label become one item. A label with prefix "B-" starts a new one.',
    FIRST: 'Each word gets the label of its first token; then adjacent words are merged as in SIMPLE.',
    AVERAGE: "Each word gets the best label by its tokens' mean scores; then adjacent words are merged as in SIMPLE.",
    MAX: 'Each word gets the label of its token with the highest score; then adjacent words are merged as in SIMPLE.',
  },
);

@ObjectType('LabelledSpan', { description: 'Part of a text, with its label.' })
export class LabelledSpanType {
  @Field({
    description: 'Label of the span, such as "PER". It has no prefix "B-" or "I-" unless `aggregation` is NONE.',
  })
  label!: string;

  @Field(() => Float, {
    description: 'Probability of the label, from 0 to 1; the mean if tokens or words were merged.',
  })
  score!: number;

  @Field({ description: 'Text of the span: `text.slice(start, end)` in JavaScript.' })
  word!: string;

  @Field(() => Int, { description: 'Start of the span in the text, in UTF-16 code units, inclusive.' })
  start!: number;

  @Field(() => Int, { description: 'End of the span in the text, in UTF-16 code units, exclusive.' })
  end!: number;
}

@ObjectType({ description: 'Labeled parts of a text, such as names of people and places.' })
export class Tokens {
  constructor(private readonly answer: AnswerOf<'tokens'>) {}

  @Cost({ elements: (_, { prediction }) => prediction.tokens })
  @Field(() => [LabelledSpanType], { description: 'Spans in text order, without those labeled "O" (outside).' })
  items(
    @Arg('aggregation', () => Aggregation, {
      defaultValue: 'SIMPLE',
      description: 'How labels of tokens are merged into items.',
    })
    aggregation: AggregationName,
  ): Sized<LabelledSpanType[]> {
    const elements = this.answer.spans[aggregation].labels.length;
    return new Sized({ elements }, () => spansOf(this.answer, aggregation));
  }
}

@ObjectType('Answer', { description: 'Part of the context that answers a question.' })
export class AnswerType {
  @Field(() => String, {
    nullable: true,
    description: 'Text of the answer, taken from the context; null if the context does not answer the question.',
  })
  text!: string | null;

  @Field(() => Float, {
    nullable: true,
    description:
      'From 0 to 1: probability of the start times probability of the end, as in Hugging Face Transformers. If `text` is null, the score of "no answer".',
  })
  score!: number;

  @Field(() => Int, {
    nullable: true,
    description: 'Start of the answer in the context, in UTF-16 code units, inclusive; null if there is no answer.',
  })
  start!: number | null;

  @Field(() => Int, {
    nullable: true,
    description: 'End of the answer in the context, in UTF-16 code units, exclusive; null if there is no answer.',
  })
  end!: number | null;
}
