/** How a version is evaluated on a dataset: which input a row becomes, and what its answer is compared with. */
import { answerKindOf, targetsOf, type VersionSpec } from '../tasks/tasks.js';
import type { ItemKind } from './evaluated-items.js';
import { type Inputs, inputsOf } from './plan-inputs.js';
import { type ItemPlan, itemKindOf, itemPlanOf } from './plan-items.js';
import { type PlannedDataset, type Row, refused } from './planned-dataset.js';

export type { PlannedDataset, Row } from './planned-dataset.js';

export interface Plan extends Inputs {
  readonly answers: 'classification' | 'regression' | ItemKind;
  /** Name of the column with what is true; empty for several targets, which are columns by their names. */
  readonly target: string;
  /** Of the version, then others that occur in the dataset; names of its targets if it has several; empty for numbers. */
  readonly labels: readonly string[];
  /** Null for classes and numbers, which are columns. */
  readonly itemOf: ItemPlan['itemOf'] | null;
}

/** @throws InvalidInputError if they do not fit together, or there are no metrics of such answers */
export function planOf(spec: VersionSpec, dataset: PlannedDataset): Plan {
  const kind = itemKindOf(spec);
  return kind === null ? planOfColumns(spec, dataset) : planOfItems(spec, kind, dataset);
}

/** Rows × classes, which are in memory together when the metrics are computed: 80 MB. */
const MAX_SCORES = 10_000_000;
/** Answers that are no class and no number, such as objects of images. */
const MAX_ITEMS = 100_000;

/** @throws InvalidInputError as `planOf`, and if there are too many rows */
export function evaluablePlan(spec: VersionSpec, dataset: PlannedDataset, rowCount: number): Plan {
  const plan = planOf(spec, dataset);
  const refuse = (message: string, most: string, received: string) => refused('dataset', message, most, received);
  if (plan.itemOf && rowCount > MAX_ITEMS)
    throw refuse('it has too many rows for such answers', `at most ${MAX_ITEMS} rows`, `${rowCount} rows`);
  const scores = rowCount * plan.labels.length;
  if (scores > MAX_SCORES)
    throw refuse('it has too many rows for so many classes', `${MAX_SCORES} scores`, `${scores} scores`);
  return plan;
}

function planOfItems(spec: VersionSpec, kind: ItemKind, dataset: PlannedDataset): Plan {
  const { names: labels, itemOf } = itemPlanOf(spec, kind, dataset);
  const targets = new Set([dataset.target, ...targetsOf(spec).map(({ name }) => name)]);
  const others = dataset.columns.filter(({ name }) => !targets.has(name));
  return { answers: kind, target: dataset.target ?? '', labels, itemOf, ...inputsOf(spec, others) };
}

function planOfColumns(spec: VersionSpec, { target, columns }: PlannedDataset): Plan {
  const answers = answerKindOf(spec);
  if (answers !== 'classification' && answers !== 'regression')
    throw refused(
      'version',
      `versions with answers of the kind ${answers} are not evaluated`,
      'a version that answers classes, numbers, objects, entities, answers to questions, scores or masks',
      spec.task,
    );
  if (target === null)
    throw refused('dataset', 'the dataset does not say what is to be predicted', 'a dataset with a target', null);
  const others = columns.filter(({ name }) => name !== target);
  const type = columns.find(({ name }) => name === target)?.type;
  if (answers === 'regression' && type !== undefined && !NUMBERS.includes(type))
    throw refused(
      'dataset',
      'the version answers numbers, and the target is none',
      'a target of the type NUMBER',
      type,
    );
  const labels =
    answers === 'classification'
      ? labelsOf(
          spec,
          columns.find(({ name }) => name === target),
        )
      : [];
  return { answers, target, labels, itemOf: null, ...inputsOf(spec, others) };
}

const MAX_NAMES = 20;
const NUMBERS = ['NUMBER', 'INTEGER', 'JSON'];

/** @throws InvalidInputError if no label of the dataset is one of the version's, or if one is but for its spelling */
function labelsOf(spec: VersionSpec, target: PlannedDataset['columns'][number] | undefined): string[] {
  const occurring = target?.categories ?? [];
  const own = new Set(spec.labels);
  if (own.size > 0 && occurring.length > 0 && !occurring.some((label) => own.has(label)))
    throw refused(
      'dataset',
      'the version has none of the labels of the dataset',
      spec.labels.slice(0, MAX_NAMES).join(', '),
      occurring.slice(0, MAX_NAMES).join(', '),
    );
  const known = new Map(spec.labels.map((label) => [plain(label), label]));
  const misspelled = occurring.find((label) => !own.has(label) && known.has(plain(label)));
  // It would count as a class that the version always misses.
  if (misspelled !== undefined)
    throw refused(
      'dataset',
      'a label differs from that of the version in case or spaces only',
      JSON.stringify(known.get(plain(misspelled))),
      JSON.stringify(misspelled),
    );
  return [...own.union(new Set(occurring))];
}

function plain(label: string): string {
  return label.trim().toLowerCase();
}

/** What is true of a row: the index of its label, or a number; null if it is neither. `indexOf`: of the labels of the plan. */
export function truthOf({ answers, target }: Plan, row: Row, indexOf: ReadonlyMap<string, number>): number | null {
  const value = row[target];
  if (answers === 'regression') return typeof value === 'number' && Number.isFinite(value) ? value : null;
  return value == null ? null : (indexOf.get(String(value)) ?? null);
}
