/**
 * An input that works as it stands: what the card shows, or else the plainest there is.
 */
import type { ColumnSpec, TensorSpec, VersionSpec } from '../tasks/spec.js';
import { READS } from '../tasks/task.js';
import { shapeText } from '../tasks/tensors.js';
import { ManifestError } from './store-file.js';

type Example = Readonly<Record<string, unknown>>;
type Widget = readonly Readonly<Record<string, unknown>>[];

/** @throws ManifestError when an example of zeros would be too large */
export function exampleOf(spec: VersionSpec, widget: Widget): Example {
  switch (READS[spec.task][0]) {
    case 'ROW':
      return { row: exampleRow(spec.columns) };
    case 'TEXT':
      return { text: exampleText(spec, widget) };
    case 'IMAGE':
      return { image: { base64: SMALL_PICTURE } };
    case 'QUESTION':
      return { question: exampleQuestion(widget) };
    case 'SIMILARITY':
      return { similarity: exampleSimilarity(widget) };
    case 'ZERO_SHOT':
      return { zeroShot: exampleZeroShot(widget) };
    case 'TENSORS':
      return exampleTensors(spec.inputs);
  }
}

function exampleRow(columns: readonly ColumnSpec[]): Record<string, unknown> {
  return Object.fromEntries(columns.map(({ name, example }) => [name, example]));
}

/** The first of the card's inputs that has all these keys. */
function shown(widget: Widget, ...keys: string[]): Readonly<Record<string, string>> | undefined {
  const isText = (value: unknown) => typeof value === 'string' && value.trim() !== '';
  return widget.find((input) => keys.every((key) => isText(input[key]))) as
    | Readonly<Record<string, string>>
    | undefined;
}

function exampleText({ text }: VersionSpec, widget: Widget): string {
  const found = shown(widget, 'text')?.['text'];
  const mask = text?.maskToken;
  if (!mask) return found ?? 'The movie was great, and Paris is the capital of France.';
  return found?.includes(mask) ? found : `Paris is the ${mask} of France.`;
}

function exampleQuestion(widget: Widget) {
  const { text: question, context } = shown(widget, 'text', 'context') ?? {};
  return {
    question: question ?? 'What is the capital of France?',
    context: context ?? 'Paris is the capital of France. Berlin is the capital of Germany.',
  };
}

function exampleSimilarity(widget: Widget) {
  const source = shown(widget, 'source_sentence')?.['source_sentence'];
  const sentences = widget.find(({ sentences }) => Array.isArray(sentences))?.['sentences'];
  const isList = Array.isArray(sentences) && sentences.length > 0 && sentences.every((one) => typeof one === 'string');
  return {
    source: source ?? 'The movie was great.',
    sentences: isList ? sentences : ['The film was good.', 'Paris is in France.'],
  };
}

function exampleZeroShot(widget: Widget) {
  const { text, candidate_labels } = shown(widget, 'text', 'candidate_labels') ?? {};
  const labels = candidate_labels?.split(',').map((label) => label.trim());
  return { text: text ?? 'The movie was great.', labels: labels ?? ['film', 'travel', 'food'] };
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
