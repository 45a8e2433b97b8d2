/**
 * Waiting inputs of one version, and which of them make the next batch.
 *
 * Pure: no timers and no workers. Order is priority, then arrival. An entry whose caller has gone or whose time is up
 * is never taken: it leaves when it is met.
 */
import type { Item } from '../tasks/tasks.js';
import type { ItemResult } from './messages.js';

export const PRIORITIES = ['HIGH', 'NORMAL', 'LOW'] as const;
export type PriorityName = (typeof PRIORITIES)[number];

/** The way back to who waits for an answer. What has not begun when it is closed is not done. */
export interface Connection {
  readonly isClosed: boolean;
  /** Tells callers apart, so that the inputs of one that end processes cost the others nothing. */
  readonly caller: string;
}

export interface Outcome {
  readonly result: ItemResult;
  readonly timing: { preprocessMs: number; inferMs: number; postprocessMs: number };
  readonly batchSize: number;
  readonly executionProvider: string;
  /** When the batch left the queue. */
  readonly dispatchedAt: number;
}

export interface Entry {
  readonly item: Item;
  readonly priority: PriorityName;
  readonly enqueuedAt: number;
  readonly deadlineAt: number;
  readonly connection: Connection;
  /** Exactly one of them is called, once; `isSettled` turns true with it. */
  readonly succeed: (outcome: Outcome) => void;
  readonly fail: (error: Error) => void;
  isSettled: boolean;
  /** How often it was given to a worker that was then killed from outside. */
  retries: number;
  phase: 'queue' | 'run';
}

export class VersionQueue {
  readonly #lanes: Record<PriorityName, Entry[]> = { HIGH: [], NORMAL: [], LOW: [] };
  #rows = 0;
  #work = 0;

  /** Rows that wait, those included that nobody waits for any more and that were not met yet. */
  get rows(): number {
    return this.#rows;
  }

  /** How much there is to compute for them. */
  get work(): number {
    return this.#work;
  }

  push(entry: Entry): void {
    this.#lanes[entry.priority].push(entry);
    this.#addToTotals(entry, 1);
  }

  /** Back to the front, in the order they had: they have waited longest. */
  requeue(entries: readonly Entry[]): void {
    for (const entry of entries.toReversed()) {
      this.#lanes[entry.priority].unshift(entry);
      this.#addToTotals(entry, 1);
    }
  }

  /** The entry that would be taken next. */
  peek(now: number): Entry | null {
    for (const priority of PRIORITIES) {
      const lane = this.#lanes[priority];
      while (lane[0] && isObsolete(lane[0], now)) this.#removeFirst(lane);
      if (lane[0]) return lane[0];
    }
    return null;
  }

  /** Up to `maxRows` rows of up to `maxWork`; at least one entry when any waits, however much it is. */
  take({ maxRows, maxWork }: { maxRows: number; maxWork: number }, now: number): Entry[] {
    const taken: Entry[] = [];
    let [rows, work] = [0, 0];
    for (let next = this.peek(now); next; next = this.peek(now)) {
      rows += next.item.rows;
      work += next.item.work;
      if (taken.length > 0 && (rows > maxRows || work > maxWork)) break;
      this.#removeFirst(this.#lanes[next.priority]);
      taken.push(next);
      if (rows >= maxRows) break;
    }
    return taken;
  }

  #removeFirst(lane: Entry[]): void {
    const entry = lane.shift();
    if (entry) this.#addToTotals(entry, -1);
  }

  #addToTotals({ item }: Entry, sign: 1 | -1): void {
    this.#rows += sign * item.rows;
    this.#work += sign * item.work;
  }
}

/** Nobody waits for it any more: answered, out of time, or its caller has gone. */
export function isObsolete(entry: Entry, now: number): boolean {
  return entry.isSettled || entry.deadlineAt <= now || entry.connection.isClosed;
}

/** Of two that wait for different versions: priority first, then age. */
export function isMoreUrgent(a: Entry, b: Entry): boolean {
  if (a.priority !== b.priority) return PRIORITIES.indexOf(a.priority) < PRIORITIES.indexOf(b.priority);
  return a.enqueuedAt < b.enqueuedAt;
}
