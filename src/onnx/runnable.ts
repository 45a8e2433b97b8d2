/** The copy of a graph that runs: with tensors in place of the outputs that ONNX Runtime for Node cannot return. */
import { type TensorSequence, withoutSequences } from './sequences.js';
import { withoutZipMap, type ZipMap } from './zip-map.js';

interface RunnableGraph {
  readonly bytes: Uint8Array;
  readonly zipMap: ZipMap | null;
  readonly sequences: readonly TensorSequence[];
}

/** The same bytes if all outputs are tensors. @throws MalformedProtobufError */
export function runnableGraph(model: Uint8Array): RunnableGraph {
  const { bytes, sequences } = withoutSequences(model);
  return { ...withoutZipMap(bytes), sequences };
}
