/** What is wrong with a dataset, and in which row. */
import type { InputProblem } from '../errors.js';

export interface RowProblem extends Omit<InputProblem, 'path'> {
  /** 1 for the first row of data; null for a problem of the whole. */
  readonly row: number | null;
  /** Of the file, where the row ends; null if its format has no lines. */
  readonly line: number | null;
  readonly column: string | null;
}

/** What is wrong with a value of a row. */
export type ValueProblem = Pick<RowProblem, 'code' | 'message' | 'expected' | 'received'>;

/** Nothing after this can be read. */
export class UnreadableRowsError extends Error {
  readonly problem: RowProblem;
  constructor(problem: Partial<RowProblem> & Pick<RowProblem, 'message'>) {
    super(problem.message);
    this.problem = {
      row: null,
      line: null,
      column: null,
      code: 'UNREADABLE',
      expected: null,
      received: null,
      ...problem,
    };
  }
}

/** With the row, the line and the column, as a sentence. */
export function sentenceOf({ row, line, column, message, expected, received }: RowProblem): string {
  const place = [row !== null && `row ${row}`, line !== null && `line ${line}`, column !== null && `column ${column}`];
  const where = place.filter(Boolean).join(', ');
  const details = [expected !== null && `expected ${expected}`, received !== null && `received ${received}`];
  return `${where}${where && ': '}${[message, ...details.filter(Boolean)].join('; ')}`;
}
