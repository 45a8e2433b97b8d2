/**
 * The protocol between the server and a worker, in frames (see `frames.ts`) over a pipe.
 *
 *   server → worker
 *     probeProvider  may this execution provider be used here?         → probed
 *     load           verify the bytes, create the session, run it once → loaded | loadFailed
 *     unload         release the session                               (no reply)
 *     batch          answer these items with a loaded version          → started, then done
 *     examine        what the file itself says of its graph            → examined | failed
 *     compare        do these items answer the same beside mates?      → compared | failed
 *
 *   worker → server
 *     ready          once, when it can take messages
 *     started        the graph begins to run: the watchdog's clock starts (only where the run, or preparing it, may be
 *                    long); says how much there is to run, where only cutting texts into tokens tells
 *     done           one result for each item of the batch, in order
 *
 * A worker takes messages in order. It may prepare a second batch while the first one runs, never more.
 * What can go wrong at any moment: the process ends. Then whoever waits for a reply is told by the exit, and a reply
 * of an older process can never be taken for one of a newer, because each process has its own channel.
 */
import type { Answer } from '../tasks/answer.js';
import type { ItemFailure } from '../tasks/failures.js';
import type { GraphFacts } from '../tasks/sources.js';
import type { Item, VersionSpec } from '../tasks/tasks.js';

/** A version as the engine knows it: no names, no SQL. */
export interface EngineVersion {
  /** Identifies artifact and spec together. */
  readonly key: string;
  /** For messages only. */
  readonly ref: string;
  readonly spec: VersionSpec;
  readonly artifactSha256: string;
  readonly artifactPath: string;
  /** Where texts are cut into tokens: the blob of `spec.text.tokenizerSha256`. */
  readonly tokenizerPath: string | null;
}

export interface LoadMessage {
  readonly kind: 'load';
  readonly key: string;
  readonly spec: VersionSpec;
  readonly tokenizerPath: string | null;
  readonly artifactSha256: string;
  readonly artifactPath: string;
  readonly provider: string;
  /** Run once before the version counts as loaded: the first run is the slowest. */
  readonly warmUp: Item | null;
}

export interface BatchMessage {
  readonly kind: 'batch';
  readonly id: number;
  readonly key: string;
  readonly items: readonly Item[];
  /** Is `started` wanted? For what is surely short it would cost more than it tells. */
  readonly announceStart: boolean;
}

export type ToWorker =
  | LoadMessage
  | { readonly kind: 'probeProvider'; readonly provider: string }
  | { readonly kind: 'unload'; readonly key: string }
  | BatchMessage
  | { readonly kind: 'examine'; readonly artifactPath: string; readonly artifactSha256: string }
  | { readonly kind: 'checkBatchInvariance'; readonly key: string; readonly items: readonly Item[] };

export type ItemResult = { readonly answer: Answer } | { readonly failure: ItemFailure };

export interface BatchTiming {
  readonly preprocessMs: number;
  readonly inferMs: number;
  readonly postprocessMs: number;
}

export type FromWorker =
  | { readonly kind: 'ready' }
  | { readonly kind: 'probed'; readonly available: boolean; readonly reason: string | null }
  | { readonly kind: 'loaded'; readonly key: string }
  | { readonly kind: 'loadFailed'; readonly key: string; readonly message: string }
  | { readonly kind: 'started'; readonly id: number; readonly tokens: number | null }
  | {
      readonly kind: 'done';
      readonly id: number;
      readonly results: readonly ItemResult[];
      readonly timing: BatchTiming;
    }
  | { readonly kind: 'examined'; readonly facts: GraphFacts }
  /** How an answer changed beside mates of the same length, and beside longer ones; null where it did not. */
  | { readonly kind: 'batchInvariance'; readonly difference: string | null; readonly padding: string | null }
  | { readonly kind: 'failed'; readonly message: string };
