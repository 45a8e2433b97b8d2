/**
 * Inputs that work as they stand: what the card shows, or else the plainest there is.
 */
import type { ColumnSpec, TensorSpec, VersionSpec } from '../tasks/spec.js';
import { READS } from '../tasks/task.js';
import { shapeText } from '../tasks/tensors.js';
import { ManifestError } from './store-file.js';

type Example = Readonly<Record<string, unknown>>;
type Widget = readonly Readonly<Record<string, unknown>>[];

/**
 * What may serve, the best first: the inputs that the card shows, in turn, and last the plainest there is.
 *
 * @throws ManifestError when an example of zeros would be too large
 */
export function examplesOf(spec: VersionSpec, widget: Widget): Example[] {
  switch (READS[spec.task][0]) {
    case 'ROW':
      return [{ row: exampleRow(spec.columns) }];
    case 'TEXT':
      return [...shownTexts(spec, widget), plainText(spec)].map((text) => ({ text }));
    case 'IMAGE':
      return [{ image: { base64: SMALL_PICTURE } }];
    case 'QUESTION':
      return [...shownQuestions(widget), PLAIN_QUESTION].map((question) => ({ question }));
    case 'SIMILARITY':
      return [...shownSimilarities(widget), PLAIN_SIMILARITY].map((similarity) => ({ similarity }));
    case 'ZERO_SHOT':
      return [...shownZeroShots(widget), PLAIN_ZERO_SHOT].map((zeroShot) => ({ zeroShot }));
    case 'TENSORS':
      return [exampleTensors(spec.inputs)];
  }
}

function exampleRow(columns: readonly ColumnSpec[]): Record<string, unknown> {
  return Object.fromEntries(columns.map(({ name, example }) => [name, example]));
}

const isText = (value: unknown) => typeof value === 'string' && value.trim() !== '';

/** Those of the card's inputs that have all these keys. */
function shown(widget: Widget, ...keys: string[]): Readonly<Record<string, string>>[] {
  return widget.filter((input) => keys.every((key) => isText(input[key]))) as Readonly<Record<string, string>>[];
}

function shownTexts({ text: rules }: VersionSpec, widget: Widget): string[] {
  return shown(widget, 'text').flatMap(({ text = '' }) => (text.includes(rules?.maskToken ?? '') ? text : []));
}

function plainText({ text: rules }: VersionSpec): string {
  return rules?.maskToken
    ? `Paris is the ${rules.maskToken} of France.`
    : 'The movie was great, and Paris is the capital of France.';
}

const PLAIN_QUESTION = {
  question: 'What is the capital of France?',
  context: 'Paris is the capital of France. Berlin is the capital of Germany.',
};

function shownQuestions(widget: Widget): object[] {
  return shown(widget, 'text', 'context').map(({ text, context }) => ({ question: text, context }));
}

const PLAIN_SIMILARITY = {
  source: 'The movie was great.',
  sentences: ['The film was good.', 'Paris is in France.'],
};

function shownSimilarities(widget: Widget): object[] {
  return shown(widget, 'source_sentence').map(({ source_sentence: source, sentences }) => ({
    source,
    sentences: Array.isArray(sentences) && sentences.every(isText) ? sentences : PLAIN_SIMILARITY.sentences,
  }));
}

const PLAIN_ZERO_SHOT = { text: 'The movie was great.', labels: ['film', 'travel', 'food'] };

function shownZeroShots(widget: Widget): object[] {
  return shown(widget, 'text', 'candidate_labels').map(({ text, candidate_labels = '' }) => {
    const labels = candidate_labels.split(',').map((label) => label.trim());
    return { text, labels: labels.filter((label) => label !== '') };
  });
}

/** Beyond, an example of zeros would be too large to show, and to make while the server answers. */
const MAX_EXAMPLE_VALUES = 1_000_000;

/** Zeros in the smallest shape that fits. */
function exampleTensors(inputs: readonly TensorSpec[]): Example {
  const tensors = inputs.map(({ name, datatype, shape }) => {
    const sizes = shape.map((size) => size ?? 1);
    const count = sizes.reduce((product, size) => product * size, 1);
    if (count > MAX_EXAMPLE_VALUES) {
      throw new ManifestError(`input "${name}" has shape ${shapeText(shape)}, too large for an example of zeros`);
    }
    return { name, datatype, shape: sizes, data: Array.from({ length: count }, () => (datatype === 'BYTES' ? '' : 0)) };
  });
  return { tensors };
}

/** 32 x 32 pixels: red, green, blue and white quarters. */
const SMALL_PICTURE =
  'iVBORw0KGgoAAAANSUhEUgAAACAAAAAgCAMAAABEpIrGAAAADFBMVEXcKCjw8PAotDwoPNx/5BGKAAAACXBIWXMAAAPoAAAD6AG1e1JrAAAAHklEQVQ4y2NgQANMaIBhVMGIUsCMBhjRwKiCEaUAAFS2BgG4gpqYAAAAAElFTkSuQmCC';
