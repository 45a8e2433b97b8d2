/** Rows that are sent as columns: a list of values for each column, with one value for each row. */
import { InvalidInputError } from '../errors.js';
import { type BulkRows, checkCount, Stack, withPaths } from './bulk.js';
import { rowInputs } from './numeric.js';
import { oncePer } from './once-per.js';
import { listed, Problems } from './problems.js';
import { columnInputsOf, expectedValue, rowInput } from './row.js';
import { checkInput, type Item, inputsOf, type ModelInput, taskNamed, type VersionSpec } from './tasks.js';

/**
 * Problems with a column as a whole have the path `<prefix>.<column>`; those of a row, `<prefix>.<column>.<row>`.
 *
 * @throws InvalidInputError if the columns are not those of the version, or differ in length
 */
export function readColumns(
  columns: Readonly<Record<string, unknown>>,
  spec: VersionSpec,
  prefix: readonly string[],
): BulkRows {
  const count = checkColumns(columns, spec, prefix);
  const inputOf = (row: number): ModelInput => {
    const values = Object.keys(columns).map((name) => [name, (columns[name] as readonly unknown[])[row]]);
    return { row: Object.fromEntries(values) };
  };
  const items = new Map<number, Item>();
  const refused = new Map<number, InvalidInputError>();
  const stack = stackOf(spec, count);
  const writers = stack && writersOf(spec, columns, stack);
  for (let row = 0; row < count; row++) {
    if (stack && writers?.every((write) => write(row))) {
      stack.add(row);
      continue;
    }
    try {
      items.set(row, checkInput(spec, inputOf(row), []));
    } catch (error) {
      if (!(error instanceof InvalidInputError)) throw error;
      // From `row.<column>`.
      refused.set(
        row,
        withPaths(error, ([, ...names]) => [...prefix, ...names, String(row)]),
      );
    }
  }
  return { count, stack, items, refused, input: inputOf };
}

function stackOf(spec: VersionSpec, count: number): Stack | null {
  const inputs = rowInputs(spec);
  const areComplete = inputs?.every(({ columns, valuesPerRow }) => columns.length === valuesPerRow);
  return inputs && areComplete ? Stack.empty(inputs, count, Math.max(1, spec.columns.length)) : null;
}

/** Returns the number of rows. */
function checkColumns(
  columns: Readonly<Record<string, unknown>>,
  spec: VersionSpec,
  prefix: readonly string[],
): number {
  const problems = new Problems(prefix);
  const accepted = inputsOf(taskNamed(spec.task), spec);
  if (!accepted.some(({ key }) => key === rowInput.key)) {
    const expected = accepted.map(({ key }) => `inputs with ${key}`).join(' or ');
    problems.add([], 'WRONG_KIND', 'this model reads no rows of named columns', expected || 'inputs, or tensors');
    problems.throwIfAny();
  }
  const known = columnsByName(spec);
  let count: number | null = null;
  for (const [name, values] of Object.entries(columns)) {
    if (problems.isFull) break;
    if (!known.has(name)) {
      const names = listed(spec.columns, (column) => column.name);
      problems.add([name], 'UNKNOWN_NAME', 'the model has no column with this name', `one of ${names}`, name);
    } else if (!Array.isArray(values)) {
      problems.add([name], 'WRONG_TYPE', 'a column is a list with one value for each row', 'a list', values);
    } else {
      count ??= values.length;
      if (values.length !== count)
        problems.add([name], 'WRONG_SHAPE', 'all columns must have one value for each row', `${count} values`, values);
    }
  }
  for (const { column } of columnInputsOf(spec)) {
    if (problems.isFull) break;
    if (column.required && !Object.hasOwn(columns, column.name))
      problems.add(
        [column.name],
        'MISSING',
        'this column is required',
        `a list of values, each ${expectedValue(column)}`,
      );
  }
  problems.throwIfAny();
  if (count === null) problems.add([], 'EMPTY', 'there are no columns', 'a list of values for each column');
  else checkCount(count, [], problems);
  problems.throwIfAny();
  return count as number;
}

const columnsByName = oncePer((spec: VersionSpec) => new Set(spec.columns.map(({ name }) => name)));

/** One for each column: writes its value of a row to the stack, or returns false if the value needs the full check. */
function writersOf(
  spec: VersionSpec,
  columns: Readonly<Record<string, unknown>>,
  stack: Stack,
): ((row: number) => boolean)[] {
  const places = new Map<number, { readonly input: number; readonly index: number; readonly isBig: boolean }>();
  for (const [input, { columns: indices, type }] of (rowInputs(spec) ?? []).entries()) {
    const isBig = type.array === BigInt64Array || type.array === BigUint64Array;
    for (const [index, column] of indices.entries()) places.set(column, { input, index, isBig });
  }
  return columnInputsOf(spec).map(({ column, read }, i) => {
    const values = (Object.hasOwn(columns, column.name) ? columns[column.name] : []) as readonly unknown[];
    const { input, index, isBig } = places.get(i) as NonNullable<ReturnType<typeof places.get>>;
    return (row) => {
      const value = read(values[row]);
      if (value === undefined || (isBig && Number.isNaN(value))) return false;
      stack.set(input, index, isBig ? BigInt(value) : Number(value));
      return true;
    };
  });
}
