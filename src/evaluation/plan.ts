/** How a version is evaluated on a dataset: which input a row becomes, and what its answer is compared with. */
import type { DatasetColumn } from '../datasets/dataset-columns.js';
import { type InputProblem, InvalidInputError } from '../errors.js';
import { isMultiLabel } from '../tasks/scores.js';
import type { InputKind } from '../tasks/tasks.js';
import { answerKindOf, type ModelInput, type VersionSpec } from '../tasks/tasks.js';

export type Row = Readonly<Record<string, unknown>>;

export interface Plan {
  readonly answers: 'classification' | 'regression';
  /** Name of the column with what is true. */
  readonly target: string;
  /** Of the version, then others that occur in the dataset; empty for numbers. */
  readonly labels: readonly string[];
  /** Names of the columns, for versions that read rows; null for others. */
  readonly columns: readonly string[] | null;
  /** Name of the column with the image, for versions that read images; null for others. */
  readonly image: string | null;
  /** `image`: the file, if the row names it by digest. */
  readonly inputOf: (row: Row, image: Uint8Array | null) => ModelInput;
}

export interface PlannedDataset {
  readonly target: string | null;
  readonly columns: readonly Pick<DatasetColumn, 'name' | 'type' | 'categories'>[];
}

/** @throws InvalidInputError if they do not fit together, or there are no metrics of such answers */
export function planOf(spec: VersionSpec, { target, columns }: PlannedDataset): Plan {
  const answers = answerKindOf(spec);
  if ((answers !== 'classification' && answers !== 'regression') || isMultiLabel(spec))
    throw refused(
      'version',
      `versions with answers of the kind ${answers === 'classification' ? 'several labels' : answers} are not evaluated`,
      'a version that answers one class or one number',
      spec.task,
    );
  if (target === null)
    throw refused('dataset', 'the dataset does not say what is to be predicted', 'a dataset with a target', null);
  const others = columns.filter(({ name }) => name !== target);
  const labels =
    answers === 'classification'
      ? labelsOf(
          spec,
          columns.find(({ name }) => name === target),
        )
      : [];
  return { answers, target, labels, ...inputsOf(spec, others) };
}

type Inputs = Pick<Plan, 'columns' | 'image' | 'inputOf'>;

/** What a version reads besides rows: the key of its input, and the type of the column that has it. */
const SINGLE: Readonly<Partial<Record<InputKind, { readonly type: 'TEXT' | 'IMAGE'; readonly usual: string }>>> = {
  TEXT: { type: 'TEXT', usual: 'text' },
  IMAGE: { type: 'IMAGE', usual: 'image' },
};

function inputsOf(spec: VersionSpec, columns: PlannedDataset['columns']): Inputs {
  if (spec.inputKind === 'ROW') return rowsOf(spec, columns);
  const single = SINGLE[spec.inputKind];
  if (!single)
    throw refused(
      'version',
      'versions with this kind of input are not evaluated',
      'a version that reads rows, texts or images',
      spec.inputKind,
    );
  const fitting = columns.filter(({ type }) => type === single.type || (single.type === 'TEXT' && type === 'CATEGORY'));
  const column = fitting.find(({ name }) => name === single.usual) ?? (fitting.length === 1 ? fitting[0] : undefined);
  if (!column)
    throw refused(
      'dataset',
      `the dataset does not say which column the version reads`,
      `one column of the type ${single.type}, or one that is named "${single.usual}"`,
      columns.map(({ name }) => name).join(', '),
    );
  const { name } = column;
  if (single.type === 'TEXT') return { columns: null, image: null, inputOf: (row) => ({ text: row[name] as string }) };
  const inputOf = (row: Row, bytes: Uint8Array | null): ModelInput => ({
    image: bytes ? { bytes } : { base64: row[name] as string },
  });
  return { columns: null, image: name, inputOf };
}

function rowsOf(spec: VersionSpec, columns: PlannedDataset['columns']): Inputs {
  const known = new Set(columns.map(({ name }) => name));
  const missing = spec.columns.filter(({ name, required }) => required && !known.has(name)).map(({ name }) => name);
  const names = spec.columns.map(({ name }) => name).filter((name) => known.has(name));
  if (missing.length > 0 || names.length === 0)
    throw refused(
      'dataset',
      'the dataset lacks columns that the version reads',
      (missing.length > 0 ? missing : spec.columns.map(({ name }) => name)).slice(0, MAX_NAMES).join(', '),
      columns
        .slice(0, MAX_NAMES)
        .map(({ name }) => name)
        .join(', '),
    );
  const inputOf = (row: Row) => ({ row: Object.fromEntries(names.map((name) => [name, row[name] ?? null])) });
  return { columns: names, image: null, inputOf };
}

const MAX_NAMES = 20;

/** @throws InvalidInputError if no label of the dataset is one of the version's */
function labelsOf(spec: VersionSpec, target: PlannedDataset['columns'][number] | undefined): string[] {
  const occurring = target?.categories ?? [];
  if (spec.labels.length > 0 && occurring.length > 0 && !occurring.some((label) => spec.labels.includes(label)))
    throw refused(
      'dataset',
      'the version has none of the labels of the dataset',
      spec.labels.slice(0, MAX_NAMES).join(', '),
      occurring.slice(0, MAX_NAMES).join(', '),
    );
  return [...new Set([...spec.labels, ...occurring])];
}

function refused(
  field: 'version' | 'dataset',
  message: string,
  expected: string,
  received: string | null,
): InvalidInputError {
  const problem: InputProblem = { path: ['input', field], code: 'WRONG_KIND', message, expected, received };
  return new InvalidInputError([problem]);
}

/** What is true of a row: the index of its label, or a number; null if it is neither. */
export function truthOf({ answers, target, labels }: Plan, row: Row): number | null {
  const value = row[target];
  if (answers === 'regression') return typeof value === 'number' && Number.isFinite(value) ? value : null;
  const index = labels.indexOf(String(value));
  return value == null || index < 0 ? null : index;
}
