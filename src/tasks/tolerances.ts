/**
 * How much the answers to one input may differ between runs of the same graph. Kernels add in a different order for a
 * different batch size, number of threads or device. Differences are absolute for values up to 1, and relative above.
 */
import type { InputKind } from './tasks.js';

/** Of graphs for rows of a table, which are shallow. */
const ROW_TOLERANCE = 2e-6;
/** Of deep networks, in which rounding differences accumulate over many layers. */
export const DEEP_TOLERANCE = 1e-4;

export function toleranceOf(inputKind: InputKind): number {
  return inputKind === 'ROW' ? ROW_TOLERANCE : DEEP_TOLERANCE;
}
