/**
 * Runs a graph at few batch sizes. With CUDA, a convolution whose batch size differs from that of the run before makes the run
 * many times as slow, because its algorithm is chosen again; batches of a server change size all the time. So the rows are
 * filled up to a size that stays.
 */
import type { NumericArray, TensorData } from '../tasks/datatypes.js';
import type { OpenSession } from './native/session-thread.js';

/** Of a new duration in a mean. */
const WEIGHT = 0.2;

/**
 * Chooses the size of each run: a power of two, or the largest batch. It grows when a batch needs it. It shrinks when the time
 * spent on rows that were filled up reaches what a change costs, so that all runs together take at most about twice as long
 * as with the best sizes (the ski-rental rule).
 */
export class SteadySize {
  readonly #maxRows: number;
  #size = 0;
  /** Whether the next run is the first of its size. */
  #hasChanged = true;
  /** Mean duration by size, without the first run after a change. */
  readonly #steadyMs = new Map<number, number>();
  /** How much longer the first run after a change takes. */
  #changeMs = 0;
  /** Time spent on filled-up rows since a run needed the present size, and the largest size needed since then. */
  #wastedMs = 0;
  #needed = 0;

  constructor(maxRows: number) {
    this.#maxRows = maxRows;
  }

  /** The number of rows to run for this many; the larger of both if there are more than `maxRows`. */
  sizeFor(rows: number): number {
    const needed = this.#sizeOf(rows);
    if (needed >= this.#size) {
      this.#change(needed);
      return needed;
    }
    this.#needed = Math.max(this.#needed, needed);
    this.#wastedMs += Math.max(0, this.#msAt(this.#size) - this.#msAt(this.#needed));
    if (this.#wastedMs > this.#changeMs) this.#change(this.#needed);
    return this.#size;
  }

  /** Learns how long the last run took. */
  ran(ms: number): void {
    const steady = this.#steadyMs.get(this.#size);
    if (!this.#hasChanged) this.#steadyMs.set(this.#size, steady === undefined ? ms : steady + WEIGHT * (ms - steady));
    else if (steady !== undefined) this.#changeMs = Math.max(0, ms - steady);
    this.#hasChanged = false;
  }

  #change(size: number): void {
    this.#hasChanged ||= size !== this.#size;
    this.#size = size;
    this.#needed = 0;
    this.#wastedMs = 0;
  }

  #sizeOf(rows: number): number {
    return Math.max(rows, Math.min(this.#maxRows, 2 ** Math.ceil(Math.log2(rows))));
  }

  /** If the size never ran twice, its rows are taken to be as long as those of the present one. */
  #msAt(size: number): number {
    const present = this.#steadyMs.get(this.#size) ?? 0;
    return this.#steadyMs.get(size) ?? (present * size) / this.#size;
  }
}

/** The session, run at steady sizes. All inputs and outputs have one row for each row of the batch. */
export function withSteadySizes(session: OpenSession, maxRows: number): OpenSession {
  const steady = new SteadySize(maxRows);
  let running = 0;
  return {
    inputs: session.inputs,
    outputs: session.outputs,
    run: async (inputs, wanted = null) => {
      const rows = inputs[0]?.shape[0] ?? 0;
      if (rows === 0 || inputs.some(({ shape, ragged }) => shape[0] !== rows || ragged))
        return session.run(inputs, wanted);
      const size = steady.sizeFor(rows);
      const isAlone = running++ === 0;
      const begun = performance.now();
      try {
        const outputs = await session.run(size === rows ? inputs : inputs.map((one) => filledUp(one, size)), wanted);
        // Otherwise the time is also that of the run before.
        if (isAlone) steady.ran(performance.now() - begun);
        return size === rows ? outputs : outputs.map((one) => firstRows(one, size, rows));
      } finally {
        running--;
      }
    },
    release: () => session.release(),
  };
}

/** Repeats the last row, because a row of zeros may be no valid input. */
function filledUp({ name, datatype, shape, data }: TensorData, size: number): TensorData {
  const [rows = 0, ...rest] = shape;
  const perRow = data.length / rows;
  if (Array.isArray(data)) {
    const last = data.slice(-perRow);
    const more = Array.from({ length: size - rows }, () => last).flat();
    return { name, datatype, shape: [size, ...rest], data: [...data, ...more] };
  }
  const values = data as NumericArray;
  const filled = new (values.constructor as new (length: number) => NumericArray)(size * perRow);
  filled.set(values as never);
  for (let row = rows; row < size; row++) filled.copyWithin(row * perRow, (rows - 1) * perRow, rows * perRow);
  return { name, datatype, shape: [size, ...rest], data: filled };
}

function firstRows({ name, datatype, shape, data }: TensorData, size: number, rows: number): TensorData {
  const [first, ...rest] = shape;
  if (first !== size) return { name, datatype, shape, data };
  return {
    name,
    datatype,
    shape: [rows, ...rest],
    data: data.slice(0, (data.length / size) * rows) as TensorData['data'],
  };
}
