/** One timer for each busy worker: when it rings, the worker is stuck and is killed. */
import type { WorkerProcess } from './worker-process.js';

export class Watchdogs {
  readonly #timers = new Map<WorkerProcess, NodeJS.Timeout>();

  /** Replaces the worker's timer; null only takes it away. */
  set(worker: WorkerProcess, ms: number | null): void {
    clearTimeout(this.#timers.get(worker));
    this.#timers.delete(worker);
    if (ms !== null) {
      this.#timers.set(
        worker,
        setTimeout(() => worker.kill('watchdog'), ms),
      );
    }
  }

  stop(): void {
    for (const timer of this.#timers.values()) clearTimeout(timer);
  }
}
