/** Answers that are no class and no number: which items they become, together with what is true of their rows. */
import type { Answer, AnswerOf } from '../tasks/answer.js';
import { isMultiLabel } from '../tasks/scores.js';
import { answerKindOf, targetsOf, type VersionSpec } from '../tasks/tasks.js';
import { spansOf } from '../tasks/token-classification.js';
import type { ItemKind, ItemTypes } from './evaluated-items.js';
import { type PlannedDataset, type Row, refused } from './planned-dataset.js';
import { boxesIn, foundIn, masksIn, numberIn, relevanceIn, spansIn, textsIn, UnfitRowError } from './true-values.js';

export interface ItemPlan {
  readonly kind: ItemKind;
  /** Labels of the version, or names of its targets. */
  readonly names: readonly string[];
  /** What is stored of a row and its answer. @throws UnfitRowError */
  readonly itemOf: (row: Row, answer: Answer) => unknown;
}

interface Definition {
  /** Of the answer. */
  readonly kind: Answer['kind'];
  /** Types that the target may have; null for targets that are columns by their names. */
  readonly target: readonly string[] | null;
  readonly itemOf: (truth: unknown, answer: never, names: ReadonlySet<string>) => ItemTypes[ItemKind];
}

const DEFINITIONS: Readonly<Record<ItemKind, Definition>> = {
  detections: {
    kind: 'detections',
    target: ['JSON'],
    itemOf: (truth, answer: AnswerOf<'detections'>) => ({ truth: boxesIn(truth), found: foundIn(answer) }),
  },
  tokens: {
    kind: 'tokens',
    target: ['JSON'],
    itemOf: (truth, answer: AnswerOf<'tokens'>) => {
      const predicted = spansOf(answer, 'SIMPLE').map(({ label, start, end }) => ({ label, start, end }));
      return { truth: spansIn(truth), predicted };
    },
  },
  answer: {
    kind: 'answer',
    target: ['TEXT', 'CATEGORY', 'JSON'],
    itemOf: (truth, { text }: AnswerOf<'answer'>) => ({ truth: textsIn(truth), predicted: text }),
  },
  ranking: {
    kind: 'ranking',
    target: ['JSON'],
    itemOf: (truth, { scores }: AnswerOf<'ranking'>) => ({ relevance: relevanceIn(truth, scores.length), scores }),
  },
  similarities: {
    kind: 'similarities',
    target: ['NUMBER', 'INTEGER'],
    itemOf: (truth, { scores }: AnswerOf<'similarities'>) => ({
      truth: numberIn(truth),
      predicted: scores[0] as number,
    }),
  },
  masks: {
    kind: 'masks',
    target: ['JSON'],
    itemOf: (truth, { width, height, items }: AnswerOf<'masks'>) => {
      const found = items.map(({ label, runLengths }) => ({ label, runLengths: Array.from(runLengths) }));
      return { pixels: width * height, truth: masksIn(truth, width * height), found };
    },
  },
  labels: {
    kind: 'classification',
    target: ['JSON'],
    itemOf: (truth, { scores }: AnswerOf<'classification'>, names) => {
      const labels = [...new Set(textsIn(truth))];
      const unknown = labels.find((label) => !names.has(label));
      if (unknown !== undefined) throw new UnfitRowError(`the version has no label "${unknown.slice(0, 100)}"`);
      if (!scores) throw new UnfitRowError('the version gave no scores');
      return { truth: labels, scores };
    },
  },
  values: {
    kind: 'values',
    target: null,
    itemOf: (truth, { values }: AnswerOf<'values'>) => ({
      truth: (truth as unknown[]).map(numberIn),
      predicted: values.map(({ value }) => value),
    }),
  },
  multiClassification: {
    kind: 'multiClassification',
    target: null,
    itemOf: (truth, { targets }: AnswerOf<'multiClassification'>) => ({
      truth: (truth as unknown[]).map((label) => textsIn(label === null ? null : String(label))[0] as string),
      predicted: targets.map(({ label }) => label),
    }),
  },
};

/** Null for versions that answer one class or one number. */
export function itemKindOf(spec: VersionSpec): ItemKind | null {
  const kind = answerKindOf(spec);
  if (kind === 'classification') return isMultiLabel(spec) ? 'labels' : null;
  return Object.hasOwn(DEFINITIONS, kind) ? (kind as ItemKind) : null;
}

/** @throws InvalidInputError if the dataset has no such targets */
export function itemPlanOf(spec: VersionSpec, kind: ItemKind, { target, columns }: PlannedDataset): ItemPlan {
  const definition = DEFINITIONS[kind];
  const targets = targetsOf(spec).map(({ name }) => name);
  const names = definition.target === null ? targets : spec.labels;
  const typeOf = (wanted: string) => columns.find(({ name }) => name === wanted)?.type;
  if (definition.target === null) {
    const missing = targets.find((name) => typeOf(name) === undefined);
    if (missing !== undefined)
      throw refused('dataset', 'the dataset lacks a target of the version', `a column "${missing}"`, null);
  } else if (target === null || !definition.target.includes(typeOf(target) ?? ''))
    throw refused(
      'dataset',
      'the target has another type than such answers need',
      definition.target.join(' or '),
      target === null ? 'no target' : (typeOf(target) ?? null),
    );
  const truthOf = (row: Row) =>
    definition.target === null ? targets.map((name) => row[name] ?? null) : (row[target as string] ?? null);
  const known = new Set(names);
  const itemOf = (row: Row, answer: Answer) => {
    if (answer.kind !== definition.kind) throw new UnfitRowError('the version gave an answer of another kind');
    return definition.itemOf(truthOf(row), answer as never, known);
  };
  return { kind, names, itemOf };
}
