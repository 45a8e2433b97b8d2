/**
 * Golden cases: inputs, as a client sends them, with the answers of the framework that the model was trained with. Reads
 * golden.json and compares answers with it.
 */
import { z } from 'zod';
import { ManifestError } from '../errors.js';
import { AGGREGATIONS, type Answer, type AnswerOf, type LabelledSpan } from '../tasks/answer.js';
import { DATATYPES, type TensorData } from '../tasks/datatypes.js';
import type { VersionSpec } from '../tasks/tasks.js';
import { type ModelInput } from '../tasks/tasks.js';
import { spansOf } from '../tasks/token-classification.js';
import { listOf, mapOf } from './schemas.js';
import { parseJsonFile, parseWith } from './store-file.js';

const boxSchema = z.object({ xmin: z.number(), ymin: z.number(), xmax: z.number(), ymax: z.number() });
const spanSchema = z.object({
  label: z.string(),
  score: z.number().optional(),
  word: z.string().optional(),
  start: z.number(),
  end: z.number(),
});

const expectationSchema = z.strictObject({
  label: z.string().optional(),
  scores: mapOf(z.number()).optional(),
  /** By the name of the target. */
  targets: mapOf(z.object({ label: z.string().optional(), scores: mapOf(z.number()).optional() })).optional(),
  value: z.number().optional(),
  /** By name, or in the order of the targets. */
  values: z.union([mapOf(z.number()), listOf(z.number())]).optional(),
  vector: listOf(z.number()).optional(),
  similarities: listOf(z.number()).optional(),
  /** Scores in the order of the documents. */
  ranking: listOf(z.number()).optional(),
  /** All objects above the model's threshold, best first. */
  boxes: listOf(z.object({ label: z.string(), score: z.number(), box: boxSchema })).optional(),
  masks: listOf(z.object({ label: z.string(), runLengths: listOf(z.int().min(0)) })).optional(),
  tokens: listOf(spanSchema).optional(),
  /** Aggregation strategy of `tokens`. */
  aggregation: z.enum(AGGREGATIONS).default('SIMPLE'),
  /** Null if the context contains no answer. */
  answer: z
    .object({ text: z.string(), start: z.number(), end: z.number(), score: z.number().optional() })
    .nullable()
    .optional(),
  fillings: listOf(z.object({ token: z.number(), text: z.string(), score: z.number() })).optional(),
  text: z.string().optional(),
  /** Of `text`. */
  score: z.number().optional(),
  /** Null stands for NaN. Strings are for "Infinity", "-Infinity", BYTES and whole numbers beyond 2^53. */
  tensors: mapOf(listOf(z.union([z.number(), z.string(), z.null()]))).optional(),
});
type Expectation = z.infer<typeof expectationSchema>;

/** Each is a run. */
const MAX_CASES = 10_000;

const goldenSchema = z.object({
  source: z.string(),
  tolerance: z.number().positive(),
  cases: listOf(z.object({ input: z.record(z.string(), z.unknown()), expect: expectationSchema }), {
    max: MAX_CASES,
  }).refine(({ length }) => length > 0, 'at least one case is required'),
});

interface GoldenCase {
  readonly input: ModelInput;
  readonly expect: Expectation;
}

export interface Golden {
  readonly source: string;
  readonly tolerance: number;
  readonly cases: readonly GoldenCase[];
}

/** What the golden cases of a version have shown at its import. */
export interface Verification {
  /** Number of cases; 0 if there is no golden.json. */
  readonly cases: number;
  /** The framework that computed the expected answers; null if there are no cases. */
  readonly source: string | null;
  readonly tolerance: number | null;
  /** As `Tolerance.largest`. */
  readonly maxDifference: number | null;
}

export const NOT_VERIFIED: Verification = { cases: 0, source: null, tolerance: null, maxDifference: null };

/** @throws ManifestError */
export function parseGolden(text: string): Golden {
  return parseWith(goldenSchema, parseGoldenFile(text), 'golden.json') as Golden;
}

function parseGoldenFile(text: string): unknown {
  try {
    return parseJsonFile(text, 'golden.json');
  } catch (error) {
    if (!(error instanceof ManifestError) || !/[:,[]\s*-?(NaN|Infinity)/.test(text)) throw error;
    throw new ManifestError(
      `${error.message}; JSON has no NaN and no Infinity: write null and "Infinity" (in Python, json.dumps(…, allow_nan=False) finds them)`,
    );
  }
}

/** Compares numbers, and keeps the largest difference that it has met. */
export class Tolerance {
  /**
   * Absolute for expected values up to 1, relative to the expected value above; without the edges of boxes. Null if no
   * numbers were compared.
   */
  largest: number | null = null;

  constructor(readonly limit: number) {}

  allows(value: number, expected: number): boolean {
    const isSame = Object.is(value, expected) || value === expected;
    const difference = isSame ? 0 : Math.abs(value - expected) / Math.max(1, Math.abs(expected));
    this.largest = Math.max(this.largest ?? 0, difference);
    return difference <= this.limit;
  }
}

/** Frameworks round boxes, and resized images can differ by one level. */
const BOX_TOLERANCE_PIXELS = 1;

/** Describes the first difference between an answer and its golden case; null if it is within the tolerance. */
export function goldenDifference(
  { labels }: Pick<VersionSpec, 'labels'>,
  { expect }: GoldenCase,
  tolerance: Tolerance,
  answer: Answer,
): string | null {
  switch (answer.kind) {
    case 'classification':
      return classificationDifference(answer, expect, answer.labels ?? labels, tolerance);
    case 'regression':
      return numberDifference('value', expect.value, answer.value, tolerance);
    case 'multiClassification':
      return targetsDifference(answer, expect.targets, tolerance);
    case 'values':
      return namedValuesDifference(answer, expect.values, tolerance);
    case 'embedding':
      return listDifference('vector', expect.vector, answer.vector, tolerance);
    case 'similarities':
      return listDifference('similarities', expect.similarities, answer.scores, tolerance);
    case 'ranking':
      return listDifference('ranking', expect.ranking, answer.scores, tolerance);
    case 'detections':
      return boxesDifference(answer, expect.boxes, tolerance);
    case 'masks':
      return masksDifference(answer, expect.masks, tolerance);
    case 'tokens':
      return spansDifference(spansOf(answer, expect.aggregation), expect.tokens, tolerance);
    case 'answer':
      return answerDifference(answer, expect.answer, tolerance);
    case 'fillings':
      return fillingsDifference(answer, expect.fillings, tolerance);
    case 'text':
      return textDifference(answer, expect, tolerance);
    case 'tensors':
      return tensorsDifference(answer, expect.tensors, tolerance);
  }
}

function targetsDifference(
  { targets }: AnswerOf<'multiClassification'>,
  expected: Expectation['targets'],
  tolerance: Tolerance,
): string | null {
  if (!expected) return 'expect has no targets';
  for (const [name, expect] of Object.entries(expected)) {
    const target = targets.find((one) => one.name === name);
    const difference = target
      ? classificationDifference(target, expect, target.labels, tolerance)
      : `there is no target "${name}"`;
    if (difference) return target ? `${name}: ${difference}` : difference;
  }
  return null;
}

function classificationDifference(
  { label, scores }: Pick<AnswerOf<'classification'>, 'label' | 'scores'>,
  expect: Pick<Expectation, 'label' | 'scores'>,
  labels: readonly string[],
  tolerance: Tolerance,
): string | null {
  if (expect.label === undefined && expect.scores === undefined) return 'expect has neither label nor scores';
  if (expect.label !== undefined && label !== expect.label) return `label is ${label}, expected ${expect.label}`;
  if (expect.scores && !scores)
    return 'scores are expected, but those of the graph are not probabilities, so that only the label is answered: remove scores, or set output.activation in model.yaml';
  for (const [name, expected] of Object.entries(expect.scores ?? {})) {
    const score = scores?.[labels.indexOf(name)];
    if (score === undefined) return `there is no score for ${name}`;
    const difference = numberDifference(`score for ${name}`, expected, score, tolerance);
    if (difference) return difference;
  }
  return null;
}

function numberDifference(
  what: string,
  expected: number | undefined,
  value: number,
  tolerance: Tolerance,
): string | null {
  if (expected === undefined) return `expect has no ${what}`;
  return tolerance.allows(value, expected) ? null : `${what} is ${value}, expected ${expected}`;
}

function namedValuesDifference(
  { values }: AnswerOf<'values'>,
  expected: Expectation['values'],
  tolerance: Tolerance,
): string | null {
  if (!expected || Array.isArray(expected))
    return listDifference(
      'values',
      expected,
      values.map(({ value }) => value),
      tolerance,
    );
  for (const [name, number] of Object.entries(expected)) {
    const value = values.find((one) => one.name === name)?.value;
    const difference =
      value === undefined ? `there is no value "${name}"` : numberDifference(name, number, value, tolerance);
    if (difference) return difference;
  }
  return null;
}

function listDifference(
  what: string,
  expected: readonly number[] | undefined,
  values: ArrayLike<number>,
  tolerance: Tolerance,
): string | null {
  if (!expected) return `expect has no ${what}`;
  if (expected.length !== values.length) return `${what} has ${values.length} numbers, expected ${expected.length}`;
  for (const [i, number] of expected.entries()) {
    const difference = numberDifference(`number ${i} of ${what}`, number, values[i] as number, tolerance);
    if (difference) return difference;
  }
  return null;
}

function boxesDifference(
  { items, threshold }: AnswerOf<'detections'>,
  expected: Expectation['boxes'],
  tolerance: Tolerance,
): string | null {
  if (!expected) return 'expect has no boxes';
  const objects = items.filter(({ score }) => score > threshold);
  if (objects.length !== expected.length) return `number of boxes is ${objects.length}, expected ${expected.length}`;
  for (const [i, { label, score, box }] of expected.entries()) {
    const object = objects[i] as (typeof objects)[number];
    if (object.label !== label) return `label of box ${i} is ${object.label}, expected ${label}`;
    const difference = numberDifference(`score of box ${i}`, score, object.score, tolerance);
    if (difference) return difference;
    for (const edge of ['xmin', 'ymin', 'xmax', 'ymax'] as const) {
      if (Math.abs(object.box[edge] - box[edge]) > BOX_TOLERANCE_PIXELS)
        return `${edge} of box ${i} is ${object.box[edge]}, expected ${box[edge]}`;
    }
  }
  return null;
}

/** Scores of neighboring classes cross at their border, so a share of the pixels up to the tolerance may differ. */
function masksDifference(
  { items, width, height }: AnswerOf<'masks'>,
  expected: Expectation['masks'],
  tolerance: Tolerance,
): string | null {
  if (!expected) return 'expect has no masks';
  const labelsOf = (masks: readonly { readonly label: string }[]) => masks.map(({ label }) => label).join(', ');
  if (labelsOf(items) !== labelsOf(expected)) return `masks are ${labelsOf(items)}, expected ${labelsOf(expected)}`;
  for (const [i, { label, runLengths }] of expected.entries()) {
    const [answered, right] = [items[i]?.runLengths ?? [], runLengths].map((runs) => insideOf(runs, width * height));
    const differing = answered?.reduce((count, inside, pixel) => count + Number(inside !== right?.[pixel]), 0) ?? 0;
    if (!tolerance.allows(differing / (width * height), 0)) return `${differing} pixels of ${label} differ`;
  }
  return null;
}

/** 1 for each pixel inside a mask. */
function insideOf(runLengths: ArrayLike<number>, pixels: number): Uint8Array {
  const inside = new Uint8Array(pixels);
  for (let i = 0, at = 0; i < runLengths.length; at += runLengths[i++] as number)
    if (i % 2 === 1) inside.fill(1, at, at + (runLengths[i] as number));
  return inside;
}

function spansDifference(
  spans: readonly LabelledSpan[],
  expected: Expectation['tokens'],
  tolerance: Tolerance,
): string | null {
  if (!expected) return 'expect has no tokens';
  const textOf = (list: readonly { label: string; start: number; end: number }[]) =>
    list.map(({ label, start, end }) => `${label} ${start}-${end}`).join(', ') || 'none';
  if (textOf(spans) !== textOf(expected)) return `tokens are ${textOf(spans)}, expected ${textOf(expected)}`;
  for (const [i, { score, word }] of expected.entries()) {
    const span = spans[i] as (typeof spans)[number];
    if (word !== undefined && span.word !== word) return `word is "${span.word}", expected "${word}"`;
    const difference =
      score === undefined ? null : numberDifference(`score of "${span.word}"`, score, span.score, tolerance);
    if (difference) return difference;
  }
  return null;
}

function answerDifference(
  { text, start, end, score }: AnswerOf<'answer'>,
  expected: Expectation['answer'],
  tolerance: Tolerance,
): string | null {
  if (expected === undefined) return 'expect has no answer';
  if (expected === null) return text === null ? null : `answer is "${text}", expected none`;
  if (text !== expected.text || start !== expected.start || end !== expected.end)
    return `answer is ${JSON.stringify(text)} at ${start}-${end}, expected "${expected.text}" at ${expected.start}-${expected.end}`;
  return expected.score === undefined ? null : numberDifference('score', expected.score, score, tolerance);
}

function fillingsDifference(
  { items }: AnswerOf<'fillings'>,
  expected: Expectation['fillings'],
  tolerance: Tolerance,
): string | null {
  if (!expected) return 'expect has no fillings';
  for (const [i, { token, text, score }] of expected.entries()) {
    const filling = items[i];
    if (filling?.token !== token || filling.text !== text)
      return `filling ${i} is ${filling?.token} (${filling?.text}), expected ${token} (${text})`;
    const difference = numberDifference(`score of "${text}"`, score, filling.score, tolerance);
    if (difference) return difference;
  }
  return null;
}

function textDifference(
  { text, score }: AnswerOf<'text'>,
  expect: Pick<Expectation, 'text' | 'score'>,
  tolerance: Tolerance,
): string | null {
  if (expect.text === undefined) return 'expect has no text';
  if (text !== expect.text) return `text is ${JSON.stringify(text)}, expected ${JSON.stringify(expect.text)}`;
  if (expect.score === undefined) return null;
  return score === null ? 'there is no score' : numberDifference('score', expect.score, score, tolerance);
}

function tensorsDifference(
  { tensors }: AnswerOf<'tensors'>,
  expected: Expectation['tensors'],
  tolerance: Tolerance,
): string | null {
  if (!expected) return 'expect has no tensors';
  for (const [name, values] of Object.entries(expected)) {
    const tensor = tensors.find((tensor) => tensor.name === name);
    if (!tensor) return `there is no output "${name}"`;
    const difference = valuesDifference(`output "${name}"`, values, tensor, tolerance);
    if (difference) return difference;
  }
  return null;
}

function valuesDifference(
  what: string,
  expected: readonly (number | string | null)[],
  { datatype, data }: TensorData,
  tolerance: Tolerance,
): string | null {
  const isFloat = DATATYPES[datatype]?.range === null;
  const asText = !isFloat && expected.some((value) => typeof value === 'string');
  if (!asText)
    return listDifference(what, expected.map(numberOf), Array.from<unknown, number>(data, Number), tolerance);
  const texts = Array.from<unknown, string>(data, String);
  if (texts.length !== expected.length) return `${what} has ${texts.length} values, expected ${expected.length}`;
  const wrong = texts.findIndex((text, i) => text !== String(expected[i]));
  return wrong < 0 ? null : `value ${wrong} of ${what} is ${texts[wrong]}, expected ${expected[wrong]}`;
}

function numberOf(value: number | string | null): number {
  return value === null ? Number.NaN : Number(value);
}
