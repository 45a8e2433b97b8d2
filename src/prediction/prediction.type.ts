import { Arg, createUnionType, Field, Float, Int, ObjectType } from 'type-graphql';
import { BadPageError } from '../errors.js';
import { connectionOf } from '../graphql/connection.type.js';
import { Node } from '../graphql/node.type.js';
import { Problem } from '../graphql/problem.type.js';
import { Base64, DateTime, JSONValue } from '../graphql/scalars.js';
import type { TensorData } from '../tasks/datatypes.js';
import type { Answer } from '../tasks/input.js';

@ObjectType({ simpleResolvers: true, description: 'One class and how sure the model is of it.' })
export class ClassScore {
  @Field()
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

  @Field()
  label: string;

  @Field(() => Float, { nullable: true, description: 'Of the label; null for models that give labels only.' })
  score(): number | null {
    return this.scores?.[this.labels.indexOf(this.label)] ?? null;
  }

  @Field(() => [ClassScore], { description: 'Best first; empty for models that give labels only.' })
  classes(@Arg('first', () => Int, { defaultValue: 5, description: 'At least 1.' }) first: number): ClassScore[] {
    if (first < 1) throw new BadPageError(`first is ${first}; it must be at least 1.`);
    const classes = (this.scores ?? []).map((score, i) => ({ label: this.labels[i] as string, score }));
    return classes.sort((a, b) => b.score - a.score).slice(0, first);
  }
}

@ObjectType({ simpleResolvers: true, description: 'A tensor that the graph answered.' })
export class Tensor {
  constructor(private readonly tensor: TensorData) {
    this.name = tensor.name;
    this.datatype = tensor.datatype;
    this.shape = [...tensor.shape];
  }

  @Field()
  name: string;

  @Field()
  datatype: string;

  @Field(() => [Int])
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
  @Field(() => [Tensor])
  tensors!: Tensor[];
}

@ObjectType({ simpleResolvers: true, description: 'One number.' })
export class Regression {
  @Field(() => Float)
  value!: number;

  @Field(() => String, { nullable: true, description: 'Of the value, such as "g"; null where it has none.' })
  unit!: string | null;
}

export const Output = createUnionType({
  name: 'Output',
  description: 'What a model answers, by its task.',
  types: () => [Classification, Regression, Tensors] as const,
});

export function outputOf(answer: Answer, labels: readonly string[]): typeof Output {
  if (answer.kind === 'classification') return new Classification(answer.label, answer.scores, labels);
  if (answer.kind === 'regression') return Object.assign(new Regression(), { value: answer.value, unit: answer.unit });
  return Object.assign(new Tensors(), { tensors: answer.tensors.map((tensor) => new Tensor(tensor)) });
}

@ObjectType({
  simpleResolvers: true,
  description: 'Where the time went, in milliseconds. Prepare, infer and finish are those of the whole batch.',
})
export class Timing {
  @Field(() => Float, { description: 'Waiting for room in a worker.' })
  queueMs!: number;

  @Field(() => Float, { description: 'From what was sent to the tensors of the graph.' })
  prepareMs!: number;

  @Field(() => Float, { description: 'In the graph.' })
  inferMs!: number;

  @Field(() => Float, { description: "From the graph's outputs to the answer." })
  finishMs!: number;

  @Field(() => Float, {
    description: 'From arrival to answer, the way to the worker and back included, the recording not.',
  })
  totalMs!: number;

  @Field(() => Int, { description: 'Inputs that shared the run.' })
  batchSize!: number;
}

@ObjectType({ simpleResolvers: true, description: 'What computed the answer.' })
export class Runtime {
  @Field({ description: 'The one actually used: "cpu" or "cuda".' })
  executionProvider!: string;

  @Field()
  device!: string;

  @Field({ description: 'Digest of the file that was run.' })
  artifactSha256!: string;
}

@ObjectType({ implements: Node, simpleResolvers: true, description: 'One answer to one input.' })
export class Prediction extends Node {
  @Field(() => DateTime)
  createdAt!: Date;

  @Field({ description: 'Is it kept? It was on the disk before it was answered.' })
  recorded!: boolean;

  @Field(() => Timing, { nullable: true })
  timing!: Timing | null;

  @Field(() => Runtime, { nullable: true })
  runtime!: Runtime | null;

  /** Not fields: `predictedBy`, `input` and `output` are resolved from them. */
  versionId!: string;
  answer!: Answer;
  /** Known at once after predicting; otherwise those of the version's spec. */
  labels!: readonly string[] | null;
  inputJson!: string | null;
  inputSha256!: string | null;
}

@ObjectType({ description: 'A page of a list of predictions.' })
export class PredictionConnection extends connectionOf(Prediction) {}

@ObjectType({ simpleResolvers: true, description: 'The prediction, or why there is none: exactly one of them.' })
export class PredictPayload {
  @Field(() => Prediction, { nullable: true })
  prediction!: Prediction | null;

  @Field(() => Problem, { nullable: true })
  problem!: Problem | null;

  @Field({ description: 'True when an idempotency key found an earlier result.' })
  replayed!: boolean;
}

@ObjectType({
  simpleResolvers: true,
  description: 'One payload for each input, or why nothing was tried: exactly one of them.',
})
export class PredictManyPayload {
  @Field(() => [PredictPayload], {
    nullable: true,
    description: '`results[i]` answers `inputs[i]`; one bad value fails alone.',
  })
  results!: PredictPayload[] | null;

  @Field(() => Problem, { nullable: true })
  problem!: Problem | null;
}
