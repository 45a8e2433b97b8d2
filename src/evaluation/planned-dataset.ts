/** What a plan needs to know of a dataset. */
import type { DatasetColumn } from '../datasets/dataset-columns.js';
import { type InputProblem, InvalidInputError } from '../errors.js';

export type Row = Readonly<Record<string, unknown>>;

export interface PlannedDataset {
  readonly target: string | null;
  readonly columns: readonly Pick<DatasetColumn, 'name' | 'type' | 'categories'>[];
}

/** The error for a dataset that nothing can be run on. */
export function withoutRows(name: string, path: readonly string[] = ['input', 'dataset']): InvalidInputError {
  const message = 'its rows are not stored here';
  return new InvalidInputError([
    { path, code: 'WRONG_KIND', message, expected: 'a dataset with rows', received: name },
  ]);
}

/** The error for a version and a dataset that do not fit together. */
export function refused(
  field: 'version' | 'dataset',
  message: string,
  expected: string,
  received: string | null,
): InvalidInputError {
  const problem: InputProblem = { path: ['input', field], code: 'WRONG_KIND', message, expected, received };
  return new InvalidInputError([problem]);
}
