/**
 * What runs inside a worker process. See `messages.ts` for the protocol.
 *
 * Batches run one after the other in the order they came; the next is preprocessed while the running one is in native
 * code. One bad item fails alone: while it is preprocessed, or when its part of the answer is finished.
 */

import type { BatchMessage, BatchTiming, FromWorker, ItemResult, LoadMessage, ToWorker } from '../engine/messages.js';
import { faultPoint } from '../fault-points.js'; // @fault
import { readGraphFile } from '../onnx/graph-file.js';
import { scanGraph } from '../onnx/graph-scan.js';
import { withoutZipMap } from '../onnx/zip-map.js';
import type { TensorData } from '../tasks/datatypes.js';
import { type Preprocessed, type Tools } from '../tasks/define-task.js';
import { type ItemFailure, UnreadableItemError, UnusableOutput } from '../tasks/failures.js';
import type { Tokenizer } from '../tasks/sequences.js';
import type { VersionSpec } from '../tasks/tasks.js';
import { type Item, outputsUsed, preprocess, taskNamed } from '../tasks/tasks.js';
import { formRuns, rowsOf, split, stack } from './batch.js';
import { checkBatchInvariance } from './batch-invariance.js';
import type { OpenSession } from './native/session-thread.js';

/** The native parts, handed in by the entry file. */
export interface Runtime {
  readonly tools: Omit<Tools, 'tokenizer'>;
  /** The bytes of an artifact, checked against its digest. */
  readonly readArtifact: (file: string, sha256: string) => Promise<Uint8Array>;
  readonly openSession: (bytes: Uint8Array, provider: string) => Promise<OpenSession>;
  readonly openTokenizer: (bytes: Uint8Array) => Promise<Tokenizer>;
}

type PreprocessedItem = Preprocessed | { readonly failure: ItemFailure };

interface Loaded {
  readonly spec: VersionSpec;
  readonly session: OpenSession;
  readonly tools: Tools;
}

/** One of the rows of an item. */
interface PendingRow {
  readonly item: number;
  /** Its place among the rows of the item. */
  readonly place: number;
  readonly tensors: readonly TensorData[];
  /** The outputs that are wanted; null: all. */
  readonly wanted: readonly string[] | null;
}

type RowOutcome = { readonly outputs: readonly TensorData[] } | { readonly failure: ItemFailure };

export class WorkerBody {
  readonly #runtime: Runtime;
  readonly #send: (message: FromWorker) => void;
  /** A batch may come while its version is still loading; then it waits for that. */
  readonly #loaded = new Map<string, Promise<Loaded>>();
  /** Ends when everything that came before has run. */
  #turn: Promise<void> = Promise.resolve();

  constructor(runtime: Runtime, send: (message: FromWorker) => void) {
    this.#runtime = runtime;
    this.#send = send;
  }

  receive(message: ToWorker): Promise<void> {
    if (message.kind === 'batch') return this.#receiveBatch(message);
    if (message.kind === 'load') return this.#receiveLoad(message);
    return this.#inTurn(() => this.#perform(message));
  }

  async #perform(message: Exclude<ToWorker, { kind: 'batch' | 'load' }>): Promise<void> {
    try {
      if (message.kind === 'unload') await this.#unload(message.key);
      else if (message.kind === 'probeProvider') await this.#probeProvider(message.provider);
      else if (message.kind === 'examine') await this.#examine(message);
      else await this.#checkBatchInvariance(message);
    } catch (error) {
      this.#send({ kind: 'failed', message: messageOf(error) });
    }
  }

  async #receiveLoad(message: LoadMessage): Promise<void> {
    const { key } = message;
    const loading = this.#loaded.get(key) ?? this.#inTurn(() => this.#load(message));
    this.#loaded.set(key, loading);
    try {
      await loading;
      this.#send({ kind: 'loaded', key });
    } catch (error) {
      this.#loaded.delete(key);
      this.#send({ kind: 'loadFailed', key, message: messageOf(error) });
    }
  }

  async #load(message: LoadMessage): Promise<Loaded> {
    const { spec, artifactPath, artifactSha256, provider, warmUp } = message;
    faultPoint('worker.load.begin'); // @fault
    const { bytes } = withoutZipMap(await this.#runtime.readArtifact(artifactPath, artifactSha256));
    const tokenizer = await this.#readTokenizer(message);
    const session = await this.#runtime.openSession(bytes, provider);
    faultPoint('worker.load.opened'); // @fault
    const loaded = { spec, session, tools: { ...this.#runtime.tools, tokenizer } };
    const [row] = warmUp ? (await preprocess(warmUp, spec, loaded.tools)).rows : [];
    if (row) await session.run(row);
    faultPoint('worker.load.warm'); // @fault
    return loaded;
  }

  async #readTokenizer({ spec, tokenizerPath }: LoadMessage): Promise<Tokenizer | null> {
    if (!spec.text || !tokenizerPath) return null;
    return this.#runtime.openTokenizer(await this.#runtime.readArtifact(tokenizerPath, spec.text.tokenizerSha256));
  }

  async #unload(key: string): Promise<void> {
    const loaded = await this.#loaded.get(key);
    this.#loaded.delete(key);
    await loaded?.session.release();
  }

  async #probeProvider(provider: string): Promise<void> {
    try {
      const session = await this.#runtime.openSession(IDENTITY_MODEL, provider);
      await session.run([{ name: 'x', datatype: 'FP32', shape: [1], data: Float32Array.of(1) }]);
      this.#send({ kind: 'probed', available: true, reason: null });
    } catch (error) {
      this.#send({ kind: 'probed', available: false, reason: messageOf(error) });
    }
  }

  async #examine({ artifactPath, artifactSha256 }: { artifactPath: string; artifactSha256: string }): Promise<void> {
    const bytes = await this.#runtime.readArtifact(artifactPath, artifactSha256);
    const reasons = scanGraph(bytes);
    if (reasons.length > 0) throw new Error(`the graph is refused: ${reasons.join('; ')}`);
    const { bytes: runnable, zipMap } = withoutZipMap(bytes);
    const session = await this.#runtime.openSession(runnable, 'cpu');
    faultPoint('worker.examined'); // @fault
    const { inputs, outputs } = session;
    await session.release();
    this.#send({ kind: 'examined', facts: { inputs, outputs, zipMap, ...readGraphFile(bytes) } });
  }

  async #checkBatchInvariance({ key, items }: { key: string; items: readonly Item[] }): Promise<void> {
    const { spec, session, tools } = await this.#get(key);
    const preprocessed = await Promise.all(items.map((item) => preprocess(item, spec, tools)));
    const rows = preprocessed.flatMap(({ rows }) => rows);
    this.#send({
      kind: 'batchInvariance',
      ...(await checkBatchInvariance(session, rows, spec, tools.tokenizer?.vocabularySize)),
    });
  }

  async #get(key: string): Promise<Loaded> {
    const loaded = this.#loaded.get(key);
    if (!loaded) throw new Error(`${key} is not loaded here. This is a bug.`);
    return loaded;
  }

  async #receiveBatch({ id, key, items, announceStart }: BatchMessage): Promise<void> {
    faultPoint('worker.batch.received'); // @fault
    const begun = performance.now();
    const loading = this.#get(key).catch(() => null);
    const preprocessing = loading.then((loaded) => Promise.all(items.map((item) => this.#preprocessOne(item, loaded))));
    await this.#inTurn(async () => {
      const [loaded, preprocessed] = await Promise.all([loading, preprocessing]);
      const preprocessMs = performance.now() - begun;
      faultPoint('worker.batch.preprocessed'); // @fault
      if (announceStart)
        this.#send({ kind: 'started', id, tokens: loaded?.spec.text ? countTokens(preprocessed) : null });
      const { results, timing } = await this.#run(loaded, preprocessed, items);
      this.#send({ kind: 'done', id, results, timing: { preprocessMs, ...timing } });
    });
  }

  async #preprocessOne(item: Item, loaded: Loaded | null): Promise<PreprocessedItem> {
    if (!loaded) return { failure: { kind: 'inference', message: 'the version is not loaded here' } };
    try {
      return await preprocess(item, loaded.spec, loaded.tools);
    } catch (error) {
      if (error instanceof UnreadableItemError) return { failure: { kind: 'input', ...error.what } };
      return { failure: failureOf(error) };
    }
  }

  /** Each item is finished as soon as its last row has run: outputs may be large. */
  async #run(
    loaded: Loaded | null,
    preprocessed: readonly PreprocessedItem[],
    items: readonly Item[],
  ): Promise<{ results: ItemResult[]; timing: Omit<BatchTiming, 'preprocessMs'> }> {
    const results: ItemResult[] = preprocessed.map((one) => ('failure' in one ? one : { failure: NOT_RUN }));
    const timing = { inferMs: 0, postprocessMs: 0 };
    if (!loaded) return { results, timing };
    const rows = rowsOfItems(preprocessed, items, loaded.spec);
    const found = new Map<number, Map<number, RowOutcome>>();
    for (const run of runsOf(rows, loaded.spec)) {
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
      // An error of the graph names no culprit: each row is tried alone, so that only the guilty fail.
      const failure = failureOf(error);
      if (rows.length === 1) return [{ failure }];
      // After a failed allocation even good inputs fail here: each goes to another process, alone.
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

const NOT_RUN: ItemFailure = { kind: 'inference', message: 'it was not run' };

/** In all rows of a batch. */
function countTokens(preprocessed: readonly PreprocessedItem[]): number {
  const rows = preprocessed.flatMap((one) => ('failure' in one ? [] : one.rows));
  return rows.reduce((sum, [first]) => sum + (first?.data.length ?? 0), 0);
}

/** Tokens in one run, unless the task says otherwise: the memory of attention grows with the square of a row's tokens. */
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

/** What is sent as tensors wants other outputs than the rest of the batch. */
function runsOf(rows: readonly PendingRow[], { maxBatch, task }: VersionSpec): PendingRow[][] {
  const limits = { maxRows: maxBatch, maxValues: taskNamed(task).tokens?.maxTokensPerRun ?? MAX_TOKENS_PER_RUN };
  return [rows.filter(({ wanted }) => wanted !== null), rows.filter(({ wanted }) => wanted === null)].flatMap((alike) =>
    formRuns(
      alike.map(({ tensors }) => tensors),
      limits,
    ).map((run) => run.map((i) => alike[i] as PendingRow)),
  );
}

function postprocessItem(
  found: ReadonlyMap<number, RowOutcome>,
  { rows, postprocess: finish }: Preprocessed,
): ItemResult {
  const outputs: (readonly TensorData[])[] = [];
  for (const place of rows.keys()) {
    const row = found.get(place) as RowOutcome;
    if ('failure' in row) return row;
    outputs.push(row.outputs);
  }
  try {
    return { answer: finish(outputs) };
  } catch (error) {
    if (!(error instanceof UnusableOutput)) throw error;
    return { failure: { kind: 'inference', message: error.message } };
  }
}

/** How ONNX Runtime, libvips and V8 say that they were refused memory. */
const NO_MEMORY = /bad_alloc|failed to allocate|out of memory|allocation failed|cannot allocate/i;

function failureOf(error: unknown): ItemFailure {
  const message = messageOf(error);
  return { kind: NO_MEMORY.test(message) ? 'memory' : 'inference', message };
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** y = Identity(x), x: float[N]; IR version 8, opset 13. Small enough to probe an execution provider with. */
const IDENTITY_MODEL = Buffer.from(
  'CAg6OQoQCgF4EgF5IghJZGVudGl0eRIBZ1oQCgF4EgsKCQgBEgUKAxIBTmIQCgF5EgsKCQgBEgUKAxIBTkIECgAQDQ==',
  'base64',
);
