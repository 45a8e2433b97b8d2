/** Checks what a dataset is registered with, before its rows are read. */
import { MODEL_NAME } from '../catalog/ref.js';
import { type InputProblem, InvalidInputError } from '../errors.js';
import type { TaskName } from '../tasks/tasks.js';
import type { DatasetColumn } from './dataset-columns.js';
import { MAX_CATEGORIES, MAX_COLUMNS, MAX_CONTENT_BYTES, MAX_NAME_CHARACTERS } from './dataset-limits.js';
import type { DatasetFormat } from './raw-rows.js';

export const MAX_CHARACTERS = {
  title: 200,
  family: 200,
  split: 50,
  license: 100,
  source: 500,
  description: 2_000,
} as const;

export interface WantedColumn extends Pick<DatasetColumn, 'name' | 'type'> {
  readonly categories?: readonly string[] | null;
  readonly required: boolean;
  readonly description?: string | null;
  readonly unit?: string | null;
  readonly minimum?: number | null;
  readonly maximum?: number | null;
}

export interface WantedDataset {
  readonly name: string;
  readonly task: TaskName;
  readonly title?: string | null;
  readonly target?: string | null;
  readonly family?: string | null;
  readonly split?: string | null;
  readonly license?: string | null;
  readonly source?: string | null;
  readonly description?: string | null;
  readonly visibility: 'PUBLIC' | 'PRIVATE';
  readonly columns?: readonly WantedColumn[] | null;
  readonly allowDuplicates: boolean;
  readonly data: {
    readonly format: DatasetFormat;
    readonly content?: string | null;
    readonly upload?: string | null;
  };
  readonly reason?: string | null;
}

export function fieldsOf({ name, type, required, ...column }: WantedColumn): DatasetColumn {
  const { description = null, unit = null, minimum = null, maximum = null } = column;
  const categories = [...(column.categories ?? [])];
  return {
    name,
    type,
    required,
    description,
    unit,
    minimum,
    maximum,
    categories,
    example: null,
    input: '',
    missing: '',
  };
}

/** The description, as it is stored. */
export function describedAs(wanted: WantedDataset, account: string) {
  const text = (value: string | null | undefined) => value?.toWellFormed() ?? null;
  return {
    name: wanted.name,
    title: text(wanted.title) ?? wanted.name,
    family: text(wanted.family),
    split: text(wanted.split),
    task: wanted.task,
    license: text(wanted.license),
    source: text(wanted.source),
    description: text(wanted.description),
    target: wanted.target ?? null,
    visibility: wanted.visibility === 'PUBLIC' ? ('public' as const) : ('private' as const),
    account,
  };
}

/** @throws InvalidInputError that names everything wrong */
export function checkNewDataset(wanted: WantedDataset): void {
  const problems: InputProblem[] = [];
  const { name, data, columns } = wanted;
  const add = (
    path: readonly string[],
    code: InputProblem['code'],
    message: string,
    expected: string,
    received: string,
  ) => problems.push({ path: ['input', ...path], code, message, expected, received });
  if (!MODEL_NAME.test(name))
    add(['name'], 'UNREADABLE', 'the name is not accepted', `a name that matches ${MODEL_NAME.source}`, name);
  for (const [field, most] of Object.entries(MAX_CHARACTERS)) {
    const value = wanted[field as keyof typeof MAX_CHARACTERS];
    const isEmpty = value?.trim() === '';
    if (value != null && (isEmpty || value.length > most))
      add([field], isEmpty ? 'EMPTY' : 'TOO_LARGE', 'the length is not accepted', `1 to ${most} characters`, value);
  }
  checkData(data, add);
  if (columns) checkColumns(columns, add);
  if (problems.length > 0) throw new InvalidInputError(problems);
}

type Add = (
  path: readonly string[],
  code: InputProblem['code'],
  message: string,
  expected: string,
  received: string,
) => void;

function checkData({ format, content, upload }: WantedDataset['data'], add: Add): void {
  if ((content != null) === (upload != null)) {
    const received = content != null ? 'both' : 'neither';
    add(['data'], 'WRONG_KIND', 'the rows are sent or uploaded', 'either content or upload', received);
    return;
  }
  if (content == null) return;
  if (format === 'PARQUET')
    add(['data', 'content'], 'WRONG_KIND', 'Parquet is no text', 'the upload of a Parquet file', 'content');
  const bytes = Buffer.byteLength(content);
  if (bytes > MAX_CONTENT_BYTES)
    add(
      ['data', 'content'],
      'TOO_LARGE',
      'the content is too large; upload it',
      `at most ${MAX_CONTENT_BYTES} bytes`,
      `${bytes} bytes`,
    );
}

function checkColumns(columns: readonly WantedColumn[], add: Add): void {
  if (columns.length > MAX_COLUMNS)
    add(['columns'], 'TOO_LARGE', 'there are too many columns', `at most ${MAX_COLUMNS}`, String(columns.length));
  const names = new Set<string>();
  for (const [i, { name, type, categories }] of columns.entries()) {
    const place = ['columns', String(i)];
    if (name.trim() === '' || name.length > MAX_NAME_CHARACTERS)
      add([...place, 'name'], 'UNREADABLE', 'the name is not accepted', `1 to ${MAX_NAME_CHARACTERS} characters`, name);
    if (names.has(name)) add([...place, 'name'], 'WRONG_KIND', 'another column has the name', 'different names', name);
    names.add(name);
    const count = categories?.length ?? 0;
    if (count > MAX_CATEGORIES)
      add([...place, 'categories'], 'TOO_LARGE', 'there are too many', `at most ${MAX_CATEGORIES}`, String(count));
    if (count > 0 && type !== 'CATEGORY')
      add([...place, 'categories'], 'WRONG_KIND', 'only columns of the type CATEGORY have them', 'no categories', type);
  }
}
