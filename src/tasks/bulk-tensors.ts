/** Rows that are sent as tensors, whose first dimension counts them. */
import { type InputProblem, InvalidInputError } from '../errors.js';
import { type BulkRows, checkCount, Stack, withPaths } from './bulk.js';
import type { NumericArray, TensorArray, TensorData } from './datatypes.js';
import { isNumeric, numericInputs } from './numeric.js';
import { oncePer } from './once-per.js';
import { Problems } from './problems.js';
import { readsBags } from './static-embedding.js';
import { checkInput, type Item, type ModelInput, type VersionSpec } from './tasks.js';
import type { TensorsItem } from './tensors.js';

export type GivenTensors = NonNullable<ModelInput['tensors']>;

/**
 * Problems with a tensor as a whole have paths as of a single input of tensors; the index of a bad value is that in the whole
 * tensor.
 *
 * @throws InvalidInputError if the tensors are not those of the version, or differ in their number of rows
 */
export function readTensors(tensors: GivenTensors, spec: VersionSpec, prefix: readonly string[]): BulkRows {
  const problems = new Problems(prefix);
  const { spec: open } = openSpecOf(spec);
  const message = 'rows of this model cannot be stacked: an input of its graph does not have one row for each answer';
  if (!open) problems.add([], 'WRONG_KIND', message, 'inputs');
  for (const [i, { shape }] of tensors.entries())
    if (!problems.isFull && shape.length > 0) checkCount(shape[0] as number, [String(i), 'shape', '0'], problems);
  problems.throwIfAny();
  try {
    return readWhole(checkInput(open as VersionSpec, { tensors }, []) as TensorsItem, spec);
  } catch (error) {
    if (!(error instanceof InvalidInputError)) throw error;
    const haveSameCount = new Set(tensors.map(({ shape: [count] }) => count)).size === 1;
    if (haveSameCount && error.problems.every(isOfValue)) return readOneByOne(tensors, spec, prefix);
    throw withPaths(error, ([, ...rest]) => [...prefix, ...rest]);
  }
}

/** Whether only the value of one row is not valid. */
function isOfValue({ path: [, , field, index], code }: InputProblem): boolean {
  return code !== 'WRONG_SHAPE' && index !== undefined && (field === 'data' || field === 'base64');
}

/** The spec as if it took any number of rows; null if an input does not begin with the row. */
const openSpecOf = oncePer((spec: VersionSpec): { readonly spec: VersionSpec | null } => {
  const begins = spec.inputs.every(({ shape: [first] }) => first === null || first === 1);
  if (!begins || spec.inputs.length === 0 || (spec.text && readsBags(spec.inputs))) return { spec: null };
  const inputs = spec.inputs.map((input) => ({ ...input, shape: [null, ...input.shape.slice(1)] }));
  return { spec: { ...spec, inputs, head: { kind: 'tensors' } } as unknown as VersionSpec };
});

function readWhole({ rows: count, work, tensors }: TensorsItem, spec: VersionSpec): BulkRows {
  const inputs = isNumeric(spec) ? numericInputs(spec) : null;
  const rowOf = (row: number) => tensors.map((tensor) => rowOfTensor(tensor, row));
  const input = (row: number): ModelInput => ({ tensors: rowOf(row).map(sentTensor) });
  const refused = new Map<number, InvalidInputError>();
  const workPerRow = Math.max(1, Math.ceil(work / count));
  if (inputs) {
    const values = inputs.map(({ name }) => tensors.find((tensor) => tensor.name === name)?.data as NumericArray);
    return { count, stack: new Stack(inputs, { most: count, workPerRow, values }), items: new Map(), refused, input };
  }
  const items = new Map<number, Item>();
  for (let row = 0; row < count; row++)
    items.set(row, { kind: 'tensors', rows: 1, work: workPerRow, preprocessingWork: 0, tensors: rowOf(row) });
  return { count, stack: null, items, refused, input };
}

/** Checks each row alone, because values of some are not valid. */
function readOneByOne(tensors: GivenTensors, spec: VersionSpec, prefix: readonly string[]): BulkRows {
  const count = tensors[0]?.shape[0] as number;
  const input = (row: number): ModelInput => ({ tensors: tensors.map((tensor) => rowOfGiven(tensor, row, count)) });
  const items = new Map<number, Item>();
  const refused = new Map<number, InvalidInputError>();
  for (let row = 0; row < count; row++) {
    try {
      items.set(row, checkInput(spec, input(row), []));
    } catch (error) {
      if (!(error instanceof InvalidInputError)) throw error;
      const pathOf = ([, i, field, index]: readonly string[]) => {
        const perRow = valuesPerRow((tensors[Number(i)] as GivenTensors[number]).shape);
        return [...prefix, i as string, field as string, String(row * perRow + Number(index))];
      };
      refused.set(row, withPaths(error, pathOf));
    }
  }
  return { count, stack: null, items, refused, input };
}

function valuesPerRow([, ...sizes]: readonly number[]): number {
  return sizes.reduce((product, size) => product * size, 1);
}

function rowOfTensor({ name, datatype, shape, data }: TensorData, row: number): TensorData {
  const perRow = valuesPerRow(shape);
  const values = data.slice(row * perRow, (row + 1) * perRow) as TensorArray;
  return { name, datatype, shape: [1, ...shape.slice(1)], data: values };
}

/** As a caller would send it. */
function sentTensor({ name, datatype, shape, data }: TensorData): GivenTensors[number] {
  if (Array.isArray(data)) return { name, datatype, shape, data };
  return { name, datatype, shape, base64: bytesOf(data).toString('base64') };
}

function bytesOf({ buffer, byteOffset, byteLength }: NumericArray): Buffer {
  return Buffer.from(buffer, byteOffset, byteLength);
}

function rowOfGiven({ name, datatype, shape, data, base64 }: GivenTensors[number], row: number, count: number) {
  const one = { name, datatype, shape: [1, ...shape.slice(1)] };
  if (base64 != null) {
    const bytes = Buffer.from(base64, 'base64');
    const perRow = bytes.length / count;
    return { ...one, base64: bytes.subarray(row * perRow, (row + 1) * perRow).toString('base64') };
  }
  const list = data as readonly unknown[];
  const perRow = list.length === count && list.some(Array.isArray) ? 1 : valuesPerRow(shape);
  return { ...one, data: list.slice(row * perRow, (row + 1) * perRow) };
}
