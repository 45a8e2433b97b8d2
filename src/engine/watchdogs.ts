/** One timer per busy worker. When a timer expires, the run is considered stuck and the worker is killed. */
import type { WorkerProcess } from './worker-process.js';

export class Watchdogs {
  readonly #timers = new Map<WorkerProcess, NodeJS.Timeout>();

  /** Replaces the worker's timer; null clears it. */
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
