/** The answer of tensors: the outputs of the graph, unchanged. */
import type { AnswerOf } from './answer.js';
import type { TensorArray, TensorData } from './datatypes.js';
import { UnusableOutputError } from './failures.js';

/** Of all outputs for one input, in bytes. The server needs about ten times as much memory to record and return them. */
export const MAX_OUTPUT_BYTES = 16 * 1024 * 1024;

/**
 * Returns the outputs of the graph as they are. NaN and infinity are data here.
 *
 * @throws UnusableOutputError if the outputs are too large
 */
export function postprocessTensors(outputs: readonly TensorData[]): AnswerOf<'tensors'> {
  checkOutputBytes(outputs);
  return { kind: 'tensors', tensors: outputs };
}

/** @throws UnusableOutputError if the outputs for one input are too large */
export function checkOutputBytes(outputs: readonly Pick<TensorData, 'data'>[]): void {
  const bytes = bytesOfTensors(outputs);
  if (bytes > MAX_OUTPUT_BYTES)
    throw new UnusableOutputError(
      `the outputs have ${bytes} bytes; at most ${MAX_OUTPUT_BYTES} can be returned. Send fewer rows, or smaller ones`,
    );
}

export function bytesOfTensors(outputs: readonly Pick<TensorData, 'data'>[]): number {
  return outputs.reduce((sum, { data }) => sum + bytesOf(data), 0);
}

function bytesOf(data: TensorArray): number {
  return Array.isArray(data) ? data.reduce((sum, text) => sum + Buffer.byteLength(text), 0) : data.byteLength;
}
