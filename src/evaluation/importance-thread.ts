/**
 * Body of the thread that shuffles columns and measures what that does: see `importance-run.ts`. It holds the columns that the version
 * reads, and the targets. It asks for the answers to rows, and says what was found of each column as soon as it is complete.
 */
import { readFileSync } from 'node:fs';
import { parentPort, workerData } from 'node:worker_threads';
import type { Asked } from '../compute-in-thread.js';
import type { MetricIdentity } from '../statistics/metric-set.js';
import { importanceOf } from '../statistics/permutation.js';
import { Xoshiro128 } from '../statistics/random.js';
import { type Answers, decodeAnswers, joinedAnswers } from './answers-file.js';
import type { ColumnImportance } from './importance.js';
import { measurableOf } from './measure.js';
import type { MeasuringTask } from './measuring-thread.js';
import { isSameMetric } from './paired.js';
import type { Row } from './plan.js';
import type { RunRows } from './row-answer.js';

export interface ImportanceTask extends Pick<MeasuringTask, 'labels' | 'seed' | 'pieces'> {
  readonly metric: MetricIdentity;
  readonly repeats: number;
  /** All columns that the version reads. */
  readonly columns: readonly string[];
  readonly targets: readonly string[];
  /** Of the first column that has to be measured. */
  readonly from: number;
}

/** What a row is, as a line of JSON, which the version has to answer. The answer is `RunRows`. */
export interface RowsQuestion {
  readonly lines: readonly string[];
}

/** What was found. The answer is whether the next column is to be measured now. */
export interface FoundQuestion {
  readonly column: string;
  readonly index: number;
  readonly found: ColumnImportance;
}

export type ImportanceQuestion = RowsQuestion | FoundQuestion;

export interface ImportanceReply {
  /** Whether all columns have been measured. */
  readonly isComplete: boolean;
}

/** Rows of a question, and about how many characters they may have. */
const ROWS_AT_ONCE = 2_000;
const CHARACTERS_AT_ONCE = 500_000;

const port = parentPort;
if (!port) throw new Error('importance-thread.js runs as a worker thread only. This is a bug.');

function ask<Answer>(question: ImportanceQuestion): Promise<Answer> {
  const { promise, resolve } = Promise.withResolvers<Answer>();
  port?.once('message', resolve);
  port?.postMessage({ question } satisfies Asked<ImportanceQuestion>);
  return promise;
}

const task = workerData as ImportanceTask;
const answers = joinedAnswers(task.pieces.map((piece) => decodeAnswers(readFileSync(piece.answers))));
const count = answers.rows.length;

/** The values of each column in the rows that were answered. */
function valuesByColumn(): Map<string, unknown[]> {
  const names = [...task.columns, ...task.targets];
  const values = new Map(names.map((name) => [name, [] as unknown[]]));
  let item = 0;
  for (const { rows, firstRow } of task.pieces) {
    const lines = readFileSync(rows, 'utf8').split('\n');
    for (; item < count; item++) {
      const line = lines[(answers.rows[item] as number) - firstRow];
      if (!line) break;
      const row: Row = JSON.parse(line);
      for (const [name, column] of values) column.push(row[name] ?? null);
    }
  }
  return values;
}

function measured(of: Answers) {
  const { set } = measurableOf(task.labels, of);
  const [metric] = set.measure(undefined, (one) => isSameMetric(one, task.metric));
  return metric ?? { value: null, undefinedReason: 'The metric is undefined.' };
}

const columns = valuesByColumn();
const baseline = measured(answers);

/** The answers to the rows with the values of one column in another order, or why there are none. */
async function answersTo(shuffled: string, order: Uint32Array): Promise<Answers | string> {
  const pieces: Answers[] = [];
  for (let at = 0; at < count; ) {
    const lines: string[] = [];
    for (let characters = 0; at < count && lines.length < ROWS_AT_ONCE && characters < CHARACTERS_AT_ONCE; at++) {
      const cellOf = ([name, values]: [string, unknown[]]) => [
        name,
        values[name === shuffled ? (order[at] as number) : at],
      ];
      const line = JSON.stringify(Object.fromEntries(Array.from(columns, cellOf)));
      characters += line.length;
      lines.push(line);
    }
    const { answers: piece, failed } = await ask<RunRows>({ lines });
    const [first] = failed;
    if (first) return `With shuffled values, the version did not answer each row: ${first.message}`;
    pieces.push(piece);
  }
  return joinedAnswers(pieces);
}

function undefinedFor(undefinedReason: string): ColumnImportance {
  return { mean: null, standardDeviation: null, permuted: null, undefinedReason };
}

async function importanceOfColumn(column: string): Promise<ColumnImportance> {
  if (baseline.value === null) return undefinedFor(baseline.undefinedReason ?? '');
  const permuted: number[] = [];
  for (let repeat = 1; repeat <= task.repeats; repeat++) {
    const order = Xoshiro128.seeded(`${task.seed} importance ${repeat} ${column}`).permutation(count);
    const found = await answersTo(column, order);
    if (typeof found === 'string') return undefinedFor(found);
    const { value, undefinedReason } = measured(found);
    if (value === null) return undefinedFor(undefinedReason ?? '');
    permuted.push(value);
  }
  const importance = importanceOf(baseline.value, permuted, task.metric.higherIsBetter);
  return { ...importance, permuted, undefinedReason: null };
}

let isWanted = true;
for (let index = task.from; isWanted && index < task.columns.length; index++) {
  const column = task.columns[index] as string;
  isWanted = await ask<boolean>({ column, index, found: await importanceOfColumn(column) });
}
port.postMessage({ isComplete: isWanted } satisfies ImportanceReply);
