/**
 * Reads a line of text in an image, by connectionist temporal classification (CTC), as text recognizers of PaddleOCR do:
 * the graph scores the characters, and "no character", in each column of the image.
 */
import { ManifestError } from '../errors.js';
import type { AnswerOf } from './answer.js';
import { floatOutput, outputNamed, type TensorData } from './datatypes.js';
import { defineTask, oneRow } from './define-task.js';
import { UnusableOutputError } from './failures.js';
import { imageExamples, imageInput, preprocessImage } from './image.js';
import { onlyOutput } from './scores.js';
import { pickOutput, type TaskSources } from './sources.js';
import type { Activation, Blank } from './spec.js';
import { shapeText } from './tensors.js';

export interface CtcHead {
  readonly kind: 'ctc';
  /** [N, steps, characters + 1]. */
  readonly output: string;
  readonly activation: Extract<Activation, 'none' | 'softmax'>;
  readonly blank: Blank;
}

/** Characters of a text, at most: steps in which the graph looks for one. */
export const MAX_STEPS = 4_096;
/** Of a label, in UTF-16 code units. A label is a character; some are written with several code points. */
const MAX_LABEL_LENGTH = 8;

export const imageToText = defineTask({
  name: 'IMAGE_TO_TEXT',
  description: 'Reads the text in an image of a single line.',
  reads: [imageInput],
  part: 'image',
  answers: ['text'],
  head: ctcHead,
  outputs: onlyOutput,
  examples: imageExamples,
  async preprocess(item, spec, tools) {
    const { tensors } = await preprocessImage(item, spec, tools);
    return oneRow(tensors, (outputs) => postprocessText(outputs, spec));
  },
  postprocess: postprocessText,
});

function ctcHead(sources: TaskSources): CtcHead {
  const { labels, output, facts } = sources;
  if (labels.length === 0)
    throw new ManifestError(
      'model.yaml: labels is missing: list the characters in the order of the scores, without the blank; PaddleOCR has them in the metadata "character" of the graph, and adds a space at the end',
    );
  const long = labels.find(({ length }) => length > MAX_LABEL_LENGTH);
  if (long !== undefined)
    throw new ManifestError(
      `model.yaml: label "${long.slice(0, MAX_LABEL_LENGTH)}…" is no character: it has ${long.length} code units, and at most ${MAX_LABEL_LENGTH} are accepted`,
    );
  const { name, shape } = pickOutput(sources, 'scores', ['logits', 'probabilities'], 3);
  const width = shape[2] ?? labels.length + 1;
  if (width !== labels.length + 1)
    throw new ManifestError(
      `model.yaml: the number of labels is ${labels.length}, but output "${name}" has shape ${shapeText(shape)}: list ${width - 1} characters, all but the blank`,
    );
  const isProbability = facts.outputOrigins[name]?.scores === 'softmax';
  const activation = output.activation ?? (isProbability ? 'none' : null);
  if (activation === null)
    throw new ManifestError(
      `model.yaml: output.activation is missing: the graph does not end in Softmax, so that output "${name}" may not hold probabilities; add activation: softmax if it holds logits or their logarithms, or none if it holds probabilities`,
    );
  if (activation === 'sigmoid')
    throw new ManifestError(
      `model.yaml: output.activation is sigmoid, but ${sources.task} needs probabilities that add up to 1: use softmax or none`,
    );
  if (activation === 'softmax' && isProbability)
    throw new ManifestError(
      `model.yaml: output.activation is softmax, but the graph already ends in Softmax, so that output "${name}" has probabilities: remove activation from output`,
    );
  return { kind: 'ctc', output: name, activation, blank: output.blank ?? 'first' };
}

/**
 * Greedy decoding: the best character of each step, without repetitions and blanks. Two equal characters have a blank
 * between them.
 *
 * @throws UnusableOutputError if there is not one score per character and step, or one of them is not finite
 */
function postprocessText(
  outputs: readonly TensorData[],
  { head, labels }: { readonly head: CtcHead; readonly labels: readonly string[] },
): AnswerOf<'text'> {
  const [rows = 0, steps = 0, width = 0] = outputNamed(outputs, head.output)?.shape ?? [];
  const scores = floatOutput(outputs, head.output);
  if (rows !== 1 || width !== labels.length + 1 || scores.length !== steps * width)
    throw new UnusableOutputError(`the graph returned ${width} scores per step for ${labels.length} characters`);
  if (steps > MAX_STEPS)
    throw new UnusableOutputError(`the graph returned ${steps} steps; at most ${MAX_STEPS} are read`);
  const blank = head.blank === 'first' ? 0 : labels.length;
  const first = head.blank === 'first' ? 1 : 0;
  let text = '';
  let sum = 0;
  let count = 0;
  let before = blank;
  for (let step = 0; step < steps; step++) {
    const own = scores.subarray(step * width, (step + 1) * width);
    const best = indexOfBest(own);
    if (best !== blank && best !== before) {
      text += labels[best - first];
      sum += probabilityOf(own, best, head.activation);
      count++;
    }
    before = best;
  }
  return { kind: 'text', text, score: count === 0 ? null : sum / count };
}

/** The first of the highest scores. @throws UnusableOutputError */
function indexOfBest(scores: ArrayLike<number>): number {
  let best = 0;
  for (let i = 0; i < scores.length; i++) {
    const score = scores[i] as number;
    if (!Number.isFinite(score)) throw new UnusableOutputError('a score is not a finite number');
    if (score > (scores[best] as number)) best = i;
  }
  return best;
}

function probabilityOf(scores: ArrayLike<number>, index: number, activation: CtcHead['activation']): number {
  const own = scores[index] as number;
  if (activation === 'none') return own;
  let sum = 0;
  for (let i = 0; i < scores.length; i++) sum += Math.exp((scores[i] as number) - own);
  return 1 / sum;
}
