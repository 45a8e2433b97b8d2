/**
 * Inputs that failed for lack of memory, or ended their process, which may have had too little memory beside the other
 * versions in it: some libraries abort then. Each is tried again alone, where it may be answered. But a worker was replaced
 * for it, so it must be known who keeps sending inputs that are too large to run beside other versions.
 *
 * What an input takes is measured while it runs alone: not every input of a run that failed is to blame, and what it takes
 * cannot be told from its size. No processes, and no clocks.
 */
import type { Entry } from './queue.js';

/** Inputs of one caller in one batch. */
interface FailedTogether {
  readonly count: number;
  isProven: boolean;
}

/** The share of the room for runs that earlier inputs may have left in use: ONNX Runtime keeps what a run took for the next. */
const MAX_LEFT_SHARE = 0.1;

export class MemorySuspects {
  readonly #failed = new WeakMap<Entry, FailedTogether>();
  /** By how much the worker has grown since it loaded its version. */
  #grownBytes = 0;

  /** The inputs of one batch that failed. */
  add(entries: readonly Entry[]): void {
    for (const ofCaller of Map.groupBy(entries, ({ connection }) => connection.caller).values()) {
      const failed = { count: ofCaller.length, isProven: false };
      for (const entry of ofCaller) this.#failed.set(entry, failed);
    }
  }

  /** Whether the version has to be loaded anew before the input runs, because the worker would not grow again. */
  needsFreshWorker(entry: Entry, roomBytes: number): boolean {
    const failed = this.#failed.get(entry);
    return failed !== undefined && !failed.isProven && this.#grownBytes > MAX_LEFT_SHARE * roomBytes;
  }

  onLoad(): void {
    this.#grownBytes = 0;
  }

  /**
   * The input was answered alone, and the worker grew by this much; null if unknown. Returns true once for the inputs of a
   * caller that failed together, if they take more than `roomBytes`, which is what a worker full of versions keeps for runs.
   */
  isProven(entry: Entry, grownBytes: number | null, roomBytes: number): boolean {
    this.#grownBytes += grownBytes ?? 0;
    const failed = this.#failed.get(entry);
    if (!failed || failed.isProven || (grownBytes ?? 0) * failed.count <= roomBytes) return false;
    failed.isProven = true;
    return true;
  }
}
