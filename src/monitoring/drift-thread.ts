/** Body of the thread that opens recent predictions and compares them with those of an evaluation: see `drifts.ts`. */
import { readFileSync } from 'node:fs';
import { parentPort, workerData } from 'node:worker_threads';
import { UnreadableRecordError } from '../errors.js';
import { decodeAnswers } from '../evaluation/answers-file.js';
import { decodeAnswer } from '../prediction/answer-json.js';
import { type StoredColumns, StoredRow } from '../prediction/sealed-contents.js';
import { Xoshiro128 } from '../statistics/random.js';
import { borrowedKeys, type LentKeys } from '../vault/lent-keys.js';
import { DriftSample, type Observation, type Watched } from './drift-sample.js';
import { type MeasuredDrift, measureDrift } from './measure-drift.js';

export interface DriftTask {
  readonly watched: readonly Watched[];
  /** What scores of the evaluation are of: see `Plan`. Empty for numbers. */
  readonly labels: readonly string[];
  /** What scores of predictions are of: the version may have a label several times. */
  readonly ownLabels: readonly string[];
  /** Some of those of the evaluation, in order; `answers` and `rows` are files. */
  readonly pieces: readonly {
    readonly firstRow: number;
    readonly rowCount: number;
    readonly answers: string;
    readonly rows: string;
  }[];
  /** Of the rows of these pieces. */
  readonly sampleSize: number;
  readonly seed: string;
}

export type DriftMessage =
  /** Answered with null when they are open. */
  | { readonly kind: 'predictions'; readonly rows: readonly StoredColumns[]; readonly keys: LentKeys }
  /** Answered with `Compared`. */
  | { readonly kind: 'compare' };

export interface ComparedSamples {
  readonly referenceRows: number;
  readonly recentPredictions: number;
  readonly measures: readonly MeasuredDrift[];
}

const port = parentPort;
if (!port) throw new Error('drift-thread.js runs as a worker thread only. This is a bug.');

const task = workerData as DriftTask;
const hasInputs = task.watched.some(({ subject }) => subject === 'INPUT');
const recent = new DriftSample(task.watched, task.ownLabels);
port.on('message', (message: DriftMessage) =>
  port.postMessage(message.kind === 'predictions' ? open(message.rows, message.keys) : compared()),
);

function compared(): ComparedSamples {
  const reference = referenceOf(task);
  const measures = measureDrift(task.watched, reference, recent);
  return { referenceRows: reference.count, recentPredictions: recent.count, measures };
}

/** Leaves out those that cannot be read. If their key was destroyed, they are about to be deleted. */
function open(rows: readonly StoredColumns[], lent: LentKeys): null {
  const keys = borrowedKeys(lent);
  for (const row of rows)
    try {
      recent.add(observed(row, new StoredRow(row, keys.get(row.data_key ?? 0))));
    } catch (error) {
      if (!(error instanceof UnreadableRecordError)) throw error;
    }
  return null;
}

/** @throws UnreadableRecordError */
function observed({ input_sha256 }: StoredColumns, stored: StoredRow): Observation {
  const answer = decodeAnswer(stored.answer());
  // Rows are too small for a blob.
  const input = hasInputs && input_sha256 === null ? JSON.parse(stored.input(null)) : null;
  const row = input?.row ?? null;
  if (answer.kind === 'classification') return { answer: answer.label, scores: answer.scores, row };
  return { answer: answer.kind === 'regression' ? answer.value : null, scores: null, row };
}

/** Each row of the pieces is as likely as the others; those without an answer are left out. */
function referenceOf({ watched, labels, pieces, sampleSize, seed }: DriftTask): DriftSample {
  const sample = new DriftSample(watched, labels);
  const random = Xoshiro128.seeded(seed);
  let left = pieces.reduce((sum, { rowCount }) => sum + rowCount, 0);
  let wanted = Math.min(sampleSize, left);
  for (const { firstRow, rowCount, answers: file, rows } of pieces) {
    const { rows: answered, predicted, scores } = decodeAnswers(readFileSync(file));
    const width = scores && answered.length > 0 ? scores.length / answered.length : 0;
    const lines = hasInputs ? readFileSync(rows, 'utf8').split('\n') : [];
    let at = 0;
    for (let i = 0; i < rowCount; i++) {
      const isWanted = random.uniform() * left-- < wanted;
      if (isWanted) wanted--;
      while (at < answered.length && (answered[at] as number) < firstRow + i) at++;
      if (!isWanted || answered[at] !== firstRow + i) continue;
      const value = predicted[at] as number;
      sample.add({
        answer: labels.length > 0 ? (labels[value] ?? null) : value,
        scores: scores?.subarray(at * width, (at + 1) * width) ?? null,
        row: hasInputs ? JSON.parse(lines[i] ?? 'null') : null,
      });
    }
  }
  return sample;
}
