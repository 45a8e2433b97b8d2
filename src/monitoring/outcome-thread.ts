/** Body of the thread that opens and measures outcomes: see `live.ts`. */
import { parentPort, workerData } from 'node:worker_threads';
import { type MeasuredMetric, measure } from '../evaluation/measure.js';
import type { OutcomeRow } from '../prediction/outcome.queries.js';
import { openOutcome } from '../prediction/sealed-outcome.js';
import { borrowedKeys, type LentKeys } from '../vault/lent-keys.js';
import type { Comparable } from './comparable.js';
import { OutcomeData } from './outcome-data.js';

export type OutcomeMessage =
  /** Answered with null when they are open. */
  | { readonly kind: 'outcomes'; readonly rows: readonly OutcomeRow[]; readonly keys: LentKeys }
  /** Answered with `MeasuredOutcomes`. */
  | { readonly kind: 'measure'; readonly seed: string };

export interface MeasuredOutcomes {
  readonly outcomes: number;
  readonly metrics: readonly MeasuredMetric[];
}

/** Of versions with more labels, only metrics over all classes are measured. */
const MAX_MEASURED_CLASSES = 100;
/** Items in all resamples together, each as often as there are classes: some seconds. */
const MAX_RESAMPLED = 40_000_000;

const port = parentPort;
if (!port) throw new Error('outcome-thread.js runs as a worker thread only. This is a bug.');

const data = new OutcomeData(workerData as Comparable);
port.on('message', (message: OutcomeMessage) => port.postMessage(answer(message)));

function answer(message: OutcomeMessage): null | MeasuredOutcomes {
  if (message.kind === 'outcomes') return open(message.rows, message.keys);
  const toMeasure = data.toMeasure();
  const hasManyClasses = (toMeasure.labels?.length ?? 0) > MAX_MEASURED_CLASSES;
  const options = { ...toMeasure, seed: message.seed, maxResampled: MAX_RESAMPLED };
  return { outcomes: data.count, metrics: measure(options, ({ label }) => label === null || !hasManyClasses) };
}

/** Leaves out those whose key was destroyed: they are about to be deleted. */
function open(rows: readonly OutcomeRow[], lent: LentKeys): null {
  const keys = borrowedKeys(lent);
  for (const { prediction_id: id, principal_id, data_key, sealed } of rows) {
    const key = keys.get(data_key);
    const contents = key && openOutcome(key, { id, principal_id }, sealed);
    if (contents) data.add(contents);
  }
  return null;
}
