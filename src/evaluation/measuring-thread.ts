/** Body of the thread that makes metrics of the answers to a dataset: see `measuring.ts`. */
import { readFileSync } from 'node:fs';
import { parentPort, workerData } from 'node:worker_threads';
import { type Answers, decodeAnswers, joinedAnswers } from './answers-file.js';
import { BY_TARGET } from './evaluated-items.js';
import { MAX_RESAMPLED, type MeasuredMetric, measure, type NewPart, partsOf } from './measure.js';
import type { Row } from './plan.js';
import { answersAt, type MeasuredSlice, type Slice, SliceMembers } from './slices.js';

export interface MeasuringTask {
  readonly labels: readonly string[] | null;
  readonly seed: string;
  readonly slices: readonly Slice[];
  /** Files of each piece: its answers, and its rows as lines of JSON. */
  readonly pieces: readonly { readonly answers: string; readonly rows: string; readonly firstRow: number }[];
}

export interface MeasuringReply {
  readonly metrics: readonly MeasuredMetric[];
  readonly parts: readonly NewPart[];
}

function slicesOf({ slices, pieces, labels, seed }: MeasuringTask, answers: Answers): NewPart[] {
  const areOfTargets = BY_TARGET.has(answers.items?.kind ?? '');
  const members = slices.map((slice) => new SliceMembers(slice));
  let item = 0;
  for (const { rows, firstRow } of slices.length > 0 ? pieces : []) {
    const lines = readFileSync(rows, 'utf8').split('\n');
    for (; item < answers.rows.length; item++) {
      const line = lines[(answers.rows[item] as number) - firstRow];
      if (!line) break;
      const row: Row = JSON.parse(line);
      for (const one of members) one.add(item, row);
    }
  }
  return members
    .flatMap((one) => one.result())
    .map(({ items, ...slice }): NewPart => {
      const own = { answers: answersAt(answers, items), seed: `${seed} ${JSON.stringify(slice)}` };
      const of = { labels, ...own, maxResampled: MAX_RESAMPLED / slices.length };
      const metrics = measure(of, ({ label }) => label === null || areOfTargets);
      const measured: MeasuredSlice = { ...slice, rows: items.length, metrics };
      return { kind: 'SLICE', label: null, content: JSON.stringify(measured) };
    });
}

const port = parentPort;
if (!port) throw new Error('measuring-thread.js runs as a worker thread only. This is a bug.');

const task = workerData as MeasuringTask;
const answers = joinedAnswers(task.pieces.map((piece) => decodeAnswers(readFileSync(piece.answers))));
const of = { labels: task.labels, answers, seed: task.seed };
port.postMessage({
  metrics: measure(of),
  parts: [...partsOf(of), ...slicesOf(task, answers)],
} satisfies MeasuringReply);
