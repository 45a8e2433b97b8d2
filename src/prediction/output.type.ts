/** Output types: one for each kind of answer, and their union. */
import { Arg, createUnionType, Field, Float, Int, ObjectType } from 'type-graphql';
import { checkRange } from '../graphql/check-range.js';
import { type Args, Cost, type CostScope, type PredictionSize } from '../graphql/cost.js';
import { create } from '../graphql/create.js';
import { Base64, FloatList } from '../graphql/scalars.js';
import { Sized } from '../graphql/sized.js';
import type { Answer, AnswerOf, ClassifiedTarget } from '../tasks/answer.js';
import { MAX_OBJECTS, MIN_SCORE } from '../tasks/boxes.js';
import { MAX_FILLINGS } from '../tasks/fill-mask.js';
import { MAX_STEPS } from '../tasks/image-to-text.js';
import { scoreOf } from '../tasks/scores.js';
import { MAX_DOCUMENTS } from '../tasks/text-ranking.js';
import { Masks } from './mask.type.js';
import { BYTES_PER_NUMBER } from './output-size.js';
import { AnswerType, Tokens } from './span.type.js';
import { base64Of, Tensor, Tensors } from './tensor.type.js';
import { Values } from './values.type.js';

/** In UTF-8, of most characters that are recognized in images. */
const BYTES_PER_CHARACTER = 3;

/** As many elements as an argument asks for, or as the answer may have. */
function leastOf(argument: string, most: (prediction: PredictionSize) => number) {
  return (args: Args, { prediction }: CostScope): number =>
    Math.max(0, Math.min(Number(args[argument]), most(prediction)));
}

@ObjectType({ description: 'Class with its score.' })
export class ClassScore {
  @Field({ description: "Name of the class: one of the version's labels, or of the labels in a zero-shot input." })
  label!: string;

  @Field(() => Float, {
    description: 'Probability of the class, from 0 to 1.',
  })
  score!: number;
}

@ObjectType({ description: 'Class of an input, with the scores of all classes.' })
export class Classification {
  /** Indices of the scores, highest score first; sorted once for all arguments. */
  #byScore: Uint32Array | null = null;

  constructor(
    label: string,
    readonly scores: readonly number[] | null,
    readonly labels: readonly string[],
  ) {
    this.label = label;
  }

  @Field({
    description:
      'Class that the model decides on: the one that the graph returns, or else the one with the highest score.',
  })
  label: string;

  @Field(() => Float, {
    nullable: true,
    description: 'Score of `label`, from 0 to 1; null if the graph returns no probabilities.',
  })
  score(): number | null {
    return scoreOf(this.label, this.scores, this.labels);
  }

  @Cost({ points: (_, { prediction }) => prediction.labels / 500, elements: leastOf('first', ({ labels }) => labels) })
  @Field(() => [ClassScore], {
    description: 'Classes with their scores, highest score first; empty if the graph returns no probabilities.',
  })
  classes(
    @Arg('first', () => Int, {
      defaultValue: 5,
      description: 'Maximum number of classes to return, at least 1. Smaller values are a BAD_USER_INPUT error.',
    })
    first: number,
    @Arg('minScore', () => Float, {
      defaultValue: 0,
      description:
        'Lowest score to return, at least 0. If `signature.multiLabel` is true, 0.5 returns the labels that apply. Negative values are a BAD_USER_INPUT error.',
    })
    minScore: number,
  ): Sized<ClassScore[]> {
    checkRange('first', first, 1);
    checkRange('minScore', minScore, 0);
    const scores = this.scores ?? [];
    this.#byScore ??= Uint32Array.from(scores.keys()).sort(
      (a, b) => (scores[b] as number) - (scores[a] as number) || a - b,
    );
    // Scores that are not probabilities may be negative: the default of 0 must keep them.
    const wanted = minScore > 0 ? countAtLeast(minScore, scores, this.#byScore) : scores.length;
    const best = this.#byScore.subarray(0, Math.min(first, wanted));
    return new Sized({ elements: best.length }, () =>
      Array.from(best, (i) => ({ label: this.labels[i] as string, score: scores[i] as number })),
    );
  }
}

@ObjectType('ClassifiedTarget', { description: 'Class of an input for one of several targets.' })
export class ClassifiedTargetType extends Classification {
  constructor({ name, label, scores, labels }: ClassifiedTarget) {
    super(label, scores, labels);
    this.name = name;
  }

  @Field({ description: 'Name of the target, as in `signature.targets`.' })
  name: string;
}

@ObjectType({
  description: 'Several classes of an input: one for each target, such as the color and the size of a product.',
})
export class MultiClassification {
  @Cost({ elements: (_, { prediction }) => prediction.targets })
  @Field(() => [ClassifiedTargetType], { description: 'One class for each of `signature.targets`, in that order.' })
  targets!: readonly ClassifiedTargetType[];
}

/** The number of scores that are at least `minScore`, by binary search in their descending order. */
function countAtLeast(minScore: number, scores: readonly number[], byScore: Uint32Array): number {
  let [low, high] = [0, byScore.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((scores[byScore[middle] as number] as number) >= minScore) low = middle + 1;
    else high = middle;
  }
  return low;
}

@ObjectType({
  description:
    'Embedding of a text, an image, a row or a time series: a vector that is close to those of inputs with similar meaning.',
})
export class Embedding {
  constructor(private readonly numbers: Float32Array) {
    this.dimensions = numbers.length;
  }

  @Field(() => Int, { description: 'Number of values in the vector.' })
  dimensions: number;

  @Cost({ bytes: (_, { prediction }) => BYTES_PER_NUMBER * prediction.outputValues })
  @Field(() => FloatList, {
    description:
      'Values of the vector. Text embeddings are pooled over tokens as in Sentence Transformers. The vector is normalized to length 1 if the configuration of the model requires it.',
  })
  vector(): Float32Array {
    return this.numbers;
  }

  @Cost({ bytes: (_, { prediction }) => 6 * prediction.outputValues })
  @Field(() => Base64, { description: 'Same values as `vector`, as little-endian 32-bit floats.' })
  vectorBase64(): Sized<string> {
    return base64Of(this.numbers);
  }
}

@ObjectType({ description: 'Similarity of each sentence to the source sentence.' })
export class Similarities {
  @Cost({ bytes: (_, { prediction }) => BYTES_PER_NUMBER * prediction.sentences })
  @Field(() => FloatList, {
    description:
      'Similarities of the embeddings, in the order of `SimilarityInput.sentences`; higher is more similar. Cosines, from -1 to 1, unless `similarity_fn_name` of the model is dot (dot products), euclidean or manhattan (negative distances).',
  })
  scores!: readonly number[];
}

@ObjectType('Box', {
  description:
    'Bounding box in pixels of the image that was sent, after its EXIF orientation is applied. The origin is the top left corner. A box may extend beyond the image.',
})
export class BoxType {
  @Field(() => Float, { description: 'Left edge, in pixels from the left.' })
  xmin!: number;

  @Field(() => Float, { description: 'Top edge, in pixels from the top.' })
  ymin!: number;

  @Field(() => Float, { description: 'Right edge, in pixels from the left.' })
  xmax!: number;

  @Field(() => Float, { description: 'Bottom edge, in pixels from the top.' })
  ymax!: number;
}

@ObjectType('DetectedObject', {
  description: 'Object detected in an image, with its bounding box.',
})
export class DetectedObjectType {
  @Field({ description: "Class of the object, one of the version's labels." })
  label!: string;

  @Field(() => Float, {
    description:
      'Score of the class: a probability from 0 to 1, unless the graph of a YOLO detector returns other scores.',
  })
  score!: number;

  @Field(() => BoxType, { description: 'Bounding box of the object.' })
  box!: BoxType;
}

@ObjectType({ description: 'Objects detected in an image, with bounding boxes.' })
export class Detections {
  constructor(private readonly answer: AnswerOf<'detections'>) {}

  @Cost({ elements: (_, { prediction }) => prediction.objects })
  @Field(() => [DetectedObjectType], { description: `Detected objects, highest score first, at most ${MAX_OBJECTS}.` })
  items(
    @Arg('threshold', () => Float, {
      nullable: true,
      description: `Score above which objects are returned, ${MIN_SCORE} to 1. Other values are a BAD_USER_INPUT error. Default: the model's own threshold, usually 0.5, or 0.25 for YOLO.`,
    })
    threshold: number | null | undefined,
  ): DetectedObjectType[] {
    if (typeof threshold === 'number') checkRange('threshold', threshold, MIN_SCORE, 1);
    const least = threshold ?? this.answer.threshold;
    return this.answer.items.filter(({ score }) => score > least);
  }
}

@ObjectType('Filling', { description: 'Candidate for the masked word of a text.' })
export class FillingType {
  @Field(() => Int, { description: 'Token id in the vocabulary of the model.' })
  token!: number;

  @Field({ description: 'Text of the token; may begin with a space.' })
  text!: string;

  @Field(() => Float, { description: 'Probability of the token, from 0 to 1.' })
  score!: number;

  @Cost({ bytes: (_, { prediction }) => prediction.characters })
  @Field({ description: 'Whole text, with the mask replaced by this word.' })
  sequence!: string;
}

@ObjectType({ description: 'Candidates for the masked word of a text.' })
export class Fillings {
  constructor(private readonly answer: AnswerOf<'fillings'>) {}

  @Cost({ elements: leastOf('first', () => MAX_FILLINGS) })
  @Field(() => [FillingType], { description: 'Candidates, highest score first.' })
  items(
    @Arg('first', () => Int, {
      defaultValue: 5,
      description: `Maximum number of candidates to return, 1 to ${MAX_FILLINGS}. Other values are a BAD_USER_INPUT error.`,
    })
    first: number,
  ): FillingType[] {
    checkRange('first', first, 1, MAX_FILLINGS);
    return this.answer.items.slice(0, first);
  }
}

@ObjectType({ description: 'Predicted number.' })
export class Regression {
  @Field(() => Float, { description: 'Value, in `unit`.' })
  value!: number;

  @Field(() => String, { nullable: true, description: 'Unit of the value, such as "g"; null if it has none.' })
  unit!: string | null;
}

@ObjectType({ description: 'Document with its relevance to a query.' })
export class RankedDocument {
  @Field(() => Int, { description: 'Position of the document in `RankingInput.documents`, from 0.' })
  index!: number;

  @Cost({ bytes: (_, { prediction }) => prediction.characters / Math.max(1, prediction.documents) })
  @Field({ description: 'Text of the document.' })
  text!: string;

  @Field(() => Float, {
    description:
      'Relevance, higher is better: from 0 to 1, or any number if the configuration of the model asks for no sigmoid.',
  })
  score!: number;
}

@ObjectType({ description: 'Documents sorted by their relevance to a query.' })
export class Ranking {
  constructor(private readonly answer: AnswerOf<'ranking'>) {}

  @Cost({ elements: leastOf('first', ({ documents }) => documents) })
  @Field(() => [RankedDocument], {
    description: 'Documents, highest score first; those with equal scores in the order of the input.',
  })
  items(
    @Arg('first', () => Int, {
      defaultValue: MAX_DOCUMENTS,
      description: `Maximum number of documents to return, 1 to ${MAX_DOCUMENTS}. Other values are a BAD_USER_INPUT error.`,
    })
    first: number,
  ): RankedDocument[] {
    checkRange('first', first, 1, MAX_DOCUMENTS);
    const { documents, scores } = this.answer;
    const ranked = documents.map((text, index) => ({ index, text, score: scores[index] as number }));
    return ranked.sort((a, b) => b.score - a.score || a.index - b.index).slice(0, first);
  }
}

@ObjectType('Text', { description: 'Text that was recognized in an image.' })
export class TextType {
  @Cost({ bytes: BYTES_PER_CHARACTER * MAX_STEPS })
  @Field(() => String, {
    nullable: true,
    description:
      'Recognized text; empty if none was recognized. Never null: the type allows it because one selection may also read `Answer.text`, which is null without an answer.',
  })
  text!: string;

  @Field(() => Float, {
    nullable: true,
    description: 'Mean probability of the characters, from 0 to 1; null if `text` is empty.',
  })
  score!: number | null;
}

export const Output = createUnionType({
  name: 'Output',
  description: "Answer of a model. Its type depends on the version's task.",
  types: () =>
    [
      Classification,
      MultiClassification,
      Regression,
      Values,
      Embedding,
      Similarities,
      Ranking,
      Detections,
      Masks,
      Tokens,
      AnswerType,
      Fillings,
      TextType,
      Tensors,
    ] as const,
});

/** `labels` are the version's. An answer to a zero-shot input has its own labels. */
/** `predictionId`: null if the prediction is not stored. */
export function outputOf(answer: Answer, labels: readonly string[], predictionId: string | null): typeof Output {
  switch (answer.kind) {
    case 'classification':
      return new Classification(answer.label, answer.scores, answer.labels ?? labels);
    case 'regression':
      return create(Regression, { value: answer.value, unit: answer.unit });
    case 'multiClassification':
      return create(MultiClassification, { targets: answer.targets.map((one) => new ClassifiedTargetType(one)) });
    case 'values':
      return create(Values, { values: answer.values });
    case 'embedding':
      return new Embedding(answer.vector);
    case 'similarities':
      return create(Similarities, { scores: answer.scores });
    case 'ranking':
      return new Ranking(answer);
    case 'detections':
      return new Detections(answer);
    case 'masks':
      return new Masks(answer, predictionId);
    case 'tokens':
      return new Tokens(answer);
    case 'answer':
      return create(AnswerType, { text: answer.text, score: answer.score, start: answer.start, end: answer.end });
    case 'fillings':
      return new Fillings(answer);
    case 'text':
      return create(TextType, { text: answer.text, score: answer.score });
    case 'tensors':
      return create(Tensors, { tensors: answer.tensors.map((tensor) => new Tensor(tensor)) });
  }
}
