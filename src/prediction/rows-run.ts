/**
 * Runs rows that are sent together: those of numbers in blocks, all others as items. A block whose rows have to run one by one
 * has no results of its own: its rows become items.
 */
import type { Engine } from '../engine/engine.js';
import { SplitBlockError } from '../errors.js';
import { faultPoint } from '../fault-points.js'; // @fault
import type { Block } from '../tasks/block.js';
import type { BulkRows } from '../tasks/bulk.js';
import type { ItemResult } from '../tasks/failures.js';
import { checkInput } from '../tasks/tasks.js';
import { inTime } from './in-time.js';
import type { ManyPredictions } from './many-predictions.js';
import { type Caller, errorOf, type Job, predictionOf, type RequestOptions } from './new-prediction.js';
import type { NewPrediction } from './prediction.type.js';
import type { Recorded } from './recorder.js';

export const ROWS_PATH = ['input', 'rows'] as const;

/** Rows of one request, while they run. */
interface Bulk {
  readonly rows: BulkRows;
  readonly options: RequestOptions;
  readonly caller: Caller;
  readonly many: ManyPredictions;
  /** Whether a prediction is made of each answer, even if it is not recorded. */
  readonly areObjectsWanted: boolean;
}

interface Parts {
  readonly engine: Pick<Engine, 'run' | 'rowsPerBlock'>;
  /** Resolves when all of them are on disk, and rejects if none is. */
  readonly recordAll: (of: Recorded, predictions: readonly NewPrediction[]) => Promise<void>;
  /** Runs one item, and settles its input. `job` is called at once. */
  readonly runOne: (input: number, job: () => Job, caller: Caller, many: ManyPredictions) => void;
}

export class RowsRun {
  readonly #parts: Parts;
  readonly #bulk: Bulk;
  readonly #startedAt = performance.now();

  constructor(parts: Parts, bulk: Bulk) {
    this.#parts = parts;
    this.#bulk = bulk;
  }

  /** Begins to run all rows. Each is settled once. */
  begin(): void {
    const { rows, options, many } = this.#bulk;
    for (const [row, error] of rows.refused) many.settle(row, { error });
    for (const row of rows.items.keys()) this.#runItem(row);
    const { stack } = rows;
    if (!stack) return;
    const size = this.#parts.engine.rowsPerBlock(options.version.engineVersion, stack.workPerRow);
    for (let begin = 0; begin < stack.rows.length; begin += size) {
      const end = Math.min(begin + size, stack.rows.length);
      const ofBlock = stack.rows.slice(begin, end);
      this.#runBlock(ofBlock, stack.block(begin, end)).catch((error) => {
        for (const row of ofBlock) {
          if (error instanceof SplitBlockError) this.#runItem(row);
          else many.settle(row, { error });
        }
      });
    }
  }

  #runItem(row: number): void {
    const { rows, options, caller, many } = this.#bulk;
    const path = [...ROWS_PATH, String(row)];
    const startedAt = this.#startedAt;
    const job = (): Job => {
      const input = rows.input(row);
      const item = rows.items.get(row) ?? checkInput(options.version.engineVersion.spec, input, path);
      return { ...options, input, path, item, startedAt };
    };
    this.#parts.runOne(row, job, caller, many);
  }

  /** @throws if its rows have no results */
  async #runBlock(ofBlock: readonly number[], block: Block): Promise<void> {
    const { rows, options, caller, many, areObjectsWanted } = this.#bulk;
    const { version, deadlineMs, priority, record } = options;
    const { connection } = caller;
    const outcome = await this.#parts.engine.run(version.engineVersion, block, { deadlineMs, priority, connection });
    faultPoint('predict.answered'); // @fault
    const unrecorded = new Map<number, NewPrediction>();
    for (const [i, row] of ofBlock.entries()) {
      const result = outcome.results[i] as ItemResult;
      if ('failure' in result) many.settle(row, { error: errorOf(result.failure, [...ROWS_PATH, String(row)]) });
      else if (!record && !areObjectsWanted) many.settle(row, { answer: result.answer, prediction: null });
      else {
        const input = record ? rows.input(row) : null;
        const prediction = predictionOf({ ...options, input, startedAt: this.#startedAt }, result.answer, outcome);
        if (record) unrecorded.set(row, prediction);
        else many.settle(row, { answer: result.answer, prediction });
      }
    }
    if (unrecorded.size > 0) this.#record(unrecorded);
  }

  /** `byRow`: the predictions of a block, by the rows they are of. */
  #record(byRow: ReadonlyMap<number, NewPrediction>): void {
    const { options, caller, many } = this.#bulk;
    const limits = { startedAt: this.#startedAt, deadlineMs: options.deadlineMs };
    const of = { principal: caller.principal, subject: options.subject };
    inTime(this.#parts.recordAll(of, [...byRow.values()]), limits, 'record').then(
      () => {
        for (const [row, prediction] of byRow) many.settle(row, { answer: prediction.contents.answer, prediction });
      },
      (error) => {
        for (const row of byRow.keys()) many.settle(row, { error });
      },
    );
  }
}
