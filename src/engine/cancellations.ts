/**
 * Tells the workers which items of their batches nobody waits for anymore, because the deadline has passed or the client
 * has disconnected. Those of one turn of the event loop share a message for each batch.
 */
import { placesOf } from '../tasks/block.js';
import type { Entry } from './queue.js';
import type { OutstandingBatch, WorkerProcess } from './worker-process.js';

interface Running {
  readonly worker: WorkerProcess;
  readonly batch: OutstandingBatch;
}

export class Cancellations {
  /** That workers have not answered yet. */
  readonly #running: Running[] = [];
  readonly #pending = new Map<OutstandingBatch, { readonly worker: WorkerProcess; readonly items: number[] }>();

  track(worker: WorkerProcess, batch: OutstandingBatch): void {
    this.#running.push({ worker, batch });
  }

  /** To be called when the batch is done, or its worker has exited. */
  forget(batch: OutstandingBatch): void {
    const at = this.#running.findIndex((running) => running.batch === batch);
    if (at >= 0) this.#running.splice(at, 1);
  }

  /** Has no effect on an entry that is not in a worker. */
  cancel(entry: Entry): void {
    const running = this.#running.find(({ batch }) => batch.entries.includes(entry));
    if (!running) return;
    const { worker, batch } = running;
    if (this.#pending.size === 0) setImmediate(() => this.#send());
    const items = itemsOf(entry, batch);
    const pending = this.#pending.get(batch);
    if (pending) pending.items.push(...items);
    else this.#pending.set(batch, { worker, items });
  }

  #send(): void {
    for (const [batch, { worker, items }] of this.#pending)
      if (worker.batches.includes(batch)) worker.send({ kind: 'cancel', batch: batch.id, items });
    this.#pending.clear();
  }
}

/** The positions of the entry's items in the message of its batch. */
function itemsOf(entry: Entry, { entries }: OutstandingBatch): number[] {
  let first = 0;
  for (const other of entries) {
    if (other === entry) break;
    first += placesOf(other.item);
  }
  return Array.from({ length: placesOf(entry.item) }, (_, i) => first + i);
}
