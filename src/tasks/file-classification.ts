/** Assigns classes to a file by its bytes, such as its type. */
import { bytesExamples, bytesInput, preprocessBytes } from './bytes.js';
import { defineTask, oneRow } from './define-task.js';
import { scoresHead } from './score-head.js';
import { classificationOutputs, postprocessScores } from './scores.js';

export const fileClassification = defineTask({
  name: 'FILE_CLASSIFICATION',
  isOnHub: false,
  description: 'Assigns classes to a file by its bytes, such as its type.',
  reads: [bytesInput],
  part: 'bytes',
  answers: ['classification'],
  hasLabels: true,
  head: scoresHead,
  outputs: classificationOutputs,
  examples: bytesExamples,
  preprocess: (item, spec) => oneRow(preprocessBytes(item, spec), (outputs) => postprocessScores(outputs, spec)),
  postprocess: postprocessScores,
});
