/**
 * The tasks: which kinds of input each reads, and the way of an item through a graph.
 *
 * `check` runs in the server: is this input what the spec asks for? `prepare` runs in a worker and answers what to run
 * and how to finish. A new task is one more entry here, one file beside it if its input or answer is new, and one
 * output type.
 */
import { postprocessLabel, postprocessScores } from './classification.js';
import type { TensorData } from './datatypes.js';
import { postprocessDetections } from './detection.js';
import { checkSimilarity, postprocessVector, preprocessEmbedding, preprocessSimilarity } from './embedding.js';
import { preprocessFillMask } from './fill-mask.js';
import { checkImage, type ImageTools, preprocessImage } from './image.js';
import { type Answer, type Item, type ModelInput, type Preprocessed, Problems } from './input.js';
import { checkQuestion, preprocessQuestion } from './question-answering.js';
import { postprocessValue } from './regression.js';
import { checkRow, preprocessRow } from './row.js';
import { encodeBeginning, roomOf, sequenceOf, type Tokenizer, tensorsOf, truncated } from './sequences.js';
import { INPUT_KINDS, type InputKind, type TaskName, type VersionSpec } from './spec.js';
import { checkTensors, postprocessTensors } from './tensors.js';
import { checkText, stringTensor } from './text.js';
import { preprocessTokenClassification } from './token-classification.js';
import { checkZeroShot, preprocessZeroShot } from './zero-shot.js';

/** What a worker lends to tasks: everything that needs a library. */
export interface Tools extends ImageTools {
  /** Of the version that is asked; null where it needs none. */
  readonly tokenizer: Tokenizer | null;
}

/** The kinds of input that each task reads besides tensors; the signature names the first. */
export const READS: Readonly<Record<TaskName, readonly [InputKind, ...InputKind[]]>> = {
  TABULAR_CLASSIFICATION: ['ROW'],
  TABULAR_REGRESSION: ['ROW'],
  TEXT_CLASSIFICATION: ['TEXT'],
  TOKEN_CLASSIFICATION: ['TEXT'],
  FEATURE_EXTRACTION: ['TEXT', 'SIMILARITY'],
  SENTENCE_SIMILARITY: ['SIMILARITY', 'TEXT'],
  ZERO_SHOT_CLASSIFICATION: ['ZERO_SHOT'],
  FILL_MASK: ['TEXT'],
  QUESTION_ANSWERING: ['QUESTION'],
  IMAGE_CLASSIFICATION: ['IMAGE'],
  OBJECT_DETECTION: ['IMAGE'],
  IMAGE_FEATURE_EXTRACTION: ['IMAGE'],
  TENSOR: ['TENSORS'],
};

type Check = (spec: VersionSpec, input: ModelInput, prefix: readonly string[]) => Item;

const KINDS: Readonly<Record<InputKind, { readonly key: keyof ModelInput; readonly check: Check }>> = {
  ROW: { key: 'row', check: checkRow },
  TEXT: { key: 'text', check: checkText },
  IMAGE: { key: 'image', check: checkImage },
  TENSORS: { key: 'tensors', check: checkTensors },
  QUESTION: { key: 'question', check: checkQuestion },
  SIMILARITY: { key: 'similarity', check: checkSimilarity },
  ZERO_SHOT: { key: 'zeroShot', check: checkZeroShot },
};

/**
 * Is this input what the version asks for? Tensors are accepted by every version.
 *
 * @throws InvalidInputError that names each path below `prefix`, what was expected and what came.
 */
export function check(spec: VersionSpec, input: ModelInput, prefix: readonly string[]): Item {
  const given = INPUT_KINDS.filter((kind) => input[KINDS[kind].key] != null);
  const [kind] = given;
  const reads = READS[spec.task];
  if (given.length === 1 && kind && (kind === 'TENSORS' || reads.includes(kind))) {
    return KINDS[kind].check(spec, input, prefix);
  }
  const problems = new Problems(prefix);
  const keys = reads.filter((kind) => kind !== 'TENSORS').map((kind) => KINDS[kind].key);
  const wanted = keys.length === 0 ? 'tensors' : `${keys.join(' or ')} (or tensors)`;
  const message = given.length === 1 ? 'this model reads another kind of input' : 'exactly one key is given';
  problems.add([], 'WRONG_KIND', message, wanted, given.map((kind) => KINDS[kind].key).join(', ') || 'nothing');
  problems.throwIfAny();
  throw new Error('Problems were added but not thrown. This is a bug.');
}

/**
 * What to run for one item, and how to finish it.
 *
 * @throws UnreadableItemError for what only decoding or cutting into tokens tells
 */
export async function preprocess(item: Item, spec: VersionSpec, tools: Tools): Promise<Preprocessed> {
  switch (item.kind) {
    case 'row':
      return oneRow(preprocessRow(item, spec), spec);
    case 'tensors':
      return oneRow(item.tensors, spec);
    case 'image': {
      const { tensors, frame } = await preprocessImage(item, spec, tools);
      const { head } = spec;
      if (head.kind !== 'boxes') return oneRow(tensors, spec);
      return { rows: [tensors], postprocess: ([own = []]) => postprocessDetections(own, head, spec, frame) };
    }
    case 'text':
      return spec.text
        ? preprocessTokens(item.text, spec, tokenizerOf(tools))
        : oneRow(stringTensor(item.text, spec), spec);
    case 'question':
      return preprocessQuestion(item, spec, tokenizerOf(tools));
    case 'similarity':
      return preprocessSimilarity(item, spec, tokenizerOf(tools));
    case 'zeroShot':
      return preprocessZeroShot(item, spec, tokenizerOf(tools));
  }
}

function tokenizerOf({ tokenizer }: Tools): Tokenizer {
  if (!tokenizer) throw new Error('A version that reads tokens has no tokenizer. This is a bug.');
  return tokenizer;
}

async function preprocessTokens(text: string, spec: VersionSpec, tokenizer: Tokenizer): Promise<Preprocessed> {
  if (spec.head.kind === 'tokens') return preprocessTokenClassification(text, spec, tokenizer);
  if (spec.head.kind === 'mask') return preprocessFillMask(text, spec, tokenizer);
  if (spec.head.kind === 'vector') return preprocessEmbedding(text, spec, tokenizer);
  const room = roomOf(spec.text as NonNullable<VersionSpec['text']>, tokenizer.single);
  const encoded = await encodeBeginning(tokenizer, text, room);
  const sequence = sequenceOf(tokenizer.single, truncated(encoded, room));
  return oneRow(tensorsOf(spec, sequence, tokenizer), spec, encoded.ids.length > room);
}

function oneRow(tensors: readonly TensorData[], spec: VersionSpec, isTruncated = false): Preprocessed {
  const finish = ([own = []]: readonly (readonly TensorData[])[]) => postprocessRow(own, spec);
  return { rows: [tensors], postprocess: isTruncated ? (outputs) => ({ ...finish(outputs), isTruncated }) : finish };
}

/** Where the outputs alone make the answer; other tasks answer tensors to tensors. */
function postprocessRow(outputs: readonly TensorData[], spec: VersionSpec): Answer {
  const { head } = spec;
  if (head.kind === 'scores') return postprocessScores(outputs, head, spec);
  if (head.kind === 'label') return postprocessLabel(outputs, head);
  if (head.kind === 'value') return postprocessValue(outputs, head);
  if (head.kind === 'vector' && !spec.text) return postprocessVector(outputs, head);
  return postprocessTensors(outputs);
}

/** The outputs that an answer is made of; null where all are wanted. */
export function outputsUsed({ head }: VersionSpec, item: Item): readonly string[] | null {
  if (item.kind === 'tensors') return null;
  if (head.kind === 'boxes') return [head.boxes, head.scores];
  if (head.kind === 'span') return [head.start, head.end];
  return head.kind === 'tensors' ? null : [head.output];
}
