/**
 * The logic of a worker process: it loads versions, runs batches and answers the other messages of the protocol in
 * `messages.ts`. It takes its channel and all native libraries as arguments, so it also runs without a process.
 *
 * Batches run one at a time, in order of arrival. The next batch is preprocessed while the current one runs. An item
 * that fails in preprocessing, in the graph or in postprocessing fails alone.
 */

import path from 'node:path';
import {
  type BatchTiming,
  type CancelMessage,
  type DataBlobs,
  type FromWorker,
  type ItemResult,
  type LoadMessage,
  MAX_RUN_MS,
  type ToWorker,
} from '../engine/messages.js';
import { faultPoint } from '../fault-points.js'; // @fault
import { withLocations } from '../onnx/external-data.js';
import { readGraphFile } from '../onnx/graph-file.js';
import { scanGraph } from '../onnx/graph-scan.js';
import { runnableGraph } from '../onnx/runnable.js';
import type { TensorData } from '../tasks/datatypes.js';
import { type Preprocessed, type Tools } from '../tasks/define-task.js';
import {
  EXAMPLE_FAILED,
  type ItemFailure,
  isOutOfMemory,
  UnreadableItemError,
  UnusableOutputError,
} from '../tasks/failures.js';
import { explainLoadFailure, explainRunFailure } from '../tasks/graph-failures.js';
import { type Tokenizer, withoutSpecialTokens } from '../tasks/sequences.js';
import type { DataFile } from '../tasks/spec.js';
import { readsBags } from '../tasks/static-embedding.js';
import type { VersionSpec } from '../tasks/tasks.js';
import { type Item, outputsUsed, preprocessItem, taskNamed } from '../tasks/tasks.js';
import { formRuns, rowsOf, split, stack } from './batch.js';
import { checkBatchInvariance } from './batch-invariance.js';
import { Locales } from './locales.js';
import type { OpenSession } from './native/session-thread.js';
import { observeScores } from './observe-scores.js';

/** The native parts of a worker, passed in by the entry file. */
export interface WorkerRuntime {
  readonly tools: Omit<Tools, 'tokenizer'>;
  /** Reads an artifact and checks its SHA-256. */
  readonly readArtifact: (file: string, sha256: string) => Promise<Uint8Array>;
  /** Checks the SHA-256 of a file that is too large to be in memory. */
  readonly verifyFile: (file: string, sha256: string) => Promise<void>;
  /** `dataFolder`: the only folder from which data files are read; null if the graph has none. */
  readonly openSession: (bytes: Uint8Array, provider: string, dataFolder: string | null) => Promise<OpenSession>;
  readonly openTokenizer: (bytes: Uint8Array) => Promise<Tokenizer>;
  /** Data memory of this process in bytes; null on platforms without `/proc`. */
  readonly dataBytes: () => Promise<number | null>;
  /** Frees the native memory of JavaScript objects that nobody refers to anymore. */
  readonly freeNativeMemory: () => Promise<void>;
}

/** A message to the worker of this kind, with its number. */
type Numbered<K extends ToWorker['kind']> = Extract<ToWorker, { kind: K }>;

type PreprocessedItem = Preprocessed | { readonly failure: ItemFailure };

interface Loaded {
  readonly spec: VersionSpec;
  readonly session: OpenSession;
  readonly tools: Tools;
}

/** See the reply `loaded`. */
interface LoadMeasure {
  residentBytes: number | null;
  loadMs: number;
  warmUpMs: number;
}

/** One row of an item, waiting for its run. */
interface PendingRow {
  readonly item: number;
  /** The index of this row in its item. */
  readonly place: number;
  readonly tensors: readonly TensorData[];
  /** The outputs that the item needs; null for all. */
  readonly wanted: readonly string[] | null;
}

type RowOutcome = { readonly outputs: readonly TensorData[] } | { readonly failure: ItemFailure };

export class WorkerBody {
  readonly #runtime: WorkerRuntime;
  readonly #send: (message: FromWorker) => void;
  readonly #locales: Locales;
  /** Promises, because a batch may arrive while its version is still loading, and then waits for it. */
  readonly #loaded = new Map<string, Promise<Loaded>>();
  /** For each outstanding batch, the positions of the items that nobody waits for anymore. */
  readonly #cancelled = new Map<number, Set<number>>();
  /** Resolves when a session that keeps the driver of a GPU running is open, or cannot be opened; null before the first load. */
  #context: Promise<unknown> | null = null;
  /** Resolves when all earlier work has finished. */
  #turn: Promise<void> = Promise.resolve();

  constructor(runtime: WorkerRuntime, send: (message: FromWorker) => void) {
    this.#runtime = runtime;
    this.#send = send;
    this.#locales = new Locales((bytes, provider) => runtime.openSession(bytes, provider, null));
  }

  receive(message: ToWorker): Promise<void> {
    if (message.kind === 'batch') return this.#receiveBatch(message);
    if (message.kind === 'cancel') return this.#cancel(message);
    if (message.kind === 'load') return this.#receiveLoad(message);
    if (message.kind === 'unload') return this.#receiveUnload(message);
    return this.#inTurn(() => this.#perform(message));
  }

  async #perform(message: Exclude<ToWorker, { kind: 'batch' | 'cancel' | 'load' | 'unload' }>): Promise<void> {
    try {
      if (message.kind === 'checkProvider') await this.#checkProvider(message);
      else if (message.kind === 'examine') await this.#examine(message);
      else if (message.kind === 'observeScores') await this.#observeScores(message);
      else await this.#checkBatchInvariance(message);
    } catch (error) {
      this.#send({ kind: 'failed', id: message.id, message: messageOf(error) });
    }
  }

  async #receiveLoad(message: Numbered<'load'>): Promise<void> {
    const { id, key } = message;
    const measure: LoadMeasure = { residentBytes: null, loadMs: 0, warmUpMs: 0 };
    const loading = this.#loaded.get(key) ?? this.#inTurn(() => this.#measureLoad(message, measure));
    this.#loaded.set(key, loading);
    try {
      await loading;
      this.#send({ kind: 'loaded', id, key, ...measure });
    } catch (error) {
      if (this.#loaded.get(key) === loading) this.#loaded.delete(key);
      this.#send({ kind: 'loadFailed', id, key, message: messageOf(error) });
    }
  }

  async #measureLoad(message: LoadMessage, measure: LoadMeasure): Promise<Loaded> {
    await this.#openContext(message.provider);
    const before = await this.#runtime.dataBytes();
    const begun = performance.now();
    const loaded = await this.#load(message, measure);
    measure.loadMs = performance.now() - begun;
    const after = await this.#runtime.dataBytes();
    if (before !== null && after !== null) measure.residentBytes = Math.max(0, after - before);
    return loaded;
  }

  /**
   * The first session on a GPU starts the driver, and the last one that is released may end it. One small session stays
   * open, so that neither its time nor its memory, which is hundreds of megabytes with CUDA, counts as that of a version.
   */
  #openContext(provider: string): Promise<unknown> {
    if (provider === 'cpu') return Promise.resolve();
    // If this fails, the load of the version fails too, and says why.
    this.#context ??= this.#runIdentity(provider).catch(() => null);
    return this.#context;
  }

  async #runIdentity(provider: string): Promise<OpenSession> {
    const session = await this.#runtime.openSession(Buffer.from(IDENTITY_MODEL), provider, null);
    await session.run([{ name: 'x', datatype: 'FP32', shape: [1], data: Float32Array.of(1) }]);
    return session;
  }

  async #load(message: LoadMessage, measure: LoadMeasure): Promise<Loaded> {
    const { spec, artifactPath, artifactSha256, dataBlobs, provider, warmUp } = message;
    faultPoint('worker.load.begin'); // @fault
    const { bytes } = runnableGraph(await this.#runtime.readArtifact(artifactPath, artifactSha256));
    const tokenizer = await this.#openTokenizer(message);
    const session = await this.#openGraph(await this.#locales.runnable(bytes), provider, {
      dataFiles: spec.dataFiles ?? [],
      dataBlobs,
    });
    faultPoint('worker.load.opened'); // @fault
    const loaded = { spec, session, tools: { ...this.#runtime.tools, tokenizer } };
    try {
      measure.warmUpMs = await this.#warmUp(warmUp, loaded);
      // The first run may have compiled kernels or read weights for the first time, and then says little.
      if (measure.warmUpMs > MAX_RUN_MS)
        measure.warmUpMs = Math.min(measure.warmUpMs, await this.#warmUp(warmUp, loaded));
    } catch (error) {
      await session.release();
      throw error;
    }
    faultPoint('worker.load.warm'); // @fault
    return loaded;
  }

  /**
   * Runs the first row of the example. Returns how long it took, in milliseconds.
   *
   * @throws Error whose message begins with `EXAMPLE_FAILED`
   */
  async #warmUp(item: Item, { spec, session, tools }: Loaded): Promise<number> {
    const begun = performance.now();
    try {
      const [row] = (await preprocessItem(item, spec, tools)).rows;
      if (row) await session.run(row).catch((error) => Promise.reject(new Error(explainRunFailure(messageOf(error)))));
    } catch (error) {
      throw new Error(`${EXAMPLE_FAILED}${messageOf(error)}`);
    }
    return performance.now() - begun;
  }

  /** Opens a graph that `scanGraph` has accepted, with its data files. Takes `bytes` over. */
  async #openGraph(
    bytes: Uint8Array,
    provider: string,
    { dataFiles, dataBlobs: { folder, paths } }: { dataFiles: readonly DataFile[]; dataBlobs: DataBlobs },
  ): Promise<OpenSession> {
    if (dataFiles.length === 0) return this.#runtime.openSession(bytes, provider, null);
    const names = new Map<string, string>();
    for (const [i, { location, sha256 }] of dataFiles.entries()) {
      const blob = paths[i] ?? '';
      await this.#runtime.verifyFile(blob, sha256);
      names.set(location, path.relative(folder, blob));
    }
    return this.#runtime.openSession(withLocations(bytes, names), provider, folder);
  }

  async #openTokenizer({ spec, tokenizerPath }: LoadMessage): Promise<Tokenizer | null> {
    if (!spec.text || !tokenizerPath) return null;
    const bytes = await this.#runtime.readArtifact(tokenizerPath, spec.text.tokenizerSha256);
    const tokenizer = await this.#runtime.openTokenizer(bytes);
    return spec.text.addSpecialTokens === false ? withoutSpecialTokens(tokenizer) : tokenizer;
  }

  /** Batches received before hold the version until they have run; a load received after opens it anew. */
  async #receiveUnload({ id, key }: Numbered<'unload'>): Promise<void> {
    const loading = this.#loaded.get(key);
    this.#loaded.delete(key);
    await this.#inTurn(async () => {
      const loaded = await loading?.catch(() => null);
      await loaded?.session.release();
      if (loaded?.tools.tokenizer) await this.#runtime.freeNativeMemory();
    });
    this.#send({ kind: 'unloaded', id, key });
  }

  async #checkProvider({ id, provider }: Numbered<'checkProvider'>): Promise<void> {
    try {
      await this.#runIdentity(provider);
      this.#send({ kind: 'providerChecked', id, available: true, reason: null });
    } catch (error) {
      this.#send({ kind: 'providerChecked', id, available: false, reason: messageOf(error) });
    }
  }

  async #examine({ id, artifactPath, artifactSha256, dataFiles, dataBlobs }: Numbered<'examine'>): Promise<void> {
    const bytes = await this.#runtime.readArtifact(artifactPath, artifactSha256);
    const reasons = scanGraph(bytes, new Map(dataFiles.map(({ location, sizeBytes }) => [location, sizeBytes])));
    if (reasons.length > 0) throw new Error(`the ONNX file is not supported: ${reasons.join('; ')}`);
    const { bytes: runnable, zipMap, sequences } = runnableGraph(bytes);
    // Before the session is opened, which takes the bytes over.
    const read = readGraphFile(runnable);
    const opening = this.#openGraph(await this.#locales.runnable(runnable), 'cpu', { dataFiles, dataBlobs });
    const session = await opening.catch((error) => {
      throw new Error(explainLoadFailure(messageOf(error), read));
    });
    faultPoint('worker.examined'); // @fault
    const { inputs, outputs } = session;
    await session.release();
    this.#send({ kind: 'examined', id, facts: { inputs, outputs, zipMap, sequences, ...read } });
  }

  async #observeScores({ id, key, items }: Numbered<'observeScores'>): Promise<void> {
    const { spec, session, tools } = await this.#get(key);
    if (spec.head.kind !== 'scores') throw new Error(`${key} has no scores. This is a bug.`);
    // An item that cannot be read fails when it is predicted, with a message that says which one it is.
    const preprocessed = await Promise.allSettled(items.map((item) => preprocessItem(item, spec, tools)));
    const rows = preprocessed.flatMap((one) => (one.status === 'fulfilled' ? one.value.rows : []));
    this.#send({ kind: 'scoresObserved', id, scores: await observeScores(session, rows, spec.head) });
  }

  async #checkBatchInvariance({ id, key, items }: Numbered<'checkBatchInvariance'>): Promise<void> {
    const { spec, session, tools } = await this.#get(key);
    const preprocessed = await Promise.all(items.map((item) => preprocessItem(item, spec, tools)));
    const rows = preprocessed.flatMap(({ rows }) => rows);
    this.#send({
      kind: 'batchInvariance',
      id,
      ...(await checkBatchInvariance(session, rows, spec, tools.tokenizer?.vocabularySize)),
    });
  }

  async #get(key: string): Promise<Loaded> {
    const loaded = this.#loaded.get(key);
    if (!loaded) throw new Error(`${key} is not loaded here. This is a bug.`);
    return loaded;
  }

  async #receiveBatch({ id, key, items, announceStart }: Numbered<'batch'>): Promise<void> {
    faultPoint('worker.batch.received'); // @fault
    const cancelled = new Set<number>();
    this.#cancelled.set(id, cancelled);
    const loading = this.#get(key).catch(() => null);
    const preprocessing = loading.then((loaded) => this.#preprocess(items, loaded, cancelled));
    await this.#inTurn(async () => {
      const [loaded, { preprocessed, preprocessMs }] = await Promise.all([loading, preprocessing]);
      faultPoint('worker.batch.preprocessed'); // @fault
      if (announceStart)
        this.#send({ kind: 'started', id, tokens: loaded?.spec.text ? tokensOfBatch(preprocessed) : null });
      const { results, timing } = await this.#run(loaded, preprocessed, items, cancelled);
      this.#cancelled.delete(id);
      this.#send({ kind: 'done', id, results, timing: { preprocessMs, ...timing } });
    });
  }

  async #cancel({ batch, items }: CancelMessage): Promise<void> {
    for (const item of items) this.#cancelled.get(batch)?.add(item);
  }

  /**
   * A few items at a time, because each decoded image takes up to 75 MB. The time does not include the load of the
   * version, nor the run of the batch before.
   */
  async #preprocess(
    items: readonly Item[],
    loaded: Loaded | null,
    cancelled: ReadonlySet<number>,
  ): Promise<{ preprocessed: PreprocessedItem[]; preprocessMs: number }> {
    const begun = performance.now();
    const preprocessed: PreprocessedItem[] = [];
    const rest = items.entries();
    const preprocessNext = async () => {
      for (const [i, item] of rest)
        preprocessed[i] = cancelled.has(i) ? { failure: NOT_RUN } : await this.#preprocessOne(item, loaded);
    };
    await Promise.all(Array.from({ length: PREPROCESSED_AT_ONCE }, preprocessNext));
    return { preprocessed, preprocessMs: performance.now() - begun };
  }

  async #preprocessOne(item: Item, loaded: Loaded | null): Promise<PreprocessedItem> {
    if (!loaded) return { failure: { kind: 'inference', message: 'the version is not loaded here' } };
    try {
      return await preprocessItem(item, loaded.spec, loaded.tools);
    } catch (error) {
      if (error instanceof UnreadableItemError) return { failure: { kind: 'input', ...error.problem } };
      return { failure: failureOf(error) };
    }
  }

  /** Postprocesses each item as soon as its last row has run, so that its outputs, which may be large, can be freed. */
  async #run(
    loaded: Loaded | null,
    preprocessed: readonly PreprocessedItem[],
    items: readonly Item[],
    cancelled: ReadonlySet<number>,
  ): Promise<{ results: ItemResult[]; timing: Omit<BatchTiming, 'preprocessMs'> }> {
    const results: ItemResult[] = preprocessed.map((one) => ('failure' in one ? one : { failure: NOT_RUN }));
    const timing = { inferMs: 0, postprocessMs: 0 };
    if (!loaded) return { results, timing };
    const rows = rowsOfItems(preprocessed, items, loaded.spec);
    const found = new Map<number, Map<number, RowOutcome>>();
    for (const planned of runsOf(rows, loaded.spec)) {
      const run = planned.filter(({ item }) => !cancelled.has(item));
      if (run.length === 0) continue;
      const answered = await this.#runTogether(loaded, run, timing);
      const begun = performance.now();
      for (const [i, { item, place }] of run.entries()) {
        const own = found.get(item) ?? new Map<number, RowOutcome>();
        found.set(item, own.set(place, answered[i] as RowOutcome));
        const one = preprocessed[item] as Preprocessed;
        if (own.size < one.rows.length) continue;
        results[item] = postprocessItem(own, one);
        found.delete(item);
      }
      timing.postprocessMs += performance.now() - begun;
    }
    return { results, timing };
  }

  async #runTogether(loaded: Loaded, rows: readonly PendingRow[], timing: { inferMs: number }): Promise<RowOutcome[]> {
    const begun = performance.now();
    try {
      faultPoint('worker.run.begin'); // @fault
      const outputs = await loaded.session.run(stack(rows.map(({ tensors }) => tensors)), rows[0]?.wanted ?? null);
      faultPoint('worker.run.end'); // @fault
      const counts = rows.map(({ tensors }) => rowsOf(tensors));
      return split(outputs, counts).map((own) => ({ outputs: own }));
    } catch (error) {
      // An error of the graph does not say which row caused it, so each row is run alone.
      const failure = failureOf(error);
      if (rows.length === 1) return [{ failure }];
      // After a failed allocation this process is unreliable: the engine retries each item in quarantine.
      if (failure.kind === 'memory') return rows.map(() => ({ failure }));
      const alone = [];
      for (const row of rows) alone.push(...(await this.#runTogether(loaded, [row], { inferMs: 0 })));
      return alone;
    } finally {
      timing.inferMs += performance.now() - begun;
    }
  }

  async #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const before = this.#turn;
    const mine = Promise.withResolvers<void>();
    this.#turn = mine.promise;
    await before;
    return work().finally(mine.resolve);
  }
}

/** The number of threads in which Node decodes images and tokenizes texts. */
const PREPROCESSED_AT_ONCE = 4;

const NOT_RUN: ItemFailure = { kind: 'inference', message: 'the input was not run' };

/** The number of tokens in all rows of a batch. */
function tokensOfBatch(preprocessed: readonly PreprocessedItem[]): number {
  const rows = preprocessed.flatMap((one) => ('failure' in one ? [] : one.rows));
  return rows.reduce((sum, [first]) => sum + (first?.data.length ?? 0), 0);
}

/** Tokens per run, unless the task sets a limit: the memory of attention grows with the square of a row's length. */
const MAX_TOKENS_PER_RUN = 4_096;

function rowsOfItems(
  preprocessed: readonly PreprocessedItem[],
  items: readonly Item[],
  spec: VersionSpec,
): PendingRow[] {
  return preprocessed.flatMap((one, item) => {
    if ('failure' in one) return [];
    const wanted = outputsUsed(spec, items[item] as Item);
    return one.rows.map((tensors, place) => ({ item, place, tensors, wanted }));
  });
}

/**
 * Items that need all outputs (tensor inputs) do not share a run with items that need specific ones. Where a caller says
 * itself at which token a text begins, its input runs alone, so that no text reaches into that of another caller.
 */
function runsOf(rows: readonly PendingRow[], { maxBatch, task, inputs, text }: VersionSpec): PendingRow[][] {
  const maxValues = taskNamed(task).tokens?.maxTokensPerRun ?? MAX_TOKENS_PER_RUN;
  const maxOfCallers = text && readsBags(inputs) ? 1 : maxBatch;
  const runs = (alike: readonly PendingRow[], maxRows: number) =>
    formRuns(
      alike.map(({ tensors }) => tensors),
      { maxRows, maxValues },
    ).map((run) => run.map((i) => alike[i] as PendingRow));
  return [
    ...runs(
      rows.filter(({ wanted }) => wanted !== null),
      maxBatch,
    ),
    ...runs(
      rows.filter(({ wanted }) => wanted === null),
      maxOfCallers,
    ),
  ];
}

function postprocessItem(found: ReadonlyMap<number, RowOutcome>, { rows, postprocess }: Preprocessed): ItemResult {
  const outputs: (readonly TensorData[])[] = [];
  for (const place of rows.keys()) {
    const row = found.get(place) as RowOutcome;
    if ('failure' in row) return row;
    outputs.push(row.outputs);
  }
  try {
    return { answer: postprocess(outputs) };
  } catch (error) {
    if (!(error instanceof UnusableOutputError)) throw error;
    return { failure: { kind: 'inference', message: error.message } };
  }
}

function failureOf(error: unknown): ItemFailure {
  const message = messageOf(error);
  return { kind: isOutOfMemory(message) ? 'memory' : 'inference', message };
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** A minimal model to test an execution provider with: y = Identity(x), x: float[N], IR version 8, opset 13. */
const IDENTITY_MODEL = Buffer.from(
  'CAg6OQoQCgF4EgF5IghJZGVudGl0eRIBZ1oQCgF4EgsKCQgBEgUKAxIBTmIQCgF5EgsKCQgBEgUKAxIBTkIECgAQDQ==',
  'base64',
);
