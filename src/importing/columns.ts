/**
 * The columns of a row: those of `model.yaml`, or the graph's own inputs where each takes one column; and whether they can
 * feed the graph.
 */

import { ManifestError } from '../errors.js';
import { DATATYPES } from '../tasks/datatypes.js';
import type { ColumnSpec, ColumnType, TensorSpec } from '../tasks/spec.js';
import { shapeText } from '../tasks/tensors.js';
import type { ModelYaml } from './manifest.js';

/** @throws ManifestError when they cannot feed the graph */
export function columnsOf({ columns }: Pick<ModelYaml, 'columns'>, inputs: readonly TensorSpec[]): ColumnSpec[] {
  const named = columns.map((column) => ({ ...column, input: column.input ?? inputOf(column.name, inputs) }));
  const found = named.length > 0 ? named : inputs.map(columnOfInput).filter((column) => column !== null);
  checkColumns({ columns: found, inputs });
  return found;
}

/** A graph with one input takes all columns there; one with several takes each under its own name. */
function inputOf(column: string, inputs: readonly TensorSpec[]): string {
  return inputs.length === 1 ? (inputs[0] as TensorSpec).name : column;
}

/** Exporters of whole pipelines give each column an input of its own, [any, 1], with its name. */
function columnOfInput({ name, datatype, shape }: TensorSpec): ColumnSpec | null {
  if (shape.length > 2 || (shape.length === 2 && shape[1] !== 1)) return null;
  const { type, example } = columnType(datatype);
  const empty = { description: null, unit: null, minimum: null, maximum: null, categories: [] };
  // A number that is left out is NaN, and whether the graph can fill that only its owner knows.
  return { name, type, ...empty, required: true, example, input: name, missing: '' };
}

function columnType(datatype: string): { type: ColumnType; example: unknown } {
  if (datatype === 'BYTES') return { type: 'TEXT', example: 'a' };
  if (datatype === 'BOOL') return { type: 'BOOLEAN', example: true };
  return DATATYPES[datatype]?.range ? { type: 'INTEGER', example: 1 } : { type: 'NUMBER', example: 1 };
}

function checkColumns({ columns, inputs }: { columns: readonly ColumnSpec[]; inputs: readonly TensorSpec[] }): void {
  if (columns.length === 0) {
    const width = inputs.length === 1 ? (inputs[0] as TensorSpec).shape[1] : null;
    const each = width ? `each of the ${width} features` : 'each feature';
    throw new ManifestError(`model.yaml: columns is missing: one { name, type } for ${each}, in order`);
  }
  const twice = firstDuplicate(columns.map(({ name }) => name));
  if (twice !== undefined) throw new ManifestError(`model.yaml: column "${twice}" is there twice`);
  const names = inputs.map(({ name }) => name);
  const astray = columns.find(({ input }) => !names.includes(input));
  if (astray) {
    throw new ManifestError(
      `model.yaml: column "${astray.name}" feeds the input "${astray.input}"; the graph's inputs are ${names.join(', ')}`,
    );
  }
  for (const input of inputs)
    checkFeeds(
      input,
      columns.filter((column) => column.input === input.name),
    );
}

function checkFeeds(input: TensorSpec, columns: readonly ColumnSpec[]): void {
  const shape = `input "${input.name}" has shape ${shapeText(input.shape)}`;
  const width = input.shape.length === 1 ? 1 : input.shape.at(-1);
  if (input.shape.length > 2) throw new ManifestError(`${shape}; rows feed [any] or [any, columns]`);
  if (width !== null && width !== columns.length)
    throw new ManifestError(`model.yaml: ${columns.length} columns, but ${shape}`);
  const wrong = columns.find((column) => !canFeed(column, input.datatype));
  if (!wrong) return;
  const optional = isString(wrong) || wrong.required ? '' : ', and may be missing';
  throw new ManifestError(
    `model.yaml: column "${wrong.name}" is ${wrong.type}${optional}, but input "${input.name}" is ${input.datatype}`,
  );
}

/** Words into strings, numbers into numbers; what may be missing only where there is NaN. */
function canFeed(column: ColumnSpec, datatype: string): boolean {
  if (isString(column) || datatype === 'BYTES') return isString(column) && datatype === 'BYTES';
  const type = DATATYPES[datatype];
  if (datatype === 'BOOL') return column.type === 'BOOLEAN' && column.required;
  if (type?.range) return column.type !== 'NUMBER' && column.required;
  return type !== undefined && type.range === null;
}

function isString({ type }: ColumnSpec): boolean {
  return type === 'TEXT' || type === 'CATEGORY';
}

export function firstDuplicate(words: readonly string[]): string | undefined {
  return words.find((word, i) => words.indexOf(word) < i);
}
