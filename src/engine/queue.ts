/** An input that waits: the entry in the queue, its priorities, and the size of batches. */
import type { QueuedItem } from '../tasks/block.js';
import type { ItemResult } from '../tasks/failures.js';
import type { BatchSize } from './latency.js';

export const PRIORITIES = ['HIGH', 'NORMAL', 'LOW'] as const;
export type PriorityName = (typeof PRIORITIES)[number];

/** The connection of the client that waits for the answer. An input is not run if it closes before the run starts. */
export interface CallerConnection {
  readonly isClosed: boolean;
  /** Identifies the caller: callers share the workers fairly, and poison inputs count against their sender only. */
  readonly caller: string;
  /**
   * Calls the listener when the connection closes. Returns a function that removes it, so that a connection with many inputs
   * keeps nothing of those that are answered. Absent if closing is learned from `isClosed` only.
   */
  onClose?(listener: () => void): () => void;
  /** Absent or null if the computing of the caller is not limited. */
  readonly meter?: ComputeMeter | null;
}

/** What a caller may compute. */
export interface ComputeMeter {
  /** What an input takes whose version was never measured, in milliseconds. */
  readonly unknownMs: number;
  /** Takes what an input is predicted to take, or returns why it may not run. */
  take(predictedMs: number): Error | null;
  /** To be called once for what was taken, unless it was really used. */
  correct(predictedMs: number, actualMs: number): void;
}

export interface Outcome {
  /** One, or one for each row of a block. */
  readonly results: readonly ItemResult[];
  readonly timing: { preprocessMs: number; inferMs: number; postprocessMs: number };
  readonly batchSize: number;
  readonly executionProvider: string;
  /** The name of the device it ran on; null if it is unknown. */
  readonly device: string | null;
  /** When the batch left the queue, as of `performance.now()`. */
  readonly dispatchedAt: number;
}

export interface Entry {
  readonly item: QueuedItem;
  readonly priority: PriorityName;
  /** Memory that the item takes. */
  readonly bytes: number;
  readonly enqueuedAt: number;
  readonly deadlineAt: number;
  readonly connection: CallerConnection;
  /** The first call of either settles the entry and sets `isSettled`; later calls have no effect. */
  readonly succeed: (outcome: Outcome) => void;
  readonly fail: (error: Error) => void;
  isSettled: boolean;
  /** Predicted computing time in milliseconds. */
  readonly costMs: number;
  /** What the meter of the connection was told of it. */
  readonly meteredMs: number;
  /** How often the entry was queued again because its worker exited through no fault of the input. */
  retries: number;
  phase: 'queue' | 'run';
  /** Null while it is in no queue. */
  place: QueuePlace | null;
  /** Null while no worker has it. */
  run: RunPlace | null;
}

/** Where an entry is queued; the rest of it is the queue's own. */
export interface QueuePlace {
  readonly queue: object;
}

/** Where a worker has an entry; the rest of it belongs to what tracks the runs. */
export interface RunPlace {
  readonly tracker: object;
}

export const NO_LIMITS: BatchSize = {
  rows: Number.POSITIVE_INFINITY,
  work: Number.POSITIVE_INFINITY,
  preprocessingWork: Number.POSITIVE_INFINITY,
};

/** The size of an entry as part of a batch. */
export function sizeOf({ item: { rows, work, preprocessingWork } }: Entry): BatchSize {
  return { rows, work, preprocessingWork };
}

export function sum(a: BatchSize, b: BatchSize): BatchSize {
  return {
    rows: a.rows + b.rows,
    work: a.work + b.work,
    preprocessingWork: a.preprocessingWork + b.preprocessingWork,
  };
}

export function isWithin(size: BatchSize, limits: BatchSize): boolean {
  return size.rows <= limits.rows && size.work <= limits.work && size.preprocessingWork <= limits.preprocessingWork;
}

/** Whether the entry no longer needs an answer: it is settled, past its deadline, or its caller has disconnected. */
export function isObsolete(entry: Entry, now: number): boolean {
  return entry.isSettled || entry.deadlineAt <= now || entry.connection.isClosed;
}
