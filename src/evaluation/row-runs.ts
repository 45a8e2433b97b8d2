/**
 * Runs rows of a dataset through the engine, at low priority, a few at a time: as many as one batch may have, so that an
 * evaluation takes one worker at most, and gives it back often.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { SYSTEM } from '../access/principal.js';
import { digestIn } from '../datasets/image-value.js';
import type { Engine } from '../engine/engine.js';
import type { CallerConnection } from '../engine/queue.js';
import { OverloadedError } from '../errors.js';
import { ManyPredictions } from '../prediction/many-predictions.js';
import { checkedJob, errorOf, type Job } from '../prediction/new-prediction.js';
import { RowsRun } from '../prediction/rows-run.js';
import type { Resolved } from '../serving/serving.js';
import type { BlobFolder } from '../storage/blobs.js';
import { readRows } from '../tasks/bulk-rows.js';
import type { ItemResult } from '../tasks/failures.js';
import type { Answers } from './answers-file.js';
import { type Plan, type Row, truthOf } from './plan.js';

/** A row that the version did not answer. */
export interface FailedRow {
  /** From 1. */
  readonly row: number;
  readonly message: string;
}

export interface RunRows {
  readonly answers: Answers;
  readonly failed: readonly FailedRow[];
}

interface Parts {
  readonly engine: Engine;
  readonly blobs: Pick<BlobFolder, 'get'>;
  readonly version: Resolved;
  readonly plan: Plan;
  readonly connection: CallerConnection;
  readonly signal: AbortSignal;
}

/** Of a batch. It is not run late, but again: others may have had their turn. */
const DEADLINE_MS = 60_000;
const WAIT_MS = 250;
/** For this long, a batch is tried again because the server is busy. */
const MAX_WAIT_MS = 10 * 60_000;
/** Texts and images are checked one by one on the event loop. */
const INPUTS_AT_ONCE = 32;
const ROWS_AT_ONCE = 500;
/** No more rows are read once they have as many bytes, with their images. */
const MAX_BYTES_AT_ONCE = 16 * 1024 ** 2;
const PATH = ['row'];
const WANTED = { results: false, columns: { classScores: true, values: true, tensors: false } } as const;

/** @throws OverloadedError if the server stays busy; what ends the job: NotReadyError, ShuttingDownError, … */
export async function runRows(parts: Parts, lines: readonly string[], firstRow: number): Promise<RunRows> {
  const collected = new Collected(parts.plan, parts.version.engineVersion.spec.labels);
  for (let at = 0; at < lines.length; ) {
    const rows = await nextRows(parts, lines.slice(at, at + rowsAtOnce(parts)), firstRow + at);
    await runBatch(parts, rows, collected);
    at += rows.length;
  }
  return collected.result();
}

function rowsAtOnce({ engine, version, plan }: Parts): number {
  if (plan.columns === null) return INPUTS_AT_ONCE;
  const { engineVersion } = version;
  return Math.min(ROWS_AT_ONCE, engine.rowsPerBlock(engineVersion, Math.max(1, engineVersion.spec.columns.length)));
}

interface NumberedRow {
  readonly number: number;
  readonly row: Row;
  /** The file, if the row names it by digest. */
  readonly image: Uint8Array | null;
}

/** The first of these rows, with the images that they name. */
async function nextRows({ plan, blobs }: Parts, lines: readonly string[], firstRow: number): Promise<NumberedRow[]> {
  const rows: NumberedRow[] = [];
  for (let bytes = 0; rows.length < lines.length && bytes < MAX_BYTES_AT_ONCE; ) {
    const line = lines[rows.length] as string;
    const row: Row = JSON.parse(line);
    const digest = plan.image === null ? null : digestIn(row[plan.image]);
    const image = digest === null ? null : await blobs.get(digest);
    bytes += line.length + (image?.length ?? 0);
    rows.push({ number: firstRow + rows.length, row, image });
  }
  return rows;
}

async function runBatch(parts: Parts, rows: readonly NumberedRow[], collected: Collected): Promise<void> {
  let pending = rows;
  for (const begun = performance.now(); pending.length > 0; ) {
    parts.signal.throwIfAborted();
    const columns = await answersTo(parts, pending);
    // What was aborted did not fail.
    parts.signal.throwIfAborted();
    const again = collected.add(pending, columns);
    if (again.length > 0 && performance.now() - begun > MAX_WAIT_MS)
      throw new OverloadedError(
        parts.version.engineVersion.ref,
        parts.engine.queueDepth,
        WAIT_MS,
        'rows of an evaluation have waited too long',
      );
    if (again.length > 0) await sleep(WAIT_MS, undefined, { signal: parts.signal });
    pending = again;
  }
}

type Columns = Awaited<NonNullable<ManyPredictions['columns']>>;

async function answersTo({ engine, version, plan, connection }: Parts, rows: readonly NumberedRow[]): Promise<Columns> {
  const { spec } = version.engineVersion;
  const answers = { labels: spec.labels, isRecorded: false, maxBytes: Number.POSITIVE_INFINITY };
  const many = new ManyPredictions(rows.length, WANTED, answers);
  const options = { version, deadlineMs: DEADLINE_MS, priority: 'LOW', record: false, subject: null } as const;
  const caller = { principal: SYSTEM, connection };
  const runOne = (i: number, job: () => Job) => {
    const run = async () => {
      const { item } = job();
      const outcome = await engine.run(version.engineVersion, item, { ...options, connection });
      const result = outcome.results[0] as ItemResult;
      if ('failure' in result) throw errorOf(result.failure, PATH);
      return result.answer;
    };
    run().then(
      (answer) => many.settle(i, { answer, prediction: null }),
      (error) => many.settle(i, { error }),
    );
  };
  if (plan.columns !== null) {
    const columns = Object.fromEntries(plan.columns.map((name) => [name, rows.map(({ row }) => row[name] ?? null)]));
    const bulk = readRows({ columns }, spec, PATH);
    const recordAll = () => Promise.reject(new Error('answers of evaluations are not recorded. This is a bug.'));
    new RowsRun({ engine, recordAll, runOne }, { rows: bulk, options, caller, many, areObjectsWanted: false }).begin();
  } else
    for (const [i, { row, image }] of rows.entries())
      runOne(i, () => checkedJob({ ...options, input: plan.inputOf(row, image), path: PATH }));
  return many.columns as Promise<Columns>;
}

/** Answers of one piece, as they come. */
class Collected {
  readonly #plan: Plan;
  readonly #classes: number;
  readonly #found: {
    readonly row: number;
    readonly truth: number;
    readonly predicted: number;
    readonly scores: Float64Array | null;
  }[] = [];
  readonly #failed: FailedRow[] = [];

  /** `labels`: of the version, which scores are of. */
  constructor(plan: Plan, labels: readonly string[]) {
    this.#plan = plan;
    this.#classes = labels.length;
  }

  /** Returns the rows that have to be run again. */
  add(rows: readonly NumberedRow[], columns: Columns): NumberedRow[] {
    const problems = new Map(columns.problems().map(({ row, problem }) => [row, problem]));
    const labels = columns.labels();
    const values = columns.values()?.value() as ArrayLike<number> | undefined;
    const scores = columns.classScores()?.value() as Float64Array | undefined;
    const again: NumberedRow[] = [];
    for (const [i, one] of rows.entries()) {
      const problem = problems.get(i);
      if (problem?.retryable) again.push(one);
      else if (problem) this.#fail(one, problem.message);
      else if (this.#plan.answers === 'regression') this.#take(one, values?.[i], null);
      else {
        const label = labels?.[i] ?? '';
        const index = this.#plan.labels.indexOf(label);
        const own = scores?.slice(i * this.#classes, (i + 1) * this.#classes) ?? null;
        if (index < 0)
          this.#fail(one, `the answer "${label.slice(0, 100)}" is neither a label of the version nor of the dataset`);
        else this.#take(one, index, own);
      }
    }
    return again;
  }

  #fail({ number: row }: NumberedRow, message: string): void {
    this.#failed.push({ row, message });
  }

  #take(one: NumberedRow, predicted: number | undefined, scores: Float64Array | null): void {
    const truth = truthOf(this.#plan, one.row);
    if (predicted === undefined) this.#fail(one, 'the version gave an answer of another kind');
    else if (truth === null)
      this.#fail(one, `the value of the target "${this.#plan.target}" cannot be predicted by the version`);
    else this.#found.push({ row: one.number, truth, predicted, scores });
  }

  /** In the order of the rows, whatever was run again. Classes that only the dataset has get the score 0. */
  result(): RunRows {
    const found = this.#found.sort((a, b) => a.row - b.row);
    const width = this.#plan.labels.length;
    const hasScores = width > 0 && found.length > 0 && found.every(({ scores }) => scores !== null);
    const scores = hasScores ? new Float64Array(found.length * width) : null;
    for (const [i, one] of found.entries()) if (scores && one.scores) scores.set(one.scores, i * width);
    const answers = {
      rows: Uint32Array.from(found, ({ row }) => row),
      truth: Float64Array.from(found, ({ truth }) => truth),
      predicted: Float64Array.from(found, ({ predicted }) => predicted),
      scores,
    };
    return { answers, failed: this.#failed.sort((a, b) => a.row - b.row) };
  }
}
