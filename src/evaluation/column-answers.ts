/** Answers that are a class or a number, as they come: columns of all rows of a piece. */
import { ManyPredictions } from '../prediction/many-predictions.js';
import { checkedJob, type Job } from '../prediction/new-prediction.js';
import { RowsRun } from '../prediction/rows-run.js';
import { readRows } from '../tasks/bulk-rows.js';
import { type Plan, truthOf } from './plan.js';
import {
  answerOfJob,
  callerOf,
  type FailedRow,
  type NumberedRow,
  optionsOf,
  PATH,
  type RunParts,
  type RunRows,
} from './row-answer.js';

const WANTED = { results: false, columns: { classScores: true, values: true, tensors: false } } as const;

type Columns = Awaited<NonNullable<ManyPredictions['columns']>>;

async function answersTo(parts: RunParts, rows: readonly NumberedRow[]): Promise<Columns> {
  const { engine, version, plan } = parts;
  const { spec } = version.engineVersion;
  const answers = { labels: spec.labels, isRecorded: false, maxBytes: Number.POSITIVE_INFINITY };
  const many = new ManyPredictions(rows.length, WANTED, answers);
  const options = optionsOf(parts);
  const runOne = (i: number, job: () => Job) => {
    const run = async () => answerOfJob(parts, job());
    run().then(
      (answer) => many.settle(i, { answer, prediction: null }),
      (error) => many.settle(i, { error }),
    );
  };
  if (plan.columns !== null) {
    const columns = Object.fromEntries(plan.columns.map((name) => [name, rows.map(({ row }) => row[name] ?? null)]));
    const bulk = readRows({ columns }, spec, PATH);
    const recordAll = () => Promise.reject(new Error('answers of evaluations are not recorded. This is a bug.'));
    const request = { rows: bulk, options, caller: callerOf(parts), many, areObjectsWanted: false };
    new RowsRun({ engine, recordAll, runOne }, request).begin();
  } else
    for (const [i, { row, image }] of rows.entries())
      runOne(i, () => checkedJob({ ...options, input: plan.inputOf(row, image), path: PATH }));
  return many.columns as Promise<Columns>;
}

export class ColumnAnswers {
  readonly #plan: Plan;
  /** Of each score of the version: the class that it is about. Several if labels are there more than once. */
  readonly #classOf: Uint32Array;
  readonly #indexOf: ReadonlyMap<string, number>;
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
    this.#indexOf = new Map(plan.labels.map((label, i) => [label, i]));
    this.#classOf = Uint32Array.from(labels, (label) => this.#indexOf.get(label) as number);
  }

  /** Returns the rows that have to be run again. */
  async run(parts: RunParts, rows: readonly NumberedRow[]): Promise<NumberedRow[]> {
    const columns = await answersTo(parts, rows);
    parts.signal.throwIfAborted();
    return this.#add(rows, columns);
  }

  #add(rows: readonly NumberedRow[], columns: Columns): NumberedRow[] {
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
        const index = this.#indexOf.get(label);
        const { length } = this.#classOf;
        const own = scores?.slice(i * length, (i + 1) * length) ?? null;
        if (index === undefined)
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
    const truth = truthOf(this.#plan, one.row, this.#indexOf);
    if (predicted === undefined) this.#fail(one, 'the version gave an answer of another kind');
    else if (truth === null)
      this.#fail(one, `the value of the target "${this.#plan.target}" cannot be predicted by the version`);
    else this.#found.push({ row: one.number, truth, predicted, scores });
  }

  /**
   * In the order of the rows, whatever was run again. Classes that only the dataset has get the score 0, and those that the
   * version has more than once the sum of their scores.
   */
  result(): RunRows {
    const found = this.#found.sort((a, b) => a.row - b.row);
    const width = this.#plan.labels.length;
    const hasScores = width > 0 && found.length > 0 && found.every(({ scores }) => scores !== null);
    const scores = hasScores ? new Float64Array(found.length * width) : null;
    for (const [i, one] of found.entries()) if (scores && one.scores) this.#addScores(one.scores, scores, i * width);
    const answers = {
      rows: Uint32Array.from(found, ({ row }) => row),
      truth: Float64Array.from(found, ({ truth }) => truth),
      predicted: Float64Array.from(found, ({ predicted }) => predicted),
      scores,
      items: null,
    };
    return { answers, failed: this.#failed.sort((a, b) => a.row - b.row) };
  }

  #addScores(own: Float64Array, scores: Float64Array, at: number): void {
    for (let k = 0; k < own.length; k++) {
      const place = at + (this.#classOf[k] as number);
      scores[place] = (scores[place] as number) + (own[k] as number);
    }
  }
}
