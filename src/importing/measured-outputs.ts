/**
 * The sizes of a graph's outputs, measured in a run. Exporters declare some of them wrongly: skl2onnx says [N, 1] for a
 * forest that predicts three numbers, and [N] for the labels of a multi-label classifier.
 */
import type { Answer } from '../tasks/answer.js';
import type { TensorData } from '../tasks/datatypes.js';
import type { TensorSpec } from '../tasks/spec.js';

/** The outputs with the sizes that they have in the answer to one row. Outputs that it lacks stay as declared. */
export function measuredOutputs(outputs: readonly TensorSpec[], answer: Answer): readonly TensorSpec[] {
  if (answer.kind !== 'tensors') return outputs;
  return outputs.map((output) => {
    const measured = answer.tensors.find(({ name }) => name === output.name);
    return measured ? { ...output, shape: measuredShape(output, measured) } : output;
  });
}

/** The first dimension is the row, unless the graph declares another size or returns more than one. */
function measuredShape({ shape: declared }: TensorSpec, { shape: measured }: TensorData): readonly (number | null)[] {
  const hasRank = declared.length === measured.length;
  return measured.map((size, i) => {
    if (i === 0) return size === 1 && (!hasRank || declared[0] === null) ? null : size;
    // The steps of a series, for example, differ between inputs.
    return hasRank && declared[i] === null && measured.length > 2 ? null : size;
  });
}
