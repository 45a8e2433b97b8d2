/**
 * A version as a model card of the Hugging Face Hub: front matter with `model-index`, and the Markdown of the model's card.
 * https://huggingface.co/docs/hub/model-cards
 */
import { stringify } from 'yaml';
import type { Dataset } from '../catalog/dataset.type.js';
import type { Model } from '../catalog/model.type.js';
import { type TaskName, taskNamed } from '../tasks/tasks.js';
import type { Evaluation, Metric } from './evaluation.type.js';
import { metricTitle } from './metric-names.js';

/** The metrics of a version on one dataset. */
export interface CardResult {
  readonly evaluation: Evaluation;
  readonly dataset: Dataset;
  readonly metrics: readonly Metric[];
}

/** `results`: at most one for each dataset. Metrics without a value are left out, because the Hub has none for them. */
export function modelCardOf(
  model: Model,
  markdown: string,
  trainedOn: readonly Dataset[],
  results: readonly CardResult[],
): string {
  const tag = tagOf(model.task);
  const front = {
    ...(model.license !== null && { license: model.license }),
    ...(tag !== null && { pipeline_tag: tag }),
    ...(model.tags.length > 0 && { tags: model.tags }),
    ...(trainedOn.length > 0 && { datasets: trainedOn.map(({ name }) => name) }),
    ...(results.length > 0 && {
      'model-index': [{ name: model.name, results: results.map((result) => resultOf(model, result)) }],
    }),
  };
  const matter = Object.keys(front).length === 0 ? '' : `---\n${stringify(front, { lineWidth: 0 })}---\n\n`;
  return `${matter}${markdown}\n`;
}

function tagOf(task: TaskName): string | null {
  return taskNamed(task).isOnHub === false ? null : task.toLowerCase().replaceAll('_', '-');
}

function resultOf({ task }: Model, { evaluation, dataset, metrics }: CardResult): object {
  return {
    task: { type: tagOf(task) ?? 'other' },
    dataset: {
      type: dataset.name,
      name: dataset.title,
      ...(dataset.split !== null && { split: dataset.split }),
      ...(dataset.sha256 !== null && { revision: dataset.sha256 }),
    },
    metrics: metrics.filter(({ value }) => value !== null).map((metric) => metricOf(metric, evaluation)),
  };
}

/** Only the Hub sets `verified`. The format has no field for intervals, so they are `args`. */
function metricOf({ name, average, label, value, interval }: Metric, { origin, evaluatedRows }: Evaluation): object {
  const isComputed = origin === 'COMPUTED';
  const args = {
    ...(average !== null && { average }),
    ...(label !== null && { label }),
    ...(isComputed && evaluatedRows !== null && { rows: evaluatedRows }),
    ...(interval && {
      interval: { low: interval.low, high: interval.high, level: interval.level, method: interval.method },
    }),
  };
  return {
    type: name,
    value,
    name: label === null ? metricTitle(name, average) : `${metricTitle(name, average)} of ${label}`,
    ...(Object.keys(args).length > 0 && { args }),
  };
}
