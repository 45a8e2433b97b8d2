/**
 * The queue of one version, and the rule that selects the next batch from it.
 *
 * Entries leave in order of priority, then arrival. An entry that is obsolete (answered, past its deadline, or
 * abandoned by its caller) is never part of a batch. It is removed when it reaches the front, and counts towards `rows`
 * and `work` until then.
 *
 * Pure: no timers and no workers. Callers pass the current time in milliseconds.
 */
import type { Item } from '../tasks/tasks.js';
import type { Work } from '../tasks/work.js';
import type { ItemResult } from './messages.js';

export const PRIORITIES = ['HIGH', 'NORMAL', 'LOW'] as const;
export type PriorityName = (typeof PRIORITIES)[number];

/** The connection of the client that waits for the answer. An input is not run if it closes before the run starts. */
export interface CallerConnection {
  readonly isClosed: boolean;
  /** Identifies the caller, so that poison inputs count against their sender only. */
  readonly caller: string;
}

export interface Outcome {
  readonly result: ItemResult;
  readonly timing: { preprocessMs: number; inferMs: number; postprocessMs: number };
  readonly batchSize: number;
  readonly executionProvider: string;
  /** When the batch left the queue, as of `performance.now()`. */
  readonly dispatchedAt: number;
}

export interface Entry {
  readonly item: Item;
  readonly priority: PriorityName;
  readonly enqueuedAt: number;
  readonly deadlineAt: number;
  readonly connection: CallerConnection;
  /** The first call of either settles the entry and sets `isSettled`; later calls have no effect. */
  readonly succeed: (outcome: Outcome) => void;
  readonly fail: (error: Error) => void;
  isSettled: boolean;
  /** How often the entry was queued again because its worker exited through no fault of the input. */
  retries: number;
  phase: 'queue' | 'run';
}

/** The largest batch. */
export interface BatchLimits extends Work {
  readonly rows: number;
}

export const NO_LIMITS: BatchLimits = {
  rows: Number.POSITIVE_INFINITY,
  work: Number.POSITIVE_INFINITY,
  preprocessingWork: Number.POSITIVE_INFINITY,
};

function isWithin(size: BatchLimits, limits: BatchLimits): boolean {
  return size.rows <= limits.rows && size.work <= limits.work && size.preprocessingWork <= limits.preprocessingWork;
}

export class VersionQueue {
  readonly #lanes: Record<PriorityName, Entry[]> = { HIGH: [], NORMAL: [], LOW: [] };
  #rows = 0;
  #work = 0;

  /** Queued rows, including those of obsolete entries that have not been removed yet. */
  get rows(): number {
    return this.#rows;
  }

  /** Estimated work of the queued entries: see `Item.work`. */
  get work(): number {
    return this.#work;
  }

  push(entry: Entry): void {
    this.#lanes[entry.priority].push(entry);
    this.#addToTotals(entry, 1);
  }

  /** Puts entries back to the front in their original order, because they have waited longest. */
  requeue(entries: readonly Entry[]): void {
    for (const entry of entries.toReversed()) {
      this.#lanes[entry.priority].unshift(entry);
      this.#addToTotals(entry, 1);
    }
  }

  /** The entry that `take` would return first; removes obsolete entries in front of it. */
  peek(now: number): Entry | null {
    for (const priority of PRIORITIES) {
      const lane = this.#lanes[priority];
      while (lane[0] && isObsolete(lane[0], now)) this.#removeFirst(lane);
      if (lane[0]) return lane[0];
    }
    return null;
  }

  /** Removes and returns entries within the limits, but always the first one. */
  take(limits: BatchLimits, now: number): Entry[] {
    const taken: Entry[] = [];
    let size: BatchLimits = { rows: 0, work: 0, preprocessingWork: 0 };
    for (let next = this.peek(now); next; next = this.peek(now)) {
      size = {
        rows: size.rows + next.item.rows,
        work: size.work + next.item.work,
        preprocessingWork: size.preprocessingWork + next.item.preprocessingWork,
      };
      if (taken.length > 0 && !isWithin(size, limits)) break;
      this.#removeFirst(this.#lanes[next.priority]);
      taken.push(next);
      if (size.rows >= limits.rows) break;
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

/** Whether the entry no longer needs an answer: it is settled, past its deadline, or its caller has disconnected. */
export function isObsolete(entry: Entry, now: number): boolean {
  return entry.isSettled || entry.deadlineAt <= now || entry.connection.isClosed;
}

/** Orders entries of different versions: higher priority first, then longer wait. */
export function isMoreUrgent(a: Entry, b: Entry): boolean {
  if (a.priority !== b.priority) return PRIORITIES.indexOf(a.priority) < PRIORITIES.indexOf(b.priority);
  return a.enqueuedAt < b.enqueuedAt;
}
