/** What a model answers, by its task: a type for each kind of answer, and the union of them. */
import { Arg, createUnionType, Field, Float, Int, ObjectType, registerEnumType } from 'type-graphql';
import { BadArgumentError } from '../errors.js';
import { Base64, FloatList, JSONValue } from '../graphql/scalars.js';
import { AGGREGATIONS, type AggregationName, type Answer, type AnswerOf } from '../tasks/answer.js';
import type { TensorData } from '../tasks/datatypes.js';
import { MAX_FILLINGS } from '../tasks/fill-mask.js';
import { spansOf } from '../tasks/token-classification.js';

@ObjectType({ simpleResolvers: true, description: 'One class and how sure the model is of it.' })
export class ClassScore {
  @Field({ description: 'The class, one of the labels.' })
  label!: string;

  @Field(() => Float, { description: 'From 0 to 1 for probabilities.' })
  score!: number;
}

@ObjectType({ description: 'The class that an input belongs to.' })
export class Classification {
  constructor(
    label: string,
    readonly scores: readonly number[] | null,
    readonly labels: readonly string[],
  ) {
    this.label = label;
  }

  @Field({ description: 'The class with the best score.' })
  label: string;

  @Field(() => Float, { nullable: true, description: 'Of the label; null for models that give labels only.' })
  score(): number | null {
    // Of the best, as the label is. Two labels of a model may be the same word.
    return this.scores?.reduce((best, score) => Math.max(best, score)) ?? null;
  }

  @Field(() => [ClassScore], { description: 'Best first; empty for models that give labels only.' })
  classes(
    @Arg('first', () => Int, { defaultValue: 5, description: 'At least 1.' }) first: number,
    @Arg('minScore', () => Float, {
      defaultValue: 0,
      description:
        'At least 0. Leaves out what scores less. With `signature.multiLabel`, 0.5 leaves the labels that apply.',
    })
    minScore: number,
  ): ClassScore[] {
    checkRange('first', first, 1);
    checkRange('minScore', minScore, 0);
    const classes = (this.scores ?? []).map((score, i) => ({ label: this.labels[i] as string, score }));
    // A score may be negative where it is no probability.
    const wanted = minScore > 0 ? classes.filter(({ score }) => score >= minScore) : classes;
    return wanted.sort((a, b) => b.score - a.score).slice(0, first);
  }
}

function checkRange(name: string, value: number, least: number, most = Number.POSITIVE_INFINITY): void {
  if (value >= least && value <= most) return;
  const rule = most === Number.POSITIVE_INFINITY ? `be at least ${least}` : `lie between ${least} and ${most}`;
  throw new BadArgumentError(`${name} is ${value}; it must ${rule}.`);
}

@ObjectType({ description: 'Where a text or a picture lies among others: near ones mean the same.' })
export class Embedding {
  constructor(private readonly numbers: Float32Array) {
    this.dimensions = numbers.length;
  }

  @Field(() => Int, { description: 'How many numbers the vector has.' })
  dimensions: number;

  @Field(() => FloatList, { description: 'The numbers, in order; scaled to length one where the model says so.' })
  vector(): Float32Array {
    return this.numbers;
  }

  @Field(() => Base64, { description: 'The same as little-endian 32-bit floats.' })
  vectorBase64(): string {
    const { buffer, byteOffset, byteLength } = this.numbers;
    return Buffer.from(buffer, byteOffset, byteLength).toString('base64');
  }
}

@ObjectType({ simpleResolvers: true, description: 'How near each sentence is to the source.' })
export class Similarities {
  @Field(() => FloatList, { description: 'Cosines, −1 to 1, in the order of the sentences.' })
  scores!: readonly number[];
}

@ObjectType('Box', {
  simpleResolvers: true,
  description:
    'Edges in pixels of the picture that was sent, turned as its EXIF says, from its top left corner. They may lie beyond its edge.',
})
export class BoxType {
  @Field(() => Float, { description: 'Left edge, in pixels.' })
  xmin!: number;

  @Field(() => Float, { description: 'Top edge, in pixels.' })
  ymin!: number;

  @Field(() => Float, { description: 'Right edge, in pixels.' })
  xmax!: number;

  @Field(() => Float, { description: 'Bottom edge, in pixels.' })
  ymax!: number;
}

@ObjectType('DetectedObject', { simpleResolvers: true, description: 'Something in a picture, and where.' })
export class DetectedObjectType {
  @Field({ description: 'What it is, one of the labels.' })
  label!: string;

  @Field(() => Float, { description: 'From 0 to 1.' })
  score!: number;

  @Field(() => BoxType, { description: 'Where it is.' })
  box!: BoxType;
}

@ObjectType({ description: 'What stands where in a picture.' })
export class Detections {
  constructor(private readonly answer: AnswerOf<'detections'>) {}

  @Field(() => [DetectedObjectType], { description: 'Best first, at most 300.' })
  items(
    @Arg('threshold', () => Float, {
      nullable: true,
      description: "Only what scores more, 0.05 to 1. Default: the model's, 0.5 unless its owner says otherwise.",
    })
    threshold: number | null | undefined,
  ): DetectedObjectType[] {
    if (typeof threshold === 'number') checkRange('threshold', threshold, 0.05, 1);
    const least = threshold ?? this.answer.threshold;
    return this.answer.items.filter(({ score }) => score > least);
  }
}

const Aggregation = Object.fromEntries(AGGREGATIONS.map((name) => [name, name])) as Record<
  AggregationName,
  AggregationName
>;
registerEnumType(Aggregation, {
  name: 'Aggregation',
  description:
    'What becomes one item. NONE: each token. SIMPLE: neighbouring tokens of one label. FIRST, AVERAGE, MAX: neighbouring words of one label, where a word has the label of its first token, of the mean of its tokens, or of its surest token.',
});

@ObjectType('LabelledSpan', { simpleResolvers: true, description: 'Part of a text, with its label.' })
export class LabelledSpanType {
  @Field({ description: 'Without "B-" and "I-", unless tokens stand for themselves.' })
  label!: string;

  @Field(() => Float, { description: 'From 0 to 1; of several tokens, their mean.' })
  score!: number;

  @Field({ description: 'As it stands in the text: `text.slice(start, end)`.' })
  word!: string;

  @Field(() => Int, { description: 'In UTF-16 units, as JavaScript counts.' })
  start!: number;

  @Field(() => Int, { description: 'In UTF-16 units; the first that is not part of it.' })
  end!: number;
}

@ObjectType({ description: 'What is named in a text, and where.' })
export class Tokens {
  constructor(private readonly answer: AnswerOf<'tokens'>) {}

  @Field(() => [LabelledSpanType], { description: 'In the order of the text, without what names nothing ("O").' })
  items(
    @Arg('aggregation', () => Aggregation, { defaultValue: 'SIMPLE' }) aggregation: AggregationName,
  ): LabelledSpanType[] {
    return spansOf(this.answer, aggregation);
  }
}

@ObjectType('Answer', { simpleResolvers: true, description: 'The part of a text that answers a question.' })
export class AnswerType {
  @Field(() => String, { nullable: true, description: 'Null when the text holds no answer.' })
  text!: string | null;

  @Field(() => Float, { nullable: true, description: 'From 0 to 1; of "no answer", when there is none.' })
  score!: number;

  @Field(() => Int, { nullable: true, description: 'In UTF-16 units of the context.' })
  start!: number | null;

  @Field(() => Int, { nullable: true, description: 'In UTF-16 units; the first that is not part of it.' })
  end!: number | null;
}

@ObjectType('Filling', { simpleResolvers: true, description: 'A word for the open place of a text.' })
export class FillingType {
  @Field(() => Int, { description: 'Its number in the vocabulary.' })
  token!: number;

  @Field({ description: 'The word; it may begin with a space.' })
  text!: string;

  @Field(() => Float, { description: 'From 0 to 1.' })
  score!: number;

  @Field({ description: 'The whole text with the word in its place.' })
  sequence!: string;
}

@ObjectType({ description: 'Words for the open place of a text.' })
export class Fillings {
  constructor(private readonly answer: AnswerOf<'fillings'>) {}

  @Field(() => [FillingType], { description: 'Best first.' })
  items(@Arg('first', () => Int, { defaultValue: 5, description: '1 to 20.' }) first: number): FillingType[] {
    checkRange('first', first, 1, MAX_FILLINGS);
    return this.answer.items.slice(0, first);
  }
}

@ObjectType({ simpleResolvers: true, description: 'A tensor that the graph answered.' })
export class Tensor {
  constructor(private readonly tensor: TensorData) {
    this.name = tensor.name;
    this.datatype = tensor.datatype;
    this.shape = [...tensor.shape];
  }

  @Field({ description: 'Name of the output of the graph.' })
  name: string;

  @Field({ description: 'As in the signature: FP32, INT64, BYTES …' })
  datatype: string;

  @Field(() => [Int], { description: 'Size of each dimension.' })
  shape: number[];

  @Field(() => JSONValue, {
    nullable: true,
    description: 'All values as one flat list, row by row; whole numbers beyond 2^53 as strings.',
  })
  data(): unknown {
    return Array.from(this.tensor.data as ArrayLike<unknown>, (value) => {
      if (typeof value === 'bigint') return Number.isSafeInteger(Number(value)) ? Number(value) : String(value);
      return typeof value === 'number' && !Number.isFinite(value) ? null : value;
    });
  }

  @Field(() => Base64, { nullable: true, description: 'Little-endian bytes, row by row; null for strings.' })
  base64(): string | null {
    const { data } = this.tensor;
    return Array.isArray(data) ? null : Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString('base64');
  }
}

@ObjectType({ simpleResolvers: true, description: 'What a graph answers whose meaning is not known.' })
export class Tensors {
  @Field(() => [Tensor], { description: 'One for each of `signature.outputs`.' })
  tensors!: Tensor[];
}

@ObjectType({ simpleResolvers: true, description: 'One number.' })
export class Regression {
  @Field(() => Float, { description: 'The number, in the unit.' })
  value!: number;

  @Field(() => String, { nullable: true, description: 'Of the value, such as "g"; null where it has none.' })
  unit!: string | null;
}

export const Output = createUnionType({
  name: 'Output',
  description: 'What a model answers, by its task.',
  types: () =>
    [Classification, Regression, Embedding, Similarities, Detections, Tokens, AnswerType, Fillings, Tensors] as const,
});

/** `labels` are the version's; an answer to labels of the caller has its own. */
export function outputOf(answer: Answer, labels: readonly string[]): typeof Output {
  switch (answer.kind) {
    case 'classification':
      return new Classification(answer.label, answer.scores, answer.labels ?? labels);
    case 'regression':
      return Object.assign(new Regression(), { value: answer.value, unit: answer.unit });
    case 'embedding':
      return new Embedding(answer.vector);
    case 'similarities':
      return Object.assign(new Similarities(), { scores: answer.scores });
    case 'detections':
      return new Detections(answer);
    case 'tokens':
      return new Tokens(answer);
    case 'answer':
      return Object.assign(new AnswerType(), answer);
    case 'fillings':
      return new Fillings(answer);
    case 'tensors':
      return Object.assign(new Tensors(), { tensors: answer.tensors.map((tensor) => new Tensor(tensor)) });
  }
}
