/**
 * Tells the workers which items of their batches nobody waits for anymore, because the deadline has passed or the client
 * has disconnected. Those of one turn of the event loop share a message for each batch.
 */
import { placesOf } from '../tasks/block.js';
import type { Entry, RunPlace } from './queue.js';
import type { OutstandingBatch, WorkerProcess } from './worker-process.js';

/** Where an entry is that a worker has not answered yet. */
interface Run extends RunPlace {
  readonly worker: WorkerProcess;
  readonly batch: OutstandingBatch;
  /** The position of its first item in the message. */
  readonly position: number;
}

export class Cancellations {
  /** Each turn has a new map: see `LinkedList` for why it is not cleared. */
  #pending = new Map<OutstandingBatch, { readonly worker: WorkerProcess; readonly items: number[] }>();

  track(worker: WorkerProcess, batch: OutstandingBatch): void {
    let position = 0;
    for (const entry of batch.entries) {
      const run: Run = { tracker: this, worker, batch, position };
      entry.run = run;
      position += placesOf(entry.item);
    }
  }

  /** To be called when the batch is done, or its worker has exited. */
  forget({ entries }: OutstandingBatch): void {
    for (const entry of entries) entry.run = null;
  }

  /** Has no effect on an entry that is not in a worker. */
  cancel({ run, item }: Entry): void {
    if (run?.tracker !== this) return;
    const { worker, batch, position } = run as Run;
    if (this.#pending.size === 0) setImmediate(() => this.#send());
    const items = Array.from({ length: placesOf(item) }, (_, i) => position + i);
    const pending = this.#pending.get(batch);
    if (pending) pending.items.push(...items);
    else this.#pending.set(batch, { worker, items });
  }

  #send(): void {
    const pending = this.#pending;
    this.#pending = new Map();
    for (const [batch, { worker, items }] of pending)
      if (worker.batches.includes(batch)) worker.send({ kind: 'cancel', batch: batch.id, items });
  }
}
