/**
 * The messages of a worker process: answers those of the protocol in `messages.ts`. It takes its channel and all native
 * libraries as arguments, so it also runs without a process. `load.ts` loads versions, `run-batch.ts` runs batches.
 *
 * Batches run one at a time, in order of arrival. The next batch is preprocessed while the current one runs.
 */
import type { BatchUse, CancelMessage, FromWorker, ToWorker } from '../engine/messages.js';
import { faultPoint } from '../fault-points.js'; // @fault
import { readGraphFile } from '../onnx/graph-file.js';
import { scanGraph } from '../onnx/graph-scan.js';
import { runnableGraph } from '../onnx/runnable.js';
import { messageOf } from '../tasks/failures.js';
import { explainLoadFailure } from '../tasks/graph-failures.js';
import { preprocessItem } from '../tasks/tasks.js';
import { checkBatchInvariance } from './batch-invariance.js';
import { type Loaded, Loader, type LoadMeasure, type WorkerRuntime } from './load.js';
import { observeScores } from './observe-scores.js';
import { preprocessBatch, runBatch, tokensOfBatch } from './run-batch.js';
import { runNumericBatch } from './run-numeric.js';

/** A message to the worker of this kind, with its number. */
type Numbered<K extends ToWorker['kind']> = Extract<ToWorker, { kind: K }>;

/** Ends the measurement of a batch; null if it is not measured. */
type Measuring = Promise<() => Promise<BatchUse>> | null;

export class WorkerBody {
  readonly #runtime: WorkerRuntime;
  readonly #send: (message: FromWorker) => void;
  readonly #loader: Loader;
  /** Promises, because a batch may arrive while its version is still loading, and then waits for it. */
  readonly #loaded = new Map<string, Promise<Loaded>>();
  /** For each outstanding batch, the positions of the items that nobody waits for anymore. */
  readonly #cancelled = new Map<number, Set<number>>();
  /** Resolves when all earlier work has finished. */
  #turn: Promise<void> = Promise.resolve();

  constructor(runtime: WorkerRuntime, send: (message: FromWorker) => void) {
    this.#runtime = runtime;
    this.#send = send;
    this.#loader = new Loader(runtime);
  }

  receive(message: ToWorker): Promise<void> {
    if (message.kind === 'batch' || message.kind === 'numericBatch') return this.#receiveBatch(message);
    if (message.kind === 'cancel') return this.#cancel(message);
    if (message.kind === 'load') return this.#receiveLoad(message);
    if (message.kind === 'unload') return this.#receiveUnload(message);
    return this.#inTurn(() => this.#perform(message));
  }

  async #perform(
    message: Exclude<ToWorker, { kind: 'batch' | 'numericBatch' | 'cancel' | 'load' | 'unload' }>,
  ): Promise<void> {
    try {
      if (message.kind === 'checkProvider') await this.#checkProvider(message);
      else if (message.kind === 'examine') await this.#examine(message);
      else if (message.kind === 'observeScores') await this.#observeScores(message);
      else if (message.kind === 'makeThumbnail') await this.#makeThumbnail(message);
      else if (message.kind === 'hidePatches') await this.#hidePatches(message);
      else await this.#checkBatchInvariance(message);
    } catch (error) {
      this.#send({ kind: 'failed', id: message.id, message: messageOf(error) });
    }
  }

  async #receiveLoad(message: Numbered<'load'>): Promise<void> {
    const { id, key } = message;
    const measure: LoadMeasure = {
      residentBytes: null,
      loadMs: 0,
      warmUpMs: 0,
      warmUpCpuMs: 0,
      executionProvider: message.provider,
    };
    const loading = this.#loaded.get(key) ?? this.#inTurn(() => this.#loader.load(message, measure));
    this.#loaded.set(key, loading);
    try {
      await loading;
      this.#send({ kind: 'loaded', id, key, ...measure });
    } catch (error) {
      if (this.#loaded.get(key) === loading) this.#loaded.delete(key);
      this.#send({ kind: 'loadFailed', id, key, message: messageOf(error) });
    }
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
      await this.#loader.runIdentity(provider);
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
    const opening = this.#loader.openGraph(runnable, 'cpu', { dataFiles, dataBlobs });
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

  async #makeThumbnail({ id, image, maxSize }: Numbered<'makeThumbnail'>): Promise<void> {
    const thumbnail = await this.#runtime.makeThumbnail(image, maxSize);
    faultPoint('worker.thumbnail'); // @fault
    this.#send({ kind: 'thumbnailMade', id, thumbnail });
  }

  async #hidePatches({ id, ...image }: Numbered<'hidePatches'>): Promise<void> {
    this.#send({ kind: 'patchesHidden', id, images: await this.#runtime.hidePatches(image) });
  }

  async #get(key: string): Promise<Loaded> {
    const loaded = this.#loaded.get(key);
    if (!loaded) throw new Error(`${key} is not loaded here. This is a bug.`);
    return loaded;
  }

  async #receiveBatch(message: Numbered<'batch' | 'numericBatch'>): Promise<void> {
    faultPoint('worker.batch.received'); // @fault
    const { id, key, measureUse } = message;
    const cancelled = new Set<number>();
    this.#cancelled.set(id, cancelled);
    const loading = this.#get(key).catch(() => null);
    const measuring = measureUse ? loading.then(() => this.#measureUse()) : null;
    const ready = measuring ? measuring.then(() => loading) : loading;
    if (message.kind === 'batch') await this.#runBatch(message, ready, measuring, cancelled);
    else await this.#inTurn(() => this.#runNumeric(message, ready, measuring, cancelled));
  }

  async #runBatch(
    { id, items, announceStart }: Numbered<'batch'>,
    loading: Promise<Loaded | null>,
    measuring: Measuring,
    cancelled: ReadonlySet<number>,
  ): Promise<void> {
    const preprocessing = loading.then((loaded) => preprocessBatch(items, loaded, cancelled));
    await this.#inTurn(async () => {
      const [loaded, { preprocessed, preprocessMs }] = await Promise.all([loading, preprocessing]);
      faultPoint('worker.batch.preprocessed'); // @fault
      if (announceStart)
        this.#send({ kind: 'started', id, tokens: loaded?.spec.text ? tokensOfBatch(preprocessed) : null });
      await this.#readCancellations(loaded);
      const { results, timing } = await runBatch(loaded, preprocessed, items, cancelled);
      this.#cancelled.delete(id);
      const use = measuring && (await (await measuring)());
      this.#send({ kind: 'done', id, results, timing: { preprocessMs, ...timing }, use });
    });
  }

  async #runNumeric(
    message: Numbered<'numericBatch'>,
    loading: Promise<Loaded | null>,
    measuring: Measuring,
    cancelled: ReadonlySet<number>,
  ): Promise<void> {
    const { id, announceStart } = message;
    const loaded = await loading;
    faultPoint('worker.batch.preprocessed'); // @fault
    if (announceStart) this.#send({ kind: 'started', id, tokens: null });
    await this.#readCancellations(loaded);
    const begun = performance.now();
    const runs = await runNumericBatch(loaded, message, cancelled);
    const inferMs = performance.now() - begun;
    this.#cancelled.delete(id);
    const use = measuring && (await (await measuring)());
    this.#send({ kind: 'ran', id, runs, timing: { preprocessMs: 0, inferMs, postprocessMs: 0 }, use });
  }

  /** A run in this thread keeps messages waiting: those that have arrived meanwhile may cancel items of the next batch. */
  async #readCancellations(loaded: Loaded | null): Promise<void> {
    if (loaded?.runsInMainThread) await this.#runtime.messagesRead();
  }

  async #measureUse(): Promise<() => Promise<BatchUse>> {
    const grownBytes = await this.#runtime.watchMemory();
    const begun = this.#runtime.cpuMs();
    return async () => ({ cpuMs: this.#runtime.cpuMs() - begun, grownBytes: await grownBytes() });
  }

  async #cancel({ batch, items }: CancelMessage): Promise<void> {
    for (const item of items) this.#cancelled.get(batch)?.add(item);
  }

  async #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const before = this.#turn;
    const mine = Promise.withResolvers<void>();
    this.#turn = mine.promise;
    await before;
    return work().finally(mine.resolve);
  }
}
