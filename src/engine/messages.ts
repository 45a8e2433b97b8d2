/**
 * The protocol between the server and a worker. Messages are sent as frames (see `frames.ts`) over a pipe.
 *
 *   server → worker                                                                reply
 *     checkProvider         test whether an execution provider works on this host  providerChecked
 *     load                  verify the artifact, create a session, warm it up      loaded | loadFailed
 *     unload                release the session after the batches sent before it    unloaded | failed
 *     batch                 run these items with a loaded version                  started (optional), then done
 *     numericBatch          run these stacked rows of numbers                      started (optional), then ran
 *     cancel                do not compute these items of an outstanding batch     (none)
 *     examine               read the tensors and metadata of an ONNX file          examined | failed
 *     observeScores         look at the scores of these items and of similar ones  scoresObserved | failed
 *     checkBatchInvariance  test whether answers depend on the rest of the batch   batchInvariance | failed
 *     makeThumbnail         decode an image and make a small one                   thumbnailMade | failed
 *     hidePatches           decode an image, resize it, and hide parts of it       patchesHidden | failed
 *
 *   worker → server
 *     ready                 sent once, when the worker accepts messages
 *     started               preprocessing is done and the run starts, so the watchdog starts too. Sent only if the
 *                           batch asked for it. For text models it carries the number of tokens to run.
 *     done                  one result per item of the batch, in the same order, cancelled ones included
 *     ran                   the outputs of the graph, from which the server computes the answers: see `tasks/numeric.ts`
 *
 * Each message to a worker has a number, unique for that worker, which its replies repeat. `protocol.ts` checks every
 * message from a worker against what it was asked.
 *
 * A worker handles messages in order. It preprocesses at most one further batch while a batch runs. The process may
 * exit at any moment: whoever waits for a reply then learns it from the exit. A late reply of a dead process cannot be
 * mistaken for one of its replacement, because each process has its own channel.
 */
import { isBlock, itemsOf, type QueuedItem } from '../tasks/block.js';
import type { ItemResult } from '../tasks/failures.js';
import { type NumericBatch, type NumericRun, resultsOf, stackItems } from '../tasks/numeric.js';
import type { ObservedScores } from '../tasks/score-head.js';
import type { GraphFacts } from '../tasks/sources.js';
import type { DataFile } from '../tasks/spec.js';
import { checkInput, type Item, type VersionSpec } from '../tasks/tasks.js';

/** Where the data files of a graph are. */
export interface DataBlobs {
  /** Contains blobs and nothing else. ONNX Runtime opens no data outside of it. */
  readonly folder: string;
  /** Files in it, in the order of `dataFiles` of the spec. */
  readonly paths: readonly string[];
}

/** What a worker needs to load and run a version. */
export interface LoadableVersion {
  /** Unique for each combination of artifact and spec. */
  readonly key: string;
  /** Shown in error messages only. */
  readonly ref: string;
  readonly spec: VersionSpec;
  readonly artifactSha256: string;
  readonly artifactPath: string;
  readonly dataBlobs: DataBlobs;
  /** File with the blob of `spec.text.tokenizerSha256`; null for models that do not read text. */
  readonly tokenizerPath: string | null;
}

export interface EngineVersion extends LoadableVersion {
  /** Size of the artifact with its data files. The memory that the version will take is estimated from it. */
  readonly artifactBytes: number;
}

/**
 * Longest time that the run of a batch is planned to take. A run cannot be interrupted, so longer work is split into
 * several batches: between them, other versions get their turn, and inputs that nobody waits for are dropped.
 */
export const MAX_RUN_MS = 200;

export interface LoadMessage {
  readonly kind: 'load';
  readonly key: string;
  readonly spec: VersionSpec;
  readonly tokenizerPath: string | null;
  readonly artifactSha256: string;
  readonly artifactPath: string;
  readonly dataBlobs: DataBlobs;
  /** Graphs that it has no code for run on the CPU. */
  readonly provider: string;
  /** Runs before the version counts as loaded, because the first run of a session is the slowest. */
  readonly warmUp: Item;
}

interface BatchOptions {
  readonly key: string;
  /** Whether the worker sends `started`. Not worth the message for runs that are known to be short. */
  readonly announceStart: boolean;
  /** Whether the reply says what the batch has used. Not worth its time for batches that are neither suspected nor measured. */
  readonly measureUse: boolean;
}

export interface BatchMessage extends BatchOptions {
  readonly kind: 'batch';
  readonly items: readonly Item[];
}

/** A batch of numbers. Travels as one flat frame: see `numeric-frames.ts`. */
export interface NumericBatchMessage extends BatchOptions, NumericBatch {
  readonly kind: 'numericBatch';
}

/**
 * Nobody waits for these items anymore. The worker checks before it preprocesses an item and before each run: a run
 * that has begun cannot be interrupted. A cancellation for a batch that is done already has no effect.
 */
export interface CancelMessage {
  readonly kind: 'cancel';
  /** The number of the batch message. */
  readonly batch: number;
  /** Positions in the batch. */
  readonly items: readonly number[];
}

/** A graph that is not known yet, with its data files. */
interface ExaminedFiles {
  readonly artifactPath: string;
  readonly artifactSha256: string;
  readonly dataFiles: readonly DataFile[];
  readonly dataBlobs: DataBlobs;
}

/** What a worker is asked to do. */
export type Command =
  | LoadMessage
  | { readonly kind: 'checkProvider'; readonly provider: string }
  | { readonly kind: 'unload'; readonly key: string }
  | BatchMessage
  | NumericBatchMessage
  | CancelMessage
  | ({ readonly kind: 'examine' } & ExaminedFiles)
  | { readonly kind: 'observeScores'; readonly key: string; readonly items: readonly Item[] }
  | { readonly kind: 'checkBatchInvariance'; readonly key: string; readonly items: readonly Item[] }
  | { readonly kind: 'makeThumbnail'; readonly image: Uint8Array; readonly maxSize: number }
  | ({ readonly kind: 'hidePatches' } & ImageToHide);

interface Numbered {
  readonly id: number;
}
export type ToWorker = Command & Numbered;

export interface BatchTiming {
  readonly preprocessMs: number;
  readonly inferMs: number;
  readonly postprocessMs: number;
}

/** What a process has used for a batch. */
export interface BatchUse {
  /** CPU time of all threads. */
  readonly cpuMs: number;
  /** By how much its memory had grown when it was largest; null on platforms without `/proc`. */
  readonly grownBytes: number | null;
}

/** A rectangle, in pixels. */
interface Rectangle {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

/** An image of which one copy is made for each patch, without what is in it. */
export interface ImageToHide {
  readonly image: Uint8Array;
  /** Of the copies. */
  readonly width: number;
  readonly height: number;
  readonly patches: readonly Rectangle[];
}

/** An encoded image. */
export interface Thumbnail {
  readonly bytes: Uint8Array;
  readonly width: number;
  readonly height: number;
  readonly mediaType: 'image/jpeg' | 'image/webp';
}

type Reply =
  | { readonly kind: 'providerChecked'; readonly available: boolean; readonly reason: string | null }
  /**
   * `residentBytes`: how much the data memory of the process has grown; null on platforms without `/proc`. `loadMs`: from
   * reading the artifact to the end of the warm-up. `warmUpMs`: the warm-up run alone, with its preprocessing,
   * and `warmUpCpuMs` the CPU time of all threads meanwhile. `executionProvider`: the one that was asked for, or "cpu" for
   * graphs that only the CPU can run.
   */
  | {
      readonly kind: 'loaded';
      readonly key: string;
      readonly residentBytes: number | null;
      readonly loadMs: number;
      readonly warmUpMs: number;
      readonly warmUpCpuMs: number;
      readonly executionProvider: string;
    }
  | { readonly kind: 'loadFailed'; readonly key: string; readonly message: string }
  | { readonly kind: 'unloaded'; readonly key: string }
  | { readonly kind: 'started'; readonly tokens: number | null }
  | {
      readonly kind: 'done';
      readonly results: readonly ItemResult[];
      readonly timing: BatchTiming;
      readonly use: BatchUse | null;
    }
  | {
      readonly kind: 'ran';
      /** Each item of the batch is in exactly one of them, cancelled ones included. */
      readonly runs: readonly NumericRun[];
      readonly timing: BatchTiming;
      readonly use: BatchUse | null;
    }
  | { readonly kind: 'examined'; readonly facts: GraphFacts }
  | { readonly kind: 'scoresObserved'; readonly scores: ObservedScores }
  /**
   * `difference`: how an answer changed next to other rows of the same shape; `padding`: how it changed when the row
   * was padded to the length of a longer one. Null if no answer changed.
   */
  | { readonly kind: 'batchInvariance'; readonly difference: string | null; readonly padding: string | null }
  | { readonly kind: 'thumbnailMade'; readonly thumbnail: Thumbnail }
  /** PNG, one for each patch. */
  | { readonly kind: 'patchesHidden'; readonly images: readonly Uint8Array[] }
  | { readonly kind: 'failed'; readonly message: string };

export type FromWorker = { readonly kind: 'ready' } | (Reply & Numbered);

export type DoneMessage = Extract<FromWorker, { kind: 'done' }>;
export type BatchReply = Extract<FromWorker, { kind: 'done' | 'ran' }>;

/** The message that loads a version. The version's example is its warm-up item. */
export function loadMessage(version: LoadableVersion, provider: string): LoadMessage {
  const { key, spec, artifactSha256, artifactPath, dataBlobs, tokenizerPath } = version;
  const warmUp = checkInput(spec, spec.example, []);
  return { kind: 'load', key, spec, artifactSha256, artifactPath, dataBlobs, tokenizerPath, provider, warmUp };
}

/** The message that runs items of a loaded version. Its results have `placesOf` places for each. */
export function batchMessage(
  spec: VersionSpec,
  queued: readonly QueuedItem[],
  options: BatchOptions,
): BatchMessage | NumericBatchMessage {
  const { key, announceStart, measureUse } = options;
  const stacked = stackItems(queued, spec);
  if (!stacked) {
    const items = queued.flatMap((item) => (isBlock(item) ? itemsOf(item, spec) : item));
    return { kind: 'batch', key, items, announceStart, measureUse };
  }
  const { counts, inputs, areTensors } = stacked;
  return { kind: 'numericBatch', key, counts, inputs, areTensors, announceStart, measureUse };
}

/** What is remembered of a message that was sent. */
export function withoutValues<Message extends { readonly kind: string }>(message: Message): Message {
  if (message.kind === 'makeThumbnail' || message.kind === 'hidePatches')
    return { ...message, image: new Uint8Array() };
  return message.kind === 'numericBatch' ? { ...message, inputs: [] } : message;
}

/** A reply to a batch with the answers, computed here if the worker has sent outputs. `report`: as for `resultsOf`. */
export function answered(
  reply: BatchReply,
  batch: BatchMessage | NumericBatchMessage,
  spec: VersionSpec,
  report: (bug: unknown) => void,
): DoneMessage {
  if (reply.kind === 'done') return reply;
  const begun = performance.now();
  const results = resultsOf(reply.runs, batch as NumericBatchMessage, spec, report);
  const { id, timing, use } = reply;
  const { preprocessMs, inferMs } = timing;
  return {
    kind: 'done',
    id,
    results,
    timing: { preprocessMs, inferMs, postprocessMs: performance.now() - begun },
    use,
  };
}
