/** How metrics are written for readers. */
import { readable } from '../catalog/readable.js';

/** Titles that the words of a name do not spell. */
const TITLES: Readonly<Record<string, string>> = {
  auc: 'AUC',
  average_precision: 'Average precision',
  bleu: 'BLEU',
  brier_score: 'Brier score',
  cer: 'Character error rate',
  f1: 'F1',
  iou: 'IoU',
  log_loss: 'Log loss',
  mae: 'Mean absolute error',
  map: 'Mean average precision',
  mape: 'Mean absolute percentage error',
  matthews_correlation: 'Matthews correlation',
  mcc: 'Matthews correlation',
  mean_iou: 'Mean IoU',
  mse: 'Mean squared error',
  pr_auc: 'Area under the PR curve',
  r2: 'R²',
  rmse: 'Root mean squared error',
  roc_auc: 'Area under the ROC curve',
  rouge: 'ROUGE',
  wer: 'Word error rate',
};

/** Metrics in the unit of the number that is predicted. */
const IN_UNIT_OF_TARGET = new Set([
  'mae',
  'max_error',
  'mean_absolute_error',
  'median_absolute_error',
  'rmse',
  'root_mean_squared_error',
]);

export function metricTitle(name: string, average: string | null): string {
  const known = name.toLowerCase();
  const title = Object.hasOwn(TITLES, known) ? (TITLES[known] as string) : readable(name);
  return average === null ? title : `${title} (${average})`;
}

/** `target`: the unit of the number that is predicted. Ratios have none: cards state them as fractions or in percent. */
export function metricUnit(name: string, target: string | null): string | null {
  return IN_UNIT_OF_TARGET.has(name.toLowerCase()) ? target : null;
}
