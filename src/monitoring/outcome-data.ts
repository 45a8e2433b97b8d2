/** Collects outcomes into arrays that are measured as the answers of an evaluation are. */
import type { ToMeasure } from '../evaluation/measure.js';
import { type OutcomeContents, unpackScores } from '../prediction/sealed-outcome.js';
import type { Comparable } from './comparable.js';

export class OutcomeData {
  /** Each once. */
  readonly #labels: readonly string[] | null;
  /** Of each score, the index of its label: a version may have a label more than once. */
  readonly #classOf: readonly number[];
  readonly #indexOf: ReadonlyMap<string, number>;
  readonly #truth: number[] = [];
  readonly #predicted: number[] = [];
  /** Of one outcome after the other; null once one has none. */
  #scores: Float64Array[] | null;

  constructor({ labels }: Comparable) {
    this.#labels = labels && [...new Set(labels)];
    this.#indexOf = new Map((this.#labels ?? []).map((label, i) => [label, i]));
    this.#classOf = (labels ?? []).map((label) => this.#indexOf.get(label) as number);
    this.#scores = labels ? [] : null;
  }

  get count(): number {
    return this.#truth.length;
  }

  add({ truth, predicted, scores }: OutcomeContents): void {
    const [is, said] = [this.#numberOf(truth), this.#numberOf(predicted)];
    if (is === undefined || said === undefined) return;
    const unpacked = this.#scores && scores !== null ? unpackScores(scores) : null;
    if (unpacked?.length === this.#classOf.length) this.#scores?.push(this.#ofLabels(unpacked));
    else this.#scores = null;
    this.#truth.push(is);
    this.#predicted.push(said);
  }

  #ofLabels(scores: Float64Array): Float64Array {
    const sums = new Float64Array(this.#indexOf.size);
    for (const [i, k] of this.#classOf.entries()) sums[k] = (sums[k] as number) + (scores[i] as number);
    return sums;
  }

  /** The index of a label, or the number itself. */
  #numberOf(value: string | number | null): number | undefined {
    if (this.#labels) return this.#indexOf.get(String(value));
    return typeof value === 'string' ? undefined : (value ?? Number.NaN);
  }

  toMeasure(): Omit<ToMeasure, 'seed'> {
    return {
      labels: this.#labels,
      answers: {
        rows: Uint32Array.from(this.#truth, (_, i) => i + 1),
        truth: Float64Array.from(this.#truth),
        predicted: Float64Array.from(this.#predicted),
        scores: this.#scores && this.count > 0 ? joined(this.#scores) : null,
        items: null,
      },
    };
  }
}

function joined(parts: readonly Float64Array[]): Float64Array {
  const all = new Float64Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}
