/** How large the outputs of a graph may be, before it runs: from the shapes of its outputs and the sizes of its inputs. */
import type { Answer } from '../tasks/answer.js';
import { DATATYPES } from '../tasks/datatypes.js';
import { targetsOf, taskNamed, type VersionSpec } from '../tasks/tasks.js';
import { MAX_OUTPUT_BYTES } from '../tasks/tensor-outputs.js';

/** A number with 9 significant digits as JSON, and the time to format it. */
export const BYTES_PER_NUMBER = 16;
/** Dimensions of an embedding that the graph does not state. */
const DEFAULT_OUTPUT_VALUES = 1_024;
/** Of a string. */
const BYTES_PER_STRING = 16;

/** What was sent for one input of tensors. */
interface SentTensors {
  /** Of all tensors. */
  readonly values: number;
  /** The largest size in any shape. */
  readonly largestSize: number;
}

/**
 * Bytes of the outputs that are returned for an input of tensors; at most those that are accepted from a graph.
 *
 * Each open dimension of an output may be as large as the largest one of the inputs. A described task takes one row, and
 * its outputs grow with the input.
 */
export function bytesOfOutputs(spec: VersionSpec, { values, largestSize }: SentTensors): number {
  const task = taskNamed(spec.task);
  const isReturned = !task.postprocess || spec.text !== null || spec.head.kind === 'tensors';
  if (!isReturned) return 0;
  const smallest = Math.max(1, Math.min(...spec.inputs.map(({ shape }) => knownValues(shape))));
  const linear = Math.max(1, values / smallest);
  const bytes = spec.outputs.reduce((sum, { shape, datatype }) => {
    const open = shape.filter((size) => size === null).length;
    const isLinear = open < 2 || spec.head.kind !== 'tensors';
    const openValues = open === 0 ? 1 : isLinear ? linear : largestSize ** open;
    return sum + knownValues(shape) * openValues * (DATATYPES[datatype]?.bytes ?? BYTES_PER_STRING);
  }, 0);
  return Math.min(bytes, MAX_OUTPUT_BYTES);
}

/** Values of an answer to an input that is not tensors: of an embedding, or of outputs that are returned as they are. */
export function valuesOfAnswer(spec: VersionSpec | null, tokens: number): number {
  if (!spec) return DEFAULT_OUTPUT_VALUES;
  const isListed = mayAnswer(spec, 'tensors');
  if (!isListed && !mayAnswer(spec, 'embedding')) return 0;
  return spec.outputs.reduce((sum, { shape }) => {
    // The first one is the row of the batch.
    const isOpen = shape.includes(null, 1);
    const isUnknown = !isListed && shape.at(-1) === null;
    return (
      sum + knownValues(shape) * (isUnknown ? DEFAULT_OUTPUT_VALUES : isListed && isOpen ? Math.max(1, tokens) : 1)
    );
  }, 0);
}

/** Of a detector that does not state how many boxes it returns. */
const DEFAULT_BOXES = 1_000;

/** Numbers that an answer is computed from. */
export interface Scores {
  /** Values of the graph's outputs that are read for each row, as far as their shapes state them. */
  readonly valuesRead: number;
  /** Scores of labels in an answer, which are sent to the server whether they are selected or not. */
  readonly scores: number;
}

export function scoresOf(spec: VersionSpec): Scores {
  const task = taskNamed(spec.task);
  const names = task.outputs(spec.head);
  const read = spec.outputs.filter(({ name }) => names?.includes(name) ?? true);
  const open = mayAnswer(spec, 'detections') ? DEFAULT_BOXES : 1;
  // The first of several dimensions is the row of the batch.
  const sizes = read.map(({ shape }) => (shape.length > 1 ? shape.slice(1) : shape));
  const valuesRead = sizes.reduce((sum, shape) => sum + knownValues(shape) * (shape.includes(null) ? open : 1), 0);
  if (mayAnswer(spec, 'fillings')) return { valuesRead, scores: spec.outputs[0]?.shape.at(-1) ?? 0 };
  const ofTargets = targetsOf(spec).reduce((sum, { labels }) => sum + labels.length, 0);
  return {
    valuesRead,
    scores: mayAnswer(spec, 'classification') ? Math.max(spec.labels.length, ofTargets) : ofTargets,
  };
}

export function mayAnswer(spec: VersionSpec | null, kind: Answer['kind']): boolean {
  return !spec || taskNamed(spec.task).answers.includes(kind);
}

export function knownValues(shape: readonly (number | null)[]): number {
  return shape.reduce<number>((product, size) => product * (size ?? 1), 1);
}
