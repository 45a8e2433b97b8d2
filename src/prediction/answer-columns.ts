/**
 * Collects the answers to the inputs of one request as columns.
 *
 * Columns with several values for each input are kept only if they are selected, and only as far as a response may hold them:
 * the budget of the answer leaves out a column that is larger.
 */
import type { Problem } from '../graphql/problem.type.js';
import type { Answer, AnswerOf } from '../tasks/answer.js';
import type { NumericArray, TensorData } from '../tasks/datatypes.js';
import { scoreOf } from '../tasks/scores.js';
import { bytesOfTensors } from '../tasks/tensor-outputs.js';
import { BYTES_PER_NUMBER } from './output-size.js';

/** Their answers have parts of their own. */
type KindWithoutColumns =
  | 'similarities'
  | 'ranking'
  | 'detections'
  | 'masks'
  | 'tokens'
  | 'answer'
  | 'fillings'
  | 'text';

/** What is known of the answers before they are there. */
export interface AnswersToCollect {
  /** Of the version. */
  readonly labels: readonly string[];
  readonly isRecorded: boolean;
  /** Of a response, at most. */
  readonly maxBytes: number;
}

/** Columns that hold more than one value for each input are kept only if they are selected. */
export interface WideColumns {
  readonly classScores: boolean;
  readonly values: boolean;
  readonly tensors: boolean;
}

/** A column that may be too large to be made. */
export interface Column<T> {
  /** In the answer, or in memory; at least. */
  readonly bytes: number;
  readonly make: () => T;
}

interface ProblemOfRow {
  readonly row: number;
  readonly problem: Problem;
}

export class AnswerColumns {
  readonly count: number;
  readonly #labels: readonly string[];
  readonly #ids: (string | null)[] | null;
  readonly #problems: ProblemOfRow[] = [];
  readonly #classes: ClassColumns;
  readonly #classScores: NumberRows | null;
  readonly #values: NumberRows | null;
  readonly #tensors: TensorRows | null;

  constructor(count: number, wanted: WideColumns, { labels, isRecorded, maxBytes }: AnswersToCollect) {
    this.count = count;
    this.#labels = labels;
    this.#ids = isRecorded ? new Array(count).fill(null) : null;
    this.#classes = new ClassColumns(count);
    this.#classScores = wanted.classScores ? new NumberRows(count, maxBytes) : null;
    this.#values = wanted.values ? new NumberRows(count, maxBytes) : null;
    this.#tensors = wanted.tensors ? new TensorRows(count, maxBytes) : null;
  }

  /** `id`: of the prediction; null if it is not recorded. */
  add(row: number, answer: Answer, id: string | null): void {
    if (this.#ids) this.#ids[row] = id;
    switch (answer.kind) {
      case 'classification':
        this.#classes.set(row, [answer], this.#labels);
        // Answers to inputs with labels of their own have other classes.
        if (answer.scores && !answer.labels) this.#classScores?.set(row, answer.scores);
        break;
      case 'multiClassification':
        this.#classes.set(row, answer.targets, this.#labels);
        break;
      case 'regression':
        this.#values?.set(row, [answer.value]);
        break;
      case 'values':
        this.#values?.set(
          row,
          answer.values.map(({ value }) => value),
        );
        break;
      case 'embedding':
        this.#values?.set(row, answer.vector);
        break;
      case 'tensors':
        this.#tensors?.set(row, answer.tensors);
        break;
      default:
        answer.kind satisfies KindWithoutColumns;
    }
  }

  refuse(row: number, problem: Problem): void {
    this.#problems.push({ row, problem });
  }

  get ids(): readonly (string | null)[] | null {
    return this.#ids;
  }

  get labels(): readonly (string | null)[] | null {
    return this.#classes.labels;
  }

  get scores(): Column<ArrayLike<number>> | null {
    const { scores } = this.#classes;
    return scores && { bytes: scores.length * BYTES_PER_NUMBER, make: () => scores };
  }

  get classScores(): Column<ArrayLike<number>> | null {
    return this.#classScores?.column ?? null;
  }

  get values(): Column<ArrayLike<number>> | null {
    return this.#values?.column ?? null;
  }

  get tensors(): Column<TensorData[]> | null {
    return this.#tensors?.column ?? null;
  }

  get problems(): readonly ProblemOfRow[] {
    return this.#problems.sort((a, b) => a.row - b.row);
  }
}

type Classified = Pick<AnswerOf<'classification'>, 'label' | 'scores' | 'labels'>;

/** One label and score for each input and target. */
class ClassColumns {
  labels: (string | null)[] | null = null;
  scores: Float64Array | null = null;

  constructor(private readonly count: number) {}

  set(row: number, targets: readonly Classified[], labels: readonly string[]): void {
    const { length } = targets;
    this.labels ??= new Array<string | null>(this.count * length).fill(null);
    this.scores ??= new Float64Array(this.count * length).fill(Number.NaN);
    for (const [i, { label, scores, labels: own }] of targets.entries()) {
      this.labels[row * length + i] = label;
      this.scores[row * length + i] = scoreOf(label, scores, own ?? labels) ?? Number.NaN;
    }
  }
}

/** The same number of numbers for each input. */
class NumberRows {
  #values: Float64Array | null = null;
  #perRow: number | null = null;
  #haveSameSize = true;

  constructor(
    private readonly count: number,
    private readonly maxBytes: number,
  ) {}

  set(row: number, values: ArrayLike<number>): void {
    if (this.#perRow === null) {
      this.#perRow = values.length;
      if (this.#bytes <= this.maxBytes) this.#values = new Float64Array(this.count * values.length).fill(Number.NaN);
    }
    if (values.length === this.#perRow) this.#values?.set(values, row * values.length);
    else this.#haveSameSize = false;
  }

  get column(): Column<ArrayLike<number>> | null {
    if (this.#perRow === null || !this.#haveSameSize) return null;
    const values = this.#values;
    return { bytes: values ? this.#bytes : Number.POSITIVE_INFINITY, make: () => values ?? [] };
  }

  get #bytes(): number {
    return this.count * (this.#perRow ?? 0) * BYTES_PER_NUMBER;
  }
}

/** Outputs of the same shape for each input. */
class TensorRows {
  readonly #rows: (readonly TensorData[] | null)[];
  #bytes = 0;
  #isKept = true;

  constructor(
    count: number,
    private readonly maxBytes: number,
  ) {
    this.#rows = new Array(count).fill(null);
  }

  set(row: number, tensors: readonly TensorData[]): void {
    this.#bytes += bytesOfTensors(tensors);
    if (this.#bytes > this.maxBytes) this.#isKept = false;
    if (this.#isKept) this.#rows[row] = tensors;
    else this.#rows.fill(null);
  }

  get column(): Column<TensorData[]> | null {
    if (!this.#isKept) return { bytes: Number.POSITIVE_INFINITY, make: () => [] };
    const first = this.#rows.find((row) => row !== null);
    if (!first || !this.#haveShapesOf(first)) return null;
    return { bytes: this.#bytes, make: () => first.map((tensor, i) => stacked(this.#rows, tensor, i)) };
  }

  #haveShapesOf(first: readonly TensorData[]): boolean {
    return this.#rows.every(
      (row) => row?.every(({ shape }, i) => shape.length > 0 && String(shape) === String(first[i]?.shape)) ?? true,
    );
  }
}

/** The tensors with this index, along the first dimension. */
function stacked(
  rows: readonly (readonly TensorData[] | null)[],
  { name, datatype, shape: [first = 1, ...sizes], data }: TensorData,
  index: number,
): TensorData {
  const shape = [first * rows.length, ...sizes];
  if (Array.isArray(data)) {
    const empty = new Array<string>(data.length).fill('');
    const texts = rows.flatMap((row) => (row?.[index]?.data as string[] | undefined) ?? empty);
    return { name, datatype, shape, data: texts };
  }
  const all = new (data.constructor as new (length: number) => NumericArray)(rows.length * data.length);
  for (const [row, tensors] of rows.entries()) if (tensors) all.set(tensors[index]?.data as never, row * data.length);
  return { name, datatype, shape, data: all };
}
