/**
 * Tells the workers which items of their batches nobody waits for anymore, because the deadline has passed or the client
 * has disconnected. Those of one turn of the event loop share a message for each batch.
 */
import { placesOf } from '../tasks/block.js';
import type { Entry } from './queue.js';
import type { OutstandingBatch, WorkerProcess } from './worker-process.js';

interface Place {
  readonly worker: WorkerProcess;
  readonly batch: OutstandingBatch;
  /** The position of its first item in the message. */
  readonly position: number;
}

export class Cancellations {
  /** Where the entries are that workers have not answered yet. */
  readonly #places = new Map<Entry, Place>();
  readonly #pending = new Map<OutstandingBatch, { readonly worker: WorkerProcess; readonly items: number[] }>();

  track(worker: WorkerProcess, batch: OutstandingBatch): void {
    let position = 0;
    for (const entry of batch.entries) {
      this.#places.set(entry, { worker, batch, position });
      position += placesOf(entry.item);
    }
  }

  /** To be called when the batch is done, or its worker has exited. */
  forget({ entries }: OutstandingBatch): void {
    for (const entry of entries) this.#places.delete(entry);
  }

  /** Has no effect on an entry that is not in a worker. */
  cancel(entry: Entry): void {
    const place = this.#places.get(entry);
    if (!place) return;
    if (this.#pending.size === 0) setImmediate(() => this.#send());
    const pending = this.#pending.get(place.batch);
    const items = Array.from({ length: placesOf(entry.item) }, (_, i) => place.position + i);
    if (pending) pending.items.push(...items);
    else this.#pending.set(place.batch, { worker: place.worker, items });
  }

  #send(): void {
    for (const [batch, { worker, items }] of this.#pending)
      if (worker.batches.includes(batch)) worker.send({ kind: 'cancel', batch: batch.id, items });
    this.#pending.clear();
  }
}
