/** The metric that versions of a task are ranked by, if none is named. */
import type { Answer } from '../tasks/answer.js';
import { type TaskName, taskNamed } from '../tasks/tasks.js';

const BY_ANSWER: Readonly<Record<Answer['kind'], string>> = {
  classification: 'accuracy',
  multiClassification: 'subset_accuracy',
  regression: 'mae',
  values: 'mae',
  embedding: 'spearman_correlation',
  similarities: 'spearman_correlation',
  ranking: 'ndcg_at_10',
  detections: 'map',
  masks: 'mean_iou',
  tokens: 'f1',
  answer: 'f1',
  fillings: 'accuracy',
  text: 'cer',
  tensors: 'accuracy',
};

export function usualMetric(task: TaskName): string {
  return BY_ANSWER[taskNamed(task).answers[0] as Answer['kind']];
}
