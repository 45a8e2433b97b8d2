/**
 * Golden cases: inputs, as a client sends them, with the answers of the framework that the model was trained with. Reads
 * golden.json and compares answers with it.
 */
import { z } from 'zod';
import { ManifestError } from '../errors.js';
import { AGGREGATIONS, type Answer, type AnswerOf, type LabelledSpan } from '../tasks/answer.js';
import type { VersionSpec } from '../tasks/tasks.js';
import { type ModelInput } from '../tasks/tasks.js';
import { spansOf } from '../tasks/token-classification.js';

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
  scores: z.record(z.string(), z.number()).optional(),
  value: z.number().optional(),
  vector: z.array(z.number()).optional(),
  similarities: z.array(z.number()).optional(),
  /** All objects above the model's threshold, best first. */
  boxes: z.array(z.object({ label: z.string(), score: z.number(), box: boxSchema })).optional(),
  tokens: z.array(spanSchema).optional(),
  /** Aggregation strategy of `tokens`. */
  aggregation: z.enum(AGGREGATIONS).default('SIMPLE'),
  /** Null if the context contains no answer. */
  answer: z
    .object({ text: z.string(), start: z.number(), end: z.number(), score: z.number().optional() })
    .nullable()
    .optional(),
  fillings: z.array(z.object({ token: z.number(), text: z.string(), score: z.number() })).optional(),
  tensors: z.record(z.string(), z.array(z.number())).optional(),
});
type Expectation = z.infer<typeof expectationSchema>;

const goldenSchema = z.object({
  source: z.string(),
  tolerance: z.number().positive(),
  cases: z
    .array(z.object({ input: z.record(z.string(), z.unknown()), expect: expectationSchema }))
    .min(1, 'at least one case is required'),
});

export interface GoldenCase {
  readonly input: ModelInput;
  readonly expect: Expectation;
}

export interface Golden {
  readonly source: string;
  readonly tolerance: number;
  readonly cases: readonly GoldenCase[];
}

/** @throws ManifestError */
export function parseGolden(text: string): Golden {
  try {
    return goldenSchema.parse(JSON.parse(text)) as Golden;
  } catch (error) {
    const reason =
      error instanceof z.ZodError ? z.prettifyError(error) : error instanceof Error ? error.message : error;
    throw new ManifestError(`golden.json is not valid: ${reason}`);
  }
}

/** Frameworks round boxes, and resized images can differ by one level. */
const BOX_TOLERANCE_PIXELS = 1;

/** Describes the first difference between an answer and its golden case; null if it is within the tolerance. */
export function goldenDifference(
  { labels }: Pick<VersionSpec, 'labels'>,
  { expect }: GoldenCase,
  tolerance: number,
  answer: Answer,
): string | null {
  switch (answer.kind) {
    case 'classification':
      return classificationDifference(answer, expect, answer.labels ?? labels, tolerance);
    case 'regression':
      return numberDifference('value', expect.value, answer.value, tolerance);
    case 'embedding':
      return listDifference('vector', expect.vector, answer.vector, tolerance);
    case 'similarities':
      return listDifference('similarities', expect.similarities, answer.scores, tolerance);
    case 'detections':
      return boxesDifference(answer, expect.boxes, tolerance);
    case 'tokens':
      return spansDifference(spansOf(answer, expect.aggregation), expect.tokens, tolerance);
    case 'answer':
      return answerDifference(answer, expect.answer, tolerance);
    case 'fillings':
      return fillingsDifference(answer, expect.fillings, tolerance);
    case 'tensors':
      return tensorsDifference(answer, expect.tensors, tolerance);
  }
}

function classificationDifference(
  { label, scores }: AnswerOf<'classification'>,
  expect: Expectation,
  labels: readonly string[],
  tolerance: number,
): string | null {
  if (expect.label === undefined && expect.scores === undefined) return 'expect has neither label nor scores';
  if (expect.label !== undefined && label !== expect.label) return `label is ${label}, expected ${expect.label}`;
  for (const [name, expected] of Object.entries(expect.scores ?? {})) {
    const score = scores?.[labels.indexOf(name)];
    if (score === undefined) return `there is no score for ${name}`;
    if (Math.abs(score - expected) > tolerance) return `score for ${name} is ${score}, expected ${expected}`;
  }
  return null;
}

/** The tolerance is absolute for expected values up to 1, and relative to the expected value above. */
function numberDifference(what: string, expected: number | undefined, value: number, tolerance: number): string | null {
  if (expected === undefined) return `expect has no ${what}`;
  const isNear = Math.abs(value - expected) <= tolerance * Math.max(1, Math.abs(expected));
  return isNear ? null : `${what} is ${value}, expected ${expected}`;
}

function listDifference(
  what: string,
  expected: readonly number[] | undefined,
  values: ArrayLike<number>,
  tolerance: number,
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
  tolerance: number,
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

function spansDifference(
  spans: readonly LabelledSpan[],
  expected: Expectation['tokens'],
  tolerance: number,
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
  tolerance: number,
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
  tolerance: number,
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

function tensorsDifference(
  { tensors }: AnswerOf<'tensors'>,
  expected: Expectation['tensors'],
  tolerance: number,
): string | null {
  if (!expected) return 'expect has no tensors';
  for (const [name, values] of Object.entries(expected)) {
    const tensor = tensors.find((tensor) => tensor.name === name);
    if (!tensor) return `there is no output "${name}"`;
    const difference = listDifference(`output "${name}"`, values, Array.from(tensor.data, Number), tolerance);
    if (difference) return difference;
  }
  return null;
}
