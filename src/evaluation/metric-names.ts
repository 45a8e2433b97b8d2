/** How metrics are written for readers, and which of them are errors. */
import { readable } from '../catalog/readable.js';
import type { MetricIdentity } from '../statistics/metric-set.js';

/** Titles that the words of a name do not spell. */
const TITLES: Readonly<Record<string, string>> = {
  auc: 'AUC',
  average_precision: 'Average precision',
  average_precision_50: 'Average precision (IoU 0.5)',
  bleu: 'BLEU',
  brier_score: 'Brier score',
  cer: 'Character error rate',
  exact_match: 'Exact match',
  f1: 'F1',
  iou: 'IoU',
  log_loss: 'Log loss',
  mae: 'Mean absolute error',
  map: 'Mean average precision',
  map_50: 'Mean average precision (IoU 0.5)',
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
  spearman_correlation: 'Spearman correlation',
  wer: 'Word error rate',
};

/** Names that end in a number: `ndcg_at_10`, `pinball_loss_0.9`. */
const NUMBERED: readonly (readonly [RegExp, string])[] = [
  [/^ndcg_at_(\d+)$/, 'NDCG@$1'],
  [/^pinball_loss_(0\.\d+)$/, 'Pinball loss (quantile $1)'],
];

/** Metrics of which less is better. */
const ERRORS = new Set([
  'brier',
  'brier_score',
  'cer',
  'ece',
  'error_rate',
  'expected_calibration_error',
  'hamming_loss',
  'log_loss',
  'loss',
  'mae',
  'mape',
  'max_error',
  'mean_absolute_error',
  'mean_absolute_percentage_error',
  'mean_squared_error',
  'median_absolute_error',
  'mse',
  'perplexity',
  'rmse',
  'root_mean_squared_error',
  'wer',
]);

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
  const numbered = NUMBERED.find(([pattern]) => pattern.test(known));
  const title = numbered
    ? known.replace(...numbered)
    : Object.hasOwn(TITLES, known)
      ? (TITLES[known] as string)
      : readable(name);
  return average === null ? title : `${title} (${average})`;
}

/** In problems: "f1 (macro)", "recall of spam". */
export function describeMetric({ name, average, label }: Pick<MetricIdentity, 'name' | 'average' | 'label'>): string {
  return `${name}${average === null ? '' : ` (${average})`}${label === null ? '' : ` of ${label}`}`;
}

/** `target`: the unit of the number that is predicted. Ratios have none: cards state them as fractions or in percent. */
export function metricUnit(name: string, target: string | null): string | null {
  const known = name.toLowerCase();
  return IN_UNIT_OF_TARGET.has(known) || known.startsWith('pinball_loss') ? target : null;
}

/** Of a metric that a model card names. */
export function isHigherBetter(name: string): boolean {
  const known = name.toLowerCase();
  return !ERRORS.has(known) && !known.startsWith('pinball_loss');
}
