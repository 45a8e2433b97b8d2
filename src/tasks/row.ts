/**
 * Rows: named columns, matched by name, checked against the spec, put into the graph's order.
 */

import type { TensorData } from './datatypes.js';
import { type Item, type ModelInput, Problems } from './input.js';
import type { ColumnSpec, VersionSpec } from './spec.js';

/** @throws InvalidInputError with paths `row.<column>` */
export function checkRow(spec: VersionSpec, input: ModelInput, prefix: readonly string[]): Item {
  const problems = new Problems(prefix);
  const row = input.row as Readonly<Record<string, unknown>>;
  const known = new Set(spec.columns.map(({ name }) => name));
  for (const name of Object.keys(row).filter((name) => !known.has(name))) {
    if (problems.isFull) break;
    problems.add(
      ['row', name],
      'UNKNOWN_NAME',
      'the model has no column of this name',
      'a name in signature.columns',
      name,
    );
  }
  const values = spec.columns.map((column) => {
    const value = Object.hasOwn(row, column.name) ? row[column.name] : undefined;
    return checkValue(column, value, ['row', column.name], problems);
  });
  problems.throwIfAny();
  return { kind: 'row', rows: 1, values };
}

function checkValue(column: ColumnSpec, value: unknown, path: readonly string[], problems: Problems): number | string {
  if (value === undefined || value === null) {
    if (column.required) problems.add(path, 'MISSING', 'this column is required', expectation(column), value);
    return Number.NaN;
  }
  if (column.type === 'TEXT' || column.type === 'CATEGORY') return checkWord(column, value, path, problems);
  if (column.type === 'BOOLEAN') {
    if (typeof value !== 'boolean')
      problems.add(path, 'WRONG_TYPE', 'this column is true or false', 'a boolean', value);
    return value === true ? 1 : 0;
  }
  return checkNumber(column, value, path, problems);
}

function checkWord(column: ColumnSpec, value: unknown, path: readonly string[], problems: Problems): string {
  if (typeof value !== 'string') {
    problems.add(path, 'WRONG_TYPE', 'this column is a text', expectation(column), value);
  } else if (column.type === 'CATEGORY' && !column.categories.includes(value)) {
    problems.add(path, 'NOT_IN_CATEGORIES', 'the model does not know this category', expectation(column), value);
  }
  return typeof value === 'string' ? value : '';
}

function checkNumber(column: ColumnSpec, value: unknown, path: readonly string[], problems: Problems): number {
  const { minimum, maximum } = column;
  if (typeof value !== 'number') {
    problems.add(path, 'WRONG_TYPE', 'this column is a number', expectation(column), value);
  } else if (!Number.isFinite(value)) {
    problems.add(path, 'NOT_FINITE', 'a number is finite', expectation(column), value);
  } else if (column.type === 'INTEGER' && !Number.isSafeInteger(value)) {
    problems.add(path, 'WRONG_TYPE', 'this column is a whole number', expectation(column), value);
  } else if (
    (minimum !== null && value < minimum) ||
    (maximum !== null && value > maximum) ||
    // The graph takes floats of 32 bits: there it would be infinite.
    !Number.isFinite(Math.fround(value))
  ) {
    problems.add(
      path,
      'OUT_OF_RANGE',
      'the value lies outside what the model was made for',
      expectation(column),
      value,
    );
  }
  return typeof value === 'number' ? value : Number.NaN;
}

function expectation({ type, minimum, maximum, categories, unit }: ColumnSpec): string {
  if (type === 'CATEGORY') return `one of ${categories.join(', ')}`;
  if (type === 'TEXT') return 'a text';
  if (type === 'BOOLEAN') return 'true or false';
  const range =
    minimum !== null && maximum !== null
      ? ` from ${minimum} to ${maximum}`
      : minimum !== null
        ? ` of at least ${minimum}`
        : maximum !== null
          ? ` of at most ${maximum}`
          : '';
  return `a ${type === 'INTEGER' ? 'whole ' : ''}number${range}${unit ? ` ${unit}` : ''}`;
}

/** One float tensor [1, columns]. */
export function prepareRow(item: Extract<Item, { kind: 'row' }>, spec: VersionSpec): TensorData[] {
  const { name, datatype } = graphInput(spec);
  return [{ name, datatype, shape: [1, item.values.length], data: Float32Array.from(item.values, Number) }];
}

export function graphInput(spec: VersionSpec) {
  const [only] = spec.inputs;
  if (!only) throw new Error('A spec without inputs. This is a bug.');
  return only;
}
