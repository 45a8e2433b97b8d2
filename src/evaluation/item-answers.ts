/** Answers that are no class and no number, as they come: JSON of an item for each row. */
import { AppError } from '../errors.js';
import { problemOf } from '../graphql/problem.type.js';
import { type Answers, NO_NUMBERS } from './answers-file.js';
import type { ItemKind } from './evaluated-items.js';
import type { Plan } from './plan.js';
import { answerTo, type FailedRow, type NumberedRow, type RunParts, type RunRows } from './row-answer.js';
import { UnfitRowError } from './true-values.js';

export class ItemAnswers {
  readonly #plan: Plan;
  readonly #found: { readonly row: number; readonly line: string }[] = [];
  readonly #failed: FailedRow[] = [];

  constructor(plan: Plan) {
    this.#plan = plan;
  }

  /** Returns the rows that have to be run again. */
  async run(parts: RunParts, rows: readonly NumberedRow[]): Promise<NumberedRow[]> {
    const again = await Promise.all(rows.map((one) => this.#runOne(parts, one)));
    return rows.filter((_, i) => again[i]);
  }

  /** Returns whether it has to be run again. @throws what is no problem of the row */
  async #runOne(parts: RunParts, { number, row, image }: NumberedRow): Promise<boolean> {
    const { inputOf, itemOf } = this.#plan;
    try {
      const answer = await answerTo(parts, inputOf(row, image));
      this.#found.push({ row: number, line: JSON.stringify(itemOf?.(row, answer)) });
    } catch (error) {
      if (error instanceof AppError && error.retryable) return true;
      const isOfRow = error instanceof AppError || error instanceof UnfitRowError;
      if (!isOfRow) throw error;
      this.#failed.push({ row: number, message: error instanceof AppError ? problemOf(error).message : error.message });
    }
    return false;
  }

  /** In the order of the rows, whatever was run again. */
  result(): RunRows {
    const found = this.#found.sort((a, b) => a.row - b.row);
    const answers: Answers = {
      rows: Uint32Array.from(found, ({ row }) => row),
      ...NO_NUMBERS,
      items: { kind: this.#plan.answers as ItemKind, lines: found.map(({ line }) => line) },
    };
    return { answers, failed: this.#failed.sort((a, b) => a.row - b.row) };
  }
}
