/** Assigns a class to a row of named columns. */
import { defineTask, oneRow } from './define-task.js';
import { preprocessRow, rowExamples, rowInput } from './row.js';
import { onlyOutput, postprocessScores, scoresHead } from './scores.js';

export const tabularClassification = defineTask({
  name: 'TABULAR_CLASSIFICATION',
  description: 'Assigns a class to a row of named columns.',
  reads: [rowInput],
  part: 'row',
  answers: ['classification'],
  hasLabels: true,
  head: scoresHead,
  outputs: onlyOutput,
  examples: rowExamples,
  preprocess: (item, spec) => oneRow(preprocessRow(item, spec), (outputs) => postprocessScores(outputs, spec)),
  postprocess: postprocessScores,
});
