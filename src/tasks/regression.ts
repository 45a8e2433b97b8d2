/**
 * From a graph's outputs to one number.
 */
import { outputNamed, type TensorData } from './datatypes.js';
import { type AnswerOf, UnusableOutput } from './input.js';
import type { Head } from './spec.js';

/** @throws UnusableOutput when there is not exactly one number, or it is not finite */
export function postprocessValue(
  outputs: readonly TensorData[],
  { output, unit }: Extract<Head, { kind: 'value' }>,
): AnswerOf<'regression'> {
  const data = outputNamed(outputs, output)?.data;
  if (data?.length !== 1) throw new UnusableOutput(`it gave ${data?.length ?? 0} numbers instead of one`);
  const number = Number(data[0]);
  if (!Number.isFinite(number)) throw new UnusableOutput(`it gave ${number}`);
  return { kind: 'regression', value: number, unit };
}
