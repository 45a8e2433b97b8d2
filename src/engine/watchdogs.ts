/**
 * One timer per busy worker. When a timer expires, the run is considered stuck and the worker is killed.
 *
 * If the timer itself is late, the server was busy, and the worker may have answered meanwhile: it gets the same time again,
 * in which the server reads what has arrived.
 */
import type { WorkerProcess } from './worker-process.js';

/** How late a timer may be on a server that is not busy. */
const MAX_LATE_MS = 100;

export class Watchdogs {
  readonly #timers = new Map<WorkerProcess, NodeJS.Timeout | undefined>();

  /** Replaces the worker's timer; null clears it. The worker stays in the map: see `LinkedList` for why. */
  set(worker: WorkerProcess, ms: number | null): void {
    clearTimeout(this.#timers.get(worker));
    if (ms === null) {
      this.#timers.set(worker, undefined);
      return;
    }
    const dueAt = performance.now() + ms;
    const onTimeout = () => {
      if (performance.now() - dueAt > MAX_LATE_MS) this.set(worker, ms);
      else worker.kill('watchdog');
    };
    this.#timers.set(worker, setTimeout(onTimeout, ms));
  }

  /** To be called when the worker has exited. */
  forget(worker: WorkerProcess): void {
    clearTimeout(this.#timers.get(worker));
    this.#timers.delete(worker);
  }

  stop(): void {
    for (const timer of this.#timers.values()) clearTimeout(timer);
  }
}
