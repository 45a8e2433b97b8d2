/** Rows that are sent as tensors, whose first dimension counts them. */
import type { InvalidInputError } from '../errors.js';
import { type BulkRows, checkCount, Stack } from './bulk.js';
import type { NumericArray, TensorArray, TensorData } from './datatypes.js';
import { rowInputs } from './numeric.js';
import { nullablePer } from './once-per.js';
import { RowProblems } from './problems.js';
import { readsBags } from './static-embedding.js';
import type { Item, ModelInput, VersionSpec } from './tasks.js';
import { type TensorsItem, tensorsInput, valuesPerRow } from './tensors.js';

export type GivenTensors = NonNullable<ModelInput['tensors']>;

/**
 * Problems have paths as of a single input of tensors; the index of a bad value is that in the whole tensor.
 *
 * @throws InvalidInputError if the tensors are not those of the version, or differ in their number of rows
 */
export function readTensors(tensors: GivenTensors, spec: VersionSpec, prefix: readonly string[]): BulkRows {
  const problems = new RowProblems(prefix);
  const open = withOpenRows(spec);
  const message = 'rows of this model cannot be stacked: an input of its graph does not have one row for each answer';
  if (!open) problems.add(['tensors'], 'WRONG_KIND', message, 'inputs');
  for (const [i, { shape }] of tensors.entries())
    if (!problems.isFull && shape.length > 0)
      checkCount(shape[0] as number, ['tensors', String(i), 'shape', '0'], problems);
  problems.throwIfAny();
  const item = tensorsInput.check(tensors, open ?? spec, problems);
  problems.throwIfAny();
  return rowsOf(item, problems.refused, spec);
}

/** The spec as if it took any number of rows; null if an input does not begin with the row. */
const withOpenRows = nullablePer((spec: VersionSpec): VersionSpec | null => {
  const begins = spec.inputs.every(({ shape: [first] }) => first === null || first === 1);
  if (!begins || spec.inputs.length === 0 || (spec.text && readsBags(spec.inputs))) return null;
  const inputs = spec.inputs.map((input) => ({ ...input, shape: [null, ...input.shape.slice(1)] }));
  return { ...spec, inputs, head: { kind: 'tensors' } } as unknown as VersionSpec;
});

function rowsOf(
  { rows: count, work, tensors }: TensorsItem,
  refused: Map<number, InvalidInputError>,
  spec: VersionSpec,
): BulkRows {
  const rowOf = (row: number) => tensors.map((tensor) => rowOfTensor(tensor, row));
  const input = (row: number): ModelInput => ({ tensors: rowOf(row).map(sentTensor) });
  const workPerRow = Math.max(1, Math.ceil(work / count));
  const rows = Array.from({ length: count }, (_, row) => row).filter((row) => !refused.has(row));
  const inputs = rowInputs(spec);
  if (inputs) {
    const values = inputs.map(({ name, valuesPerRow }) => {
      const all = tensors.find((tensor) => tensor.name === name)?.data as NumericArray;
      return refused.size === 0 ? all : selectRows(all, rows, valuesPerRow);
    });
    return { count, stack: new Stack(inputs, values, rows, workPerRow), items: new Map(), refused, input };
  }
  const items = new Map<number, Item>();
  for (const row of rows)
    items.set(row, { kind: 'tensors', rows: 1, work: workPerRow, preprocessingWork: 0, tensors: rowOf(row) });
  return { count, stack: null, items, refused, input };
}

function selectRows(values: NumericArray, rows: readonly number[], perRow: number): NumericArray {
  const selected = new (values.constructor as new (length: number) => NumericArray)(rows.length * perRow);
  for (const [i, row] of rows.entries())
    selected.set(values.subarray(row * perRow, (row + 1) * perRow) as never, i * perRow);
  return selected;
}

function rowOfTensor({ name, datatype, shape, data }: TensorData, row: number): TensorData {
  const perRow = valuesPerRow(shape);
  const values = data.slice(row * perRow, (row + 1) * perRow) as TensorArray;
  return { name, datatype, shape: [1, ...shape.slice(1)], data: values };
}

/** As a caller would send it. */
function sentTensor({ name, datatype, shape, data }: TensorData): GivenTensors[number] {
  if (Array.isArray(data)) return { name, datatype, shape, data };
  const { buffer, byteOffset, byteLength } = data;
  return { name, datatype, shape, base64: Buffer.from(buffer, byteOffset, byteLength).toString('base64') };
}
