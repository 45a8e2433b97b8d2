/** Body of the thread that compares answers of versions: see `comparisons.ts`. */
import { readFileSync } from 'node:fs';
import { parentPort, workerData } from 'node:worker_threads';
import { decodeAnswers, joinedAnswers } from './answers-file.js';
import {
  comparedMetrics,
  gainsOfMetrics,
  type MetricComparison,
  type MetricGain,
  type MetricKey,
  pairedAnswers,
  type VersionAnswers,
} from './paired.js';

/** Where the answers of a version are. */
export interface AnswerFiles {
  /** Null for numbers. */
  readonly labels: readonly string[] | null;
  /** In order. */
  readonly files: readonly string[];
}

export interface ComparingTask {
  readonly holder: AnswerFiles;
  /** `seed`: the same one gives the same numbers. `isSameGraph`: as that of the holder. */
  readonly candidates: readonly (AnswerFiles & { readonly seed: string; readonly isSameGraph: boolean })[];
  readonly metrics: readonly MetricKey[];
  /** Differences with two-sided intervals, or gains with one-sided lower bounds. */
  readonly kind: 'differences' | 'gains';
}

/** Of a candidate and the holder. */
export interface ComparedAnswers {
  /** Why they cannot be compared; null if they were. */
  readonly problem: string | null;
  readonly rows: number;
  readonly leftOut: number;
  readonly differences: readonly MetricComparison[];
  readonly gains: readonly MetricGain[];
}

function answersOf({ labels, files }: AnswerFiles): VersionAnswers {
  return { labels, answers: joinedAnswers(files.map((file) => decodeAnswers(readFileSync(file)))) };
}

const port = parentPort;
if (!port) throw new Error('comparing-thread.js runs as a worker thread only. This is a bug.');

const { holder, candidates, metrics, kind } = workerData as ComparingTask;
const held = answersOf(holder);

function compared(candidate: ComparingTask['candidates'][number]): ComparedAnswers {
  const paired = pairedAnswers({ candidate: answersOf(candidate), holder: held });
  if ('problem' in paired) return { ...paired, rows: 0, leftOut: 0, differences: [], gains: [] };
  const { rows, leftOut } = paired;
  const isGain = kind === 'gains';
  return {
    problem: null,
    rows,
    leftOut,
    differences: isGain ? [] : comparedMetrics(paired, metrics, candidate.seed),
    gains: isGain ? gainsOfMetrics(paired, metrics, candidate) : [],
  };
}

port.postMessage(candidates.map(compared));
