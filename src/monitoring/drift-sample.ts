/** What is compared of two samples of predictions, and its values in one of them. Pure. */

export type DriftSubject = 'ANSWER' | 'SCORE' | 'INPUT';

/** Something that each prediction has one value of. */
export interface Watched {
  readonly subject: DriftSubject;
  /** Of the label whose score it is, or of the column; null for the answer. */
  readonly name: string | null;
  readonly type: 'NUMBER' | 'CATEGORY';
}

/** One prediction. */
export interface Observation {
  /** The label, or the number. */
  readonly answer: string | number | null;
  /** Of the labels, in their order. */
  readonly scores: ArrayLike<number | null> | null;
  readonly row: Readonly<Record<string, unknown>> | null;
}

/** The values of one `Watched`: numbers, or how often each category occurs. */
export type Values =
  | { readonly type: 'NUMBER'; readonly numbers: Float64Array }
  | { readonly type: 'CATEGORY'; readonly counts: ReadonlyMap<string, number> };

interface Collected {
  readonly numbers: number[];
  readonly counts: Map<string, number>;
}

export class DriftSample {
  readonly #watched: readonly Watched[];
  /** Indices of the scores of each label. */
  readonly #scoresOf: ReadonlyMap<string, readonly number[]>;
  readonly #values: readonly Collected[];
  count = 0;

  /** `labels`: what scores are of; one may be there several times. Empty for numbers. */
  constructor(watched: readonly Watched[], labels: readonly string[]) {
    this.#watched = watched;
    this.#scoresOf = Map.groupBy(labels.keys(), (i) => labels[i] as string);
    this.#values = watched.map(() => ({ numbers: [], counts: new Map() }));
  }

  add(observation: Observation): void {
    this.count++;
    for (const [i, watched] of this.#watched.entries()) {
      if (watched.subject === 'INPUT' && !observation.row) continue;
      const value = this.#valueOf(watched, observation);
      const { numbers, counts } = this.#values[i] as Collected;
      if (watched.type === 'NUMBER') {
        if (typeof value === 'number' && Number.isFinite(value)) numbers.push(value);
        continue;
      }
      // Missing values are a category of their own.
      const category = JSON.stringify(value ?? null);
      counts.set(category, (counts.get(category) ?? 0) + 1);
    }
  }

  #valueOf({ subject, name }: Watched, { answer, scores, row }: Observation): unknown {
    if (subject === 'ANSWER') return answer;
    if (subject === 'SCORE') return scores && this.#sumOf(scores, name ?? '');
    return row?.[name ?? ''];
  }

  #sumOf(scores: ArrayLike<number | null>, label: string): number {
    return (this.#scoresOf.get(label) ?? []).reduce((sum, i) => sum + (scores[i] ?? Number.NaN), 0);
  }

  valuesOf(i: number): Values {
    const { numbers, counts } = this.#values[i] as Collected;
    if ((this.#watched[i] as Watched).type === 'CATEGORY') return { type: 'CATEGORY', counts };
    return { type: 'NUMBER', numbers: Float64Array.from(numbers) };
  }
}
