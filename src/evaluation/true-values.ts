/** What is true of a row, where it is no class and no number: lists and objects of JSON, as datasets have them. */
import { MAX_DETECTIONS } from '../statistics/box-matching.js';
import type { Span } from '../statistics/tag-spans.js';
import type { AnswerOf } from '../tasks/answer.js';
import type { ItemTypes, LabelledBox } from './evaluated-items.js';

/** A row that cannot be evaluated. */
export class UnfitRowError extends Error {}

/** `[{ label, xmin, ymin, xmax, ymax }]`, in pixels. @throws UnfitRowError */
export function boxesIn(value: unknown): LabelledBox[] {
  return listIn(value, 'label, xmin, ymin, xmax and ymax').map((one) => {
    const { label, xmin, ymin, xmax, ymax } = one as Record<string, unknown>;
    const edges = [xmin, ymin, xmax, ymax];
    if (typeof label !== 'string' || !edges.every(Number.isFinite))
      throw new UnfitRowError('an object of the target has no label, or edges that are no numbers');
    return { label, box: { xmin, ymin, xmax, ymax } as LabelledBox['box'] };
  });
}

/** `[{ label, start, end }]`, offsets in UTF-16 code units. @throws UnfitRowError */
export function spansIn(value: unknown): Span[] {
  return listIn(value, 'label, start and end').map((one) => {
    const { label, start, end } = one as Record<string, unknown>;
    if (typeof label !== 'string' || !Number.isInteger(start) || !Number.isInteger(end))
      throw new UnfitRowError('an entity of the target has no label, or offsets that are no whole numbers');
    return { label, start: start as number, end: end as number };
  });
}

/** A text, or a list of texts. @throws UnfitRowError */
export function textsIn(value: unknown): string[] {
  const texts = typeof value === 'string' ? [value] : value;
  if (!Array.isArray(texts) || !texts.every((text) => typeof text === 'string'))
    throw new UnfitRowError('the target is neither a text nor a list of texts');
  return texts;
}

/** @throws UnfitRowError */
export function numberIn(value: unknown): number {
  if (typeof value === 'number' && Number.isFinite(value)) return value;
  throw new UnfitRowError('the target is no number');
}

/** A number, from 0 on, for each document. @throws UnfitRowError */
export function relevanceIn(value: unknown, documents: number): number[] {
  const isRelevance = (one: unknown) => typeof one === 'number' && one >= 0;
  if (!Array.isArray(value) || value.length !== documents || !value.every(isRelevance))
    throw new UnfitRowError(`the target is no list of ${documents} numbers from 0 on, one for each document`);
  return value;
}

/** `[{ label, runLengths }]`: masks of the size of the answer's. @throws UnfitRowError */
export function masksIn(value: unknown, pixels: number): ItemTypes['masks']['truth'] {
  return listIn(value, 'label and runLengths').map((one) => {
    const { label, runLengths } = one as Record<string, unknown>;
    const isRuns = Array.isArray(runLengths) && runLengths.every((run) => Number.isInteger(run) && run >= 0);
    if (typeof label !== 'string' || !isRuns)
      throw new UnfitRowError('a mask of the target has no label, or run lengths that are no whole numbers');
    if ((runLengths as number[]).reduce((sum, run) => sum + run, 0) > pixels)
      throw new UnfitRowError(`a mask of the target has more than the ${pixels} pixels of the image`);
    return { label, runLengths: runLengths as number[] };
  });
}

/** Those that a version returns by default, the best ones of each class. */
export function foundIn({ items, threshold }: AnswerOf<'detections'>): ItemTypes['detections']['found'] {
  const counts = new Map<string, number>();
  return items
    .filter(({ score }) => score > threshold)
    .sort((a, b) => b.score - a.score)
    .filter(({ label }) => {
      const count = (counts.get(label) ?? 0) + 1;
      counts.set(label, count);
      return count <= MAX_DETECTIONS;
    })
    .map(({ label, score, box }) => ({ label, score, box }));
}

function listIn(value: unknown, keys: string): unknown[] {
  const isObject = (one: unknown) => typeof one === 'object' && one !== null;
  if (Array.isArray(value) && value.every(isObject)) return value;
  throw new UnfitRowError(`the target is no list of objects with ${keys}`);
}
