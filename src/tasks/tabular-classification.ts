/** Assigns a class, or one class for each of several targets, to a row of named columns or to a time series. */
import type { AnswerOf } from './answer.js';
import type { TensorData } from './datatypes.js';
import { defineTask, oneRow } from './define-task.js';
import {
  classTargets,
  outputsOfTargets,
  postprocessTargets,
  type TargetsHead,
  targetsHead,
} from './multi-classification.js';
import { scoresHead } from './score-head.js';
import { classificationOutputs, postprocessScores, type ScoresHead } from './scores.js';
import type { TaskSources } from './sources.js';
import { preprocessTabular, TABULAR_INPUTS, tabularExamples } from './tabular.js';

export const tabularClassification = defineTask({
  name: 'TABULAR_CLASSIFICATION',
  description: 'Assigns one or several classes to a row of named columns or a time series.',
  reads: TABULAR_INPUTS,
  part: 'row',
  answers: ['classification', 'multiClassification'],
  hasLabels: true,
  head: (sources: TaskSources): ScoresHead | TargetsHead => targetsHead(sources) ?? scoresHead(sources),
  outputs: (head) => (head.kind === 'targets' ? outputsOfTargets(head) : classificationOutputs(head)),
  targets: (head) => (head.kind === 'targets' ? classTargets(head) : []),
  answerKind: ({ kind }) => (kind === 'targets' ? 'multiClassification' : 'classification'),
  examples: tabularExamples,
  preprocess: (item, spec) => oneRow(preprocessTabular(item, spec), (outputs) => postprocessClasses(outputs, spec)),
  postprocess: postprocessClasses,
  answersInServer: true,
});

function postprocessClasses(
  outputs: readonly TensorData[],
  { head, labels }: { readonly head: ScoresHead | TargetsHead; readonly labels: readonly string[] },
): AnswerOf<'classification'> | AnswerOf<'multiClassification'> {
  return head.kind === 'targets' ? postprocessTargets(outputs, head) : postprocessScores(outputs, { head, labels });
}
