/** Passes tensors to the graph and returns its outputs, for graphs without a described task. */
import { defineTask, oneRow } from './define-task.js';
import { postprocessTensors } from './tensor-outputs.js';
import { tensorExamples, tensorsInput } from './tensors.js';

export const tensor = defineTask({
  name: 'TENSOR',
  description: 'Takes tensors and returns tensors, for graphs whose meaning is not described.',
  reads: [tensorsInput],
  part: 'tensors',
  answers: ['tensors'],
  head: () => ({ kind: 'tensors' }) as const,
  outputs: () => null,
  examples: tensorExamples,
  preprocess: ({ tensors }) => oneRow(tensors, postprocessTensors),
  postprocess: postprocessTensors,
});
