/** What is counted of inputs for their price, and how it is counted once. */
import { LongText } from '../graphql/cost.js';
import type { VersionSpec } from '../tasks/tasks.js';

/** A byte that is decoded and sent to a worker. */
export const POINTS_PER_BYTE = 1 / 65_536;

/** Sums over the parts of an input, or over inputs. */
export class Contents {
  /** Without those for the operations of the graph. */
  points = 0;
  bytes = 0;
  /** Of the graph. */
  operations = 0;
  characters = 0;
  tokens = 0;
  labels = 0;
  sentences = 0;
  documents = 0;
  /** Of the inputs, in the answers. */
  repeatedBytes = 0;
  /** Inputs of tensors. */
  tensors = 0;
  /** Of the outputs for inputs of tensors. */
  outputBytes = 0;

  add(other: Contents): void {
    this.points += other.points;
    this.bytes += other.bytes;
    this.operations += other.operations;
    this.characters += other.characters;
    this.tokens += other.tokens;
    this.labels += other.labels;
    this.sentences += other.sentences;
    this.documents += other.documents;
    this.repeatedBytes += other.repeatedBytes;
    this.tensors += other.tensors;
    this.outputBytes += other.outputBytes;
  }
}

export type Measure<T = Contents> = (value: unknown) => T;

/** Calls `measure` once for each object, list and long text of a variable. */
export function once<T>(measure: Measure<T>): Measure<T> {
  const known = new WeakMap<object, T>();
  return (value) => {
    if (typeof value !== 'object' || value === null) return measure(value);
    const measured = known.get(value) ?? measure(value);
    known.set(value, measured);
    return measured;
  };
}

interface JsonSize {
  /** Numbers, strings, lists and objects. */
  values: number;
  /** Of all strings and keys. */
  characters: number;
}

/** The sizes of lists and objects with more values than this are remembered, because they can be in many places. */
const REMEMBERED_VALUES = 100;
const jsonSizes = new WeakMap<object, JsonSize>();

/** Recurses only as deeply as a body or a document may be nested. */
export function sizeOfJson(value: unknown): Readonly<JsonSize> {
  const size = { values: 0, characters: 0 };
  addSize(value, size);
  return size;
}

function addSize(value: unknown, size: JsonSize): void {
  if (typeof value !== 'object' || value === null || value instanceof LongText) {
    size.values++;
    size.characters += lengthOf(value);
    return;
  }
  const known = jsonSizes.get(value);
  if (known) {
    size.values += known.values;
    size.characters += known.characters;
    return;
  }
  const { values, characters } = size;
  size.values++;
  if (Array.isArray(value)) for (const element of value) addSize(element, size);
  else {
    for (const key of Object.keys(value)) {
      size.characters += key.length;
      addSize((value as Readonly<Record<string, unknown>>)[key], size);
    }
  }
  const own = { values: size.values - values, characters: size.characters - characters };
  if (own.values > REMEMBERED_VALUES) jsonSizes.set(value, own);
}

/** Of the graph, for this many values of its inputs. */
export function operationsOf(spec: VersionSpec | null, valuesOfGraph: number): number {
  return valuesOfGraph * (spec?.operationsPerValue ?? 0);
}

export function recordOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>) : {};
}

/** GraphQL accepts one element in place of a list. */
export function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [value];
}

export function lengthOf(value: unknown): number {
  return typeof value === 'string' || value instanceof LongText ? value.length : 0;
}

/** The string, or the empty string if the value is none. */
export function stringOf(value: unknown): string {
  if (value instanceof LongText) return value.text;
  return typeof value === 'string' ? value : '';
}
