/** Passes tensors, or rows of columns, to the graph and returns its outputs, for graphs without a described task. */
import { defineTask, oneRow } from './define-task.js';
import { preprocessTabular, TABULAR_INPUTS, tabularExamples } from './tabular.js';
import { postprocessTensors } from './tensor-outputs.js';

export const tensor = defineTask({
  name: 'TENSOR',
  isOnHub: false,
  description:
    'Returns the outputs of the graph as tensors, for graphs whose meaning is not described. Takes tensors or, with columns, rows or time series.',
  reads: TABULAR_INPUTS,
  part: 'tensors',
  answers: ['tensors'],
  head: () => ({ kind: 'tensors' }) as const,
  outputs: () => null,
  examples: tabularExamples,
  preprocess: (item, spec) => oneRow(preprocessTabular(item, spec), postprocessTensors),
  postprocess: postprocessTensors,
  answersInServer: true,
});
