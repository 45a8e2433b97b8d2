/** Types of the columns of a dataset: as they are stated, or as the first rows suggest. */
import type { ColumnSpec, DatasetColumnType } from '../tasks/spec.js';
import { type TaskName, taskNamed } from '../tasks/tasks.js';
import { MAX_COLUMNS } from './dataset-limits.js';
import { digestIn, isImage } from './image-value.js';
import type { RawRow } from './raw-rows.js';
import { UnreadableRowsError } from './row-problem.js';

export type DatasetColumn = Omit<ColumnSpec, 'type'> & { readonly type: DatasetColumnType };

/** Rows that types are inferred from. */
export const SAMPLE_ROWS = 1_000;
/** Fewer rows, if they have as many characters of text: the sample is in memory as a whole. */
export const SAMPLE_CHARACTERS = 16 * 1024 ** 2;
/** A text column of CSV is one of numbers if as many of its values are: the others are problems, not its type. */
const MIN_SHARE = 0.9;

export type TargetKind = 'label' | 'number' | 'any';

/** What a target of this task is. */
export function targetKindOf(task: TaskName): TargetKind {
  const [answer] = taskNamed(task).answers;
  if (answer === 'classification') return 'label';
  return answer === 'regression' ? 'number' : 'any';
}

interface Sample {
  readonly rows: readonly RawRow[];
  /** In order; null if only the rows say. */
  readonly columns: readonly string[] | null;
  readonly isText: boolean;
}

/** Columns with the types of most of their values. */
export function inferColumns({ rows, columns, isText }: Sample, target: string | null, kind: TargetKind) {
  const names = columns ?? namesIn(rows);
  return names.map((name) => {
    const given = rows.map(({ values }) => values[name]).filter((value) => value != null && value !== '');
    const isLabel = name === target && kind === 'label';
    return columnNamed(name, isLabel ? 'CATEGORY' : isText ? typeOfTexts(given as string[]) : typeOfValues(given));
  });
}

/** @throws UnreadableRowsError if there are too many */
function namesIn(rows: readonly RawRow[]): string[] {
  const names = new Set<string>();
  for (const { number, line, values } of rows)
    for (const name of Object.keys(values)) {
      names.add(name);
      if (names.size <= MAX_COLUMNS) continue;
      const expected = `at most ${MAX_COLUMNS}`;
      const message = 'there are too many columns';
      throw new UnreadableRowsError({ row: number, line, code: 'TOO_LARGE', message, expected });
    }
  return [...names];
}

function columnNamed(name: string, type: DatasetColumnType): DatasetColumn {
  const unknown = { description: null, unit: null, minimum: null, maximum: null, example: null };
  return { ...unknown, name, type, categories: [], required: true, input: '', missing: '' };
}

function typeOfTexts(values: readonly string[]): DatasetColumnType {
  const isMost = (is: (value: string) => boolean) =>
    values.length > 0 && values.filter(is).length >= values.length * MIN_SHARE;
  if (isMost((value) => NUMBER.test(value.trim()))) return 'NUMBER';
  if (isMost((value) => BOOLEAN.test(value.trim()))) return 'BOOLEAN';
  return isMost(isOfImage) ? 'IMAGE' : 'TEXT';
}

/** Takes time in proportion to the text, whatever it is. */
export const NUMBER = /^[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?$/;
export const BOOLEAN = /^(true|false)$/i;

function typeOfValues(values: readonly unknown[]): DatasetColumnType {
  const counts = new Map<DatasetColumnType, number>();
  for (const value of values) {
    const type = typeOfValue(value);
    counts.set(type, (counts.get(type) ?? 0) + 1);
  }
  const [[most] = ['TEXT' as const]] = [...counts].sort(([, a], [, b]) => b - a);
  return most;
}

function typeOfValue(value: unknown): DatasetColumnType {
  if (typeof value === 'number' || typeof value === 'bigint') return 'NUMBER';
  if (typeof value === 'boolean') return 'BOOLEAN';
  if (typeof value !== 'string') return 'JSON';
  return isOfImage(value) ? 'IMAGE' : 'TEXT';
}

function isOfImage(value: string): boolean {
  return isImage(value) || digestIn(value) !== null;
}

/** @throws UnreadableRowsError if the target is no column, or not of the type that the task needs */
export function checkTarget(columns: readonly DatasetColumn[], target: string | null, kind: TargetKind): void {
  if (target === null) return;
  const found = columns.find(({ name }) => name === target);
  if (!found) {
    const expected = `one of ${columns
      .slice(0, 20)
      .map(({ name }) => name)
      .join(', ')}`;
    const message = 'the target is not a column of the data';
    throw new UnreadableRowsError({ code: 'UNKNOWN_NAME', column: target, message, expected, received: target });
  }
  const isNumber = found.type === 'NUMBER' || found.type === 'INTEGER';
  const isWrong =
    (kind === 'number' && !isNumber) ||
    (kind === 'label' && !['CATEGORY', 'TEXT', 'BOOLEAN', 'INTEGER'].includes(found.type));
  if (!isWrong) return;
  const expected = kind === 'number' ? 'NUMBER or INTEGER' : 'CATEGORY, TEXT, BOOLEAN or INTEGER';
  const message = 'the target has another type than the task needs';
  throw new UnreadableRowsError({ code: 'WRONG_TYPE', column: target, message, expected, received: found.type });
}
