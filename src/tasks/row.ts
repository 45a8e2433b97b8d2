/** The input `row`: a JSON object whose keys are column names. Checks its values and puts them in the graph's order. */

import { arrayOf, DATATYPES, type TensorData } from './datatypes.js';
import { type AnyItem, defineInput } from './define-input.js';
import { isDigits, isWide, type NumberRefusal, numberMessage, readNumber } from './numbers.js';
import { oncePer } from './once-per.js';
import { listed, type Problems, quoted } from './problems.js';
import type { AnySpec, ColumnSpec, Example, TensorSpec } from './spec.js';
import { checkString, isAccepted, workOfStrings } from './strings.js';

export interface RowItem extends AnyItem {
  readonly kind: 'row';
  /** One value per column, in the order of the spec. A whole number of 64 bits may be a string of digits. */
  readonly values: readonly (number | string)[];
}

export const rowInput = defineInput({
  kind: 'ROW',
  key: 'row',
  accepts: ({ columns, inputs }) => columns.length > 0 && inputs.every(({ shape }) => shape.length <= 2),
  check: checkRow,
});

/** Problems have the path `row.<column>`. */
function checkRow(row: Readonly<Record<string, unknown>>, spec: AnySpec, problems: Problems): RowItem {
  return itemOf(readRow(row, spec) ?? checkedValues(row, spec, problems));
}

function itemOf(values: readonly (number | string)[]): RowItem {
  const work = Math.max(1, values.length + workOfStrings(values));
  return { kind: 'row', rows: 1, work, preprocessingWork: 0, values };
}

/** The values of a row without problems, in the order of the columns; null if each value has to be looked at. */
function readRow(row: Readonly<Record<string, unknown>>, spec: AnySpec): (number | string)[] | null {
  const columns = columnInputsOf(spec);
  const values: (number | string)[] = [];
  let given = 0;
  for (const { column, read } of columns) {
    const isGiven = Object.hasOwn(row, column.name);
    if (isGiven) given++;
    const value = read(isGiven ? row[column.name] : undefined);
    if (value === undefined) return null;
    values.push(value);
  }
  return Object.keys(row).length === given ? values : null;
}

function checkedValues(row: Readonly<Record<string, unknown>>, spec: AnySpec, problems: Problems): (number | string)[] {
  const known = columnNamesOf(spec);
  for (const name of Object.keys(row)) {
    if (problems.isFull) break;
    if (known.has(name)) continue;
    problems.add(
      ['row', name],
      'UNKNOWN_NAME',
      'the model has no column with this name',
      `one of ${listed(spec.columns, (column) => column.name)}`,
      name,
    );
  }
  const values: (number | string)[] = [];
  for (const fed of columnInputsOf(spec)) {
    if (problems.isFull) break;
    const { name } = fed.column;
    values.push(checkValue(fed, Object.hasOwn(row, name) ? row[name] : undefined, ['row', name], problems));
  }
  return values;
}

/** A column, and the datatype of the graph input it feeds. */
interface ColumnInput {
  readonly column: ColumnSpec;
  readonly datatype: string;
  /** The value for the graph; undefined for a value that `checkValue` has to look at, because it may be a problem. */
  readonly read: (value: unknown) => number | string | undefined;
}

/** In the order of the columns. */
export const columnInputsOf = oncePer((spec: AnySpec): readonly ColumnInput[] => {
  const datatypes = new Map(spec.inputs.map(({ name, datatype }) => [name, datatype]));
  return spec.columns.map((column) => {
    const datatype = datatypes.get(column.input) ?? onlyInput(spec).datatype;
    return { column, datatype, read: readerOf(column, datatype) };
  });
});

/** What can be decided about the values of a column is decided here, once for each spec. */
function readerOf(column: ColumnSpec, datatype: string): ColumnInput['read'] {
  const readGiven = readerOfGiven(column, datatype);
  const missing = column.required ? undefined : missingValue(column, datatype);
  return (value) => (value === undefined || value === null ? missing : readGiven(value));
}

function readerOfGiven(column: ColumnSpec, datatype: string): ColumnInput['read'] {
  const { type, minimum, maximum } = column;
  const kind = DATATYPES[datatype];
  if (type === 'BOOLEAN') return (value) => (typeof value === 'boolean' ? Number(value) : undefined);
  if (type === 'TEXT' || type === 'CATEGORY') {
    const indexes = categoryIndexesOf(column);
    const isKnown = (text: string) => (type === 'TEXT' ? isAccepted(text) : indexes.has(text));
    const read = (text: string) => (datatype === 'BYTES' ? text : (indexes.get(text) ?? -1));
    return (value) => (typeof value === 'string' && isKnown(value) ? read(value) : undefined);
  }
  const least = Math.max(minimum ?? -Infinity, kind?.range ? Number(kind.range[0]) : -Infinity);
  const most = Math.min(maximum ?? Infinity, kind?.range ? Number(kind.range[1]) : Infinity);
  const isHeld = kind?.range ? Number.isSafeInteger : finiteAs(kind?.bytes ?? 8);
  const isRight = type === 'INTEGER' ? (value: number) => Number.isSafeInteger(value) && isHeld(value) : isHeld;
  return (value) =>
    typeof value === 'number' && value >= least && value <= most && isRight(value) ? value : undefined;
}

/** Whether a number is finite in floating point of this many bytes. */
function finiteAs(bytes: number): (value: number) => boolean {
  if (bytes === 8) return Number.isFinite;
  const rounded = bytes === 4 ? Math.fround : Math.f16round;
  return (value) => Number.isFinite(rounded(value));
}

function missingValue(column: ColumnSpec, datatype: string): number | string {
  return datatype === 'BYTES' ? column.missing : Number.NaN;
}

const columnNamesOf = oncePer((spec: AnySpec) => new Set(spec.columns.map(({ name }) => name)));

/** The first index of each category of a column. */
const categoryIndexesOf = oncePer(({ categories }: ColumnSpec) => {
  const indexes = new Map<string, number>();
  for (const [i, category] of categories.entries()) if (!indexes.has(category)) indexes.set(category, i);
  return indexes;
});

/** The value for the graph. A category that feeds numbers is its index in `categories`. */
export function checkValue(
  fed: ColumnInput,
  value: unknown,
  path: readonly string[],
  problems: Problems,
): number | string {
  const { column } = fed;
  if (value === undefined || value === null) {
    if (column.required) problems.add(path, 'MISSING', 'this column is required', expectedValue(column), value);
    return missingValue(column, fed.datatype);
  }
  if (column.type === 'TEXT' || column.type === 'CATEGORY') {
    const string = checkColumnString(column, value, path, problems);
    return fed.datatype === 'BYTES' ? string : (categoryIndexesOf(column).get(string) ?? -1);
  }
  if (column.type === 'BOOLEAN') {
    if (typeof value !== 'boolean')
      problems.add(path, 'WRONG_TYPE', 'this column takes true or false', expectedValue(column), value);
    return value === true ? 1 : 0;
  }
  return checkNumber(fed, value, path, problems);
}

function checkColumnString(column: ColumnSpec, value: unknown, path: readonly string[], problems: Problems): string {
  if (typeof value !== 'string') {
    problems.add(path, 'WRONG_TYPE', 'this column takes a string', expectedValue(column), value);
  } else if (column.type === 'CATEGORY' && !categoryIndexesOf(column).has(value)) {
    problems.add(path, 'NOT_IN_CATEGORIES', 'the model does not know this category', expectedValue(column), value);
  } else if (column.type === 'TEXT') {
    checkString(value, path, problems);
  }
  return typeof value === 'string' ? value : '';
}

function checkNumber(fed: ColumnInput, value: unknown, path: readonly string[], problems: Problems): number | string {
  const problem = problemOfNumber(fed, value);
  if (problem) problems.add(path, ...problem, expectedNumber(fed), value);
  return typeof value === 'number' || typeof value === 'string' ? value : Number.NaN;
}

function problemOfNumber(
  { column: { type, minimum, maximum }, datatype }: ColumnInput,
  value: unknown,
): [code: NumberRefusal, message: string] | null {
  const isText = isDigits(value) && takesDigits(type, datatype);
  if (typeof value !== 'number' && !isText) return ['WRONG_TYPE', 'this column takes a number'];
  if (typeof value === 'number' && !Number.isFinite(value)) return ['NOT_FINITE', 'the number is not finite'];
  if (type === 'INTEGER' && typeof value === 'number') {
    if (!Number.isInteger(value)) return ['WRONG_TYPE', 'this column takes whole numbers'];
    if (!Number.isSafeInteger(value)) return ['OUT_OF_RANGE', beyondSafe(datatype, value)];
  }
  const number = isText ? BigInt(value) : (value as number);
  if ((minimum !== null && number < minimum) || (maximum !== null && number > maximum))
    return ['OUT_OF_RANGE', 'the value is outside the accepted range'];
  const kind = DATATYPES[datatype];
  const isHeld = !kind || typeof readNumber(kind, value) !== 'string';
  return isHeld ? null : ['OUT_OF_RANGE', numberMessage(datatype, value, 'OUT_OF_RANGE')];
}

/** Whether whole numbers may be strings of digits, which keep the digits that a JSON number beyond 2^53 loses. */
function takesDigits(type: ColumnSpec['type'], datatype: string): boolean {
  return type === 'INTEGER' && isWide(datatype);
}

function beyondSafe(datatype: string, value: number): string {
  return isWide(datatype)
    ? numberMessage(datatype, value, 'OUT_OF_RANGE')
    : `whole numbers beyond 2^53 are not exact, and this column has no 64-bit input that takes them`;
}

/** Says the range of the datatype if the column has none of its own. */
function expectedNumber({ column, datatype }: ColumnInput): string {
  const range = DATATYPES[datatype]?.range;
  const { minimum, maximum } = column;
  if (takesDigits(column.type, datatype)) return `${expectedValue(column)}, beyond 2^53 as a string of digits`;
  if (!range || minimum !== null || maximum !== null) return expectedValue(column);
  return expectedValue({ ...column, minimum: Number(range[0]), maximum: Number(range[1]) });
}

export function expectedValue({ type, minimum, maximum, categories, unit }: ColumnSpec): string {
  if (type === 'CATEGORY') return `one of ${listed(categories)}`;
  if (type === 'TEXT') return 'a string';
  if (type === 'BOOLEAN') return 'true or false';
  const range =
    minimum !== null && maximum !== null
      ? ` from ${minimum} to ${maximum}`
      : minimum !== null
        ? ` of at least ${minimum}`
        : maximum !== null
          ? ` of at most ${maximum}`
          : '';
  return `a ${type === 'INTEGER' ? 'whole ' : ''}number${range}${unit ? `${range ? '' : ' in'} ${quoted(unit)}` : ''}`;
}

/** Builds the inputs of the graph, each with the shape [1, number of its columns], or [1] if it has one dimension. */
export function preprocessRow(item: RowItem, spec: AnySpec): TensorData[] {
  const valuesOf = new Map<string, (number | string)[]>(spec.inputs.map(({ name }) => [name, []]));
  for (const [i, { input }] of spec.columns.entries()) valuesOf.get(input)?.push(item.values[i] as number | string);
  return spec.inputs.map((input) => {
    const values = valuesOf.get(input.name) ?? [];
    const shape = input.shape.length === 1 ? [1] : [1, values.length];
    return { name: input.name, datatype: input.datatype, shape, data: arrayOf(input, values) };
  });
}

/** The first input of the graph; for tasks whose graph has only one. */
export function onlyInput(spec: Pick<AnySpec, 'inputs'>): TensorSpec {
  const [only] = spec.inputs;
  if (!only) throw new Error('The spec has no inputs. This is a bug.');
  return only;
}

/** The example values of all columns. */
export function rowExamples({ columns }: { readonly columns: readonly ColumnSpec[] }): Example[] {
  return [{ row: Object.fromEntries(columns.map(({ name, example }) => [name, example])) }];
}
