/**
 * Golden cases: inputs as a client sends them, with the answers that the source framework computed.
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
  /** All that score above the model's threshold, best first. */
  boxes: z.array(z.object({ label: z.string(), score: z.number(), box: boxSchema })).optional(),
  tokens: z.array(spanSchema).optional(),
  /** How `tokens` were aggregated. */
  aggregation: z.enum(AGGREGATIONS).default('SIMPLE'),
  /** Null where the context holds no answer. */
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
    .min(1, 'no case proves nothing'),
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
    throw new ManifestError(`golden.json cannot be read: ${reason}`);
  }
}

/** Boxes may be rounded, and resized pictures differ by a level. */
const BOX_TOLERANCE_PIXELS = 1;

/** How an answer differs from what the source framework said, or null. */
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
  if (expect.label === undefined && expect.scores === undefined) return 'the case expects no label and no scores';
  if (expect.label !== undefined && label !== expect.label) return `label ${label} instead of ${expect.label}`;
  for (const [name, wanted] of Object.entries(expect.scores ?? {})) {
    const score = scores?.[labels.indexOf(name)];
    if (score === undefined) return `no score for ${name}`;
    if (Math.abs(score - wanted) > tolerance) return `score ${score} instead of ${wanted} for ${name}`;
  }
  return null;
}

/** Relative to the value where that is larger than one: a mass in grams has other last digits than a share. */
function numberDifference(what: string, wanted: number | undefined, value: number, tolerance: number): string | null {
  if (wanted === undefined) return `the case expects no ${what}`;
  const isNear = Math.abs(value - wanted) <= tolerance * Math.max(1, Math.abs(wanted));
  return isNear ? null : `${what} ${value} instead of ${wanted}`;
}

function listDifference(
  what: string,
  wanted: readonly number[] | undefined,
  values: ArrayLike<number>,
  tolerance: number,
): string | null {
  if (!wanted) return `the case expects no ${what}`;
  if (wanted.length !== values.length) return `${what} of ${values.length} numbers instead of ${wanted.length}`;
  for (const [i, one] of wanted.entries()) {
    const difference = numberDifference(`number ${i} of ${what}`, one, values[i] as number, tolerance);
    if (difference) return difference;
  }
  return null;
}

function boxesDifference(
  { items, threshold }: AnswerOf<'detections'>,
  wanted: Expectation['boxes'],
  tolerance: number,
): string | null {
  if (!wanted) return 'the case expects no boxes';
  const found = items.filter(({ score }) => score > threshold);
  if (found.length !== wanted.length) return `${found.length} boxes instead of ${wanted.length}`;
  for (const [i, { label, score, box }] of wanted.entries()) {
    const own = found[i] as (typeof found)[number];
    if (own.label !== label) return `label ${own.label} instead of ${label} for box ${i}`;
    const difference = numberDifference(`score of box ${i}`, score, own.score, tolerance);
    if (difference) return difference;
    for (const edge of ['xmin', 'ymin', 'xmax', 'ymax'] as const) {
      if (Math.abs(own.box[edge] - box[edge]) > BOX_TOLERANCE_PIXELS)
        return `${edge} ${own.box[edge]} instead of ${box[edge]} for box ${i}`;
    }
  }
  return null;
}

function spansDifference(
  found: readonly LabelledSpan[],
  wanted: Expectation['tokens'],
  tolerance: number,
): string | null {
  if (!wanted) return 'the case expects no tokens';
  const shown = (spans: readonly { label: string; start: number; end: number }[]) =>
    spans.map(({ label, start, end }) => `${label} ${start}-${end}`).join(', ') || 'nothing';
  if (shown(found) !== shown(wanted)) return `${shown(found)} instead of ${shown(wanted)}`;
  for (const [i, { score, word }] of wanted.entries()) {
    const own = found[i] as (typeof found)[number];
    if (word !== undefined && own.word !== word) return `word ${own.word} instead of ${word}`;
    const difference =
      score === undefined ? null : numberDifference(`score of "${own.word}"`, score, own.score, tolerance);
    if (difference) return difference;
  }
  return null;
}

function answerDifference(
  { text, start, end, score }: AnswerOf<'answer'>,
  wanted: Expectation['answer'],
  tolerance: number,
): string | null {
  if (wanted === undefined) return 'the case expects no answer';
  if (wanted === null) return text === null ? null : `the answer "${text}" instead of none`;
  if (text !== wanted.text || start !== wanted.start || end !== wanted.end)
    return `the answer ${JSON.stringify(text)} at ${start}-${end} instead of "${wanted.text}" at ${wanted.start}-${wanted.end}`;
  return wanted.score === undefined ? null : numberDifference('score', wanted.score, score, tolerance);
}

function fillingsDifference(
  { items }: AnswerOf<'fillings'>,
  wanted: Expectation['fillings'],
  tolerance: number,
): string | null {
  if (!wanted) return 'the case expects no fillings';
  for (const [i, { token, text, score }] of wanted.entries()) {
    const own = items[i];
    if (own?.token !== token || own.text !== text)
      return `token ${own?.token} (${own?.text}) instead of ${token} (${text}) at place ${i}`;
    const difference = numberDifference(`score of "${text}"`, score, own.score, tolerance);
    if (difference) return difference;
  }
  return null;
}

function tensorsDifference(
  { tensors }: AnswerOf<'tensors'>,
  wanted: Expectation['tensors'],
  tolerance: number,
): string | null {
  if (!wanted) return 'the case expects no tensors';
  for (const [name, values] of Object.entries(wanted)) {
    const own = tensors.find((tensor) => tensor.name === name);
    if (!own) return `no output "${name}"`;
    const difference = listDifference(`output "${name}"`, values, Array.from(own.data, Number), tolerance);
    if (difference) return difference;
  }
  return null;
}
