/** Assigns a class to a row of named columns or to a time series. */
import { defineTask, oneRow } from './define-task.js';
import { scoresHead } from './score-head.js';
import { classificationOutputs, postprocessScores } from './scores.js';
import { preprocessTabular, TABULAR_INPUTS, tabularExamples } from './tabular.js';

export const tabularClassification = defineTask({
  name: 'TABULAR_CLASSIFICATION',
  description: 'Assigns a class to a row of named columns or a time series.',
  reads: TABULAR_INPUTS,
  part: 'row',
  answers: ['classification'],
  hasLabels: true,
  head: scoresHead,
  outputs: classificationOutputs,
  examples: tabularExamples,
  preprocess: (item, spec) => oneRow(preprocessTabular(item, spec), (outputs) => postprocessScores(outputs, spec)),
  postprocess: postprocessScores,
});
