/**
 * From a graph's outputs to one number.
 */
import { UnusableOutput } from './classification.js';
import type { TensorData } from './datatypes.js';
import type { Answer } from './input.js';
import type { VersionSpec } from './spec.js';

/** @throws UnusableOutput when there is not exactly one number, or it is not finite */
export function finishRegression(outputs: readonly TensorData[], { value }: VersionSpec): Answer {
  const data = outputs.find(({ name }) => name === value?.output)?.data;
  if (data?.length !== 1) throw new UnusableOutput(`it gave ${data?.length ?? 0} numbers instead of one`);
  const number = Number(data[0]);
  if (!Number.isFinite(number)) throw new UnusableOutput(`it gave ${number}`);
  return { kind: 'regression', value: number, unit: value?.unit ?? null };
}
