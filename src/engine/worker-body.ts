/**
 * What runs inside a worker process. See `messages.ts` for the protocol.
 *
 * Batches run one after the other in the order they came; the next is prepared while the running one is in native
 * code. One bad item fails alone: while it is prepared, or when its part of the answer is finished.
 */
import { faultPoint } from '../fault-points.js'; // @fault
import { UnusableOutput } from '../tasks/classification.js';
import type { TensorData } from '../tasks/datatypes.js';
import type { Item, ItemFailure } from '../tasks/input.js';
import type { Session } from '../tasks/native/session.js';
import type { VersionSpec } from '../tasks/spec.js';
import { prepare, TASK, type Tools } from '../tasks/task.js';
import { groupByShape, split, stack } from './batch.js';
import { differenceBesideMates } from './compare.js';
import { readGraphFile } from './graph-file.js';
import { scanGraph } from './graph-scan.js';
import type { BatchMessage, BatchTiming, FromWorker, ItemResult, LoadMessage, ToWorker } from './messages.js';
import { withoutZipMap } from './zip-map.js';

/** The native parts, handed in by the entry file. */
export interface Runtime {
  readonly tools: Tools;
  /** The bytes of an artifact, checked against its digest. */
  readonly readArtifact: (file: string, sha256: string) => Promise<Uint8Array>;
  readonly openSession: (bytes: Uint8Array, provider: string) => Promise<Session>;
  /** Is this failure of a tool the fault of the item it was given? */
  readonly describeInputFailure: (error: unknown) => ItemFailure | null;
}

type Prepared = { readonly tensors: readonly TensorData[] } | { readonly failure: ItemFailure };

interface Loaded {
  readonly spec: VersionSpec;
  readonly session: Session;
}

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
      else await this.#compare(message);
    } catch (error) {
      this.#send({ kind: 'failed', message: textOf(error) });
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
      this.#send({ kind: 'loadFailed', key, message: textOf(error) });
    }
  }

  async #load({ spec, artifactPath, artifactSha256, provider, warmUp }: LoadMessage): Promise<Loaded> {
    faultPoint('worker.load.begin'); // @fault
    const { bytes } = withoutZipMap(await this.#runtime.readArtifact(artifactPath, artifactSha256));
    const session = await this.#runtime.openSession(bytes, provider);
    faultPoint('worker.load.opened'); // @fault
    const loaded = { spec: spec as VersionSpec, session };
    if (warmUp) await session.run(await prepare(warmUp, loaded.spec, this.#runtime.tools));
    faultPoint('worker.load.warm'); // @fault
    return loaded;
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
      this.#send({ kind: 'probed', available: false, reason: textOf(error) });
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

  async #compare({ key, items }: { key: string; items: readonly Item[] }): Promise<void> {
    const { spec, session } = await this.#get(key);
    const prepared = await Promise.all(items.map((item) => prepare(item, spec, this.#runtime.tools)));
    this.#send({ kind: 'compared', difference: await differenceBesideMates(session, prepared) });
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
    const preparing = loading.then((loaded) => Promise.all(items.map((item) => this.#prepareOne(item, loaded))));
    await this.#inTurn(async () => {
      const [loaded, prepared] = await Promise.all([loading, preparing]);
      const prepareMs = performance.now() - begun;
      faultPoint('worker.batch.prepared'); // @fault
      if (announceStart) this.#send({ kind: 'started', id });
      const { results, timing } = await this.#run(loaded, prepared, items);
      this.#send({ kind: 'done', id, results, timing: { prepareMs, ...timing } });
    });
  }

  async #prepareOne(item: Item, loaded: Loaded | null): Promise<Prepared> {
    if (!loaded) return { failure: { kind: 'inference', message: 'the version is not loaded here' } };
    try {
      return { tensors: await prepare(item, loaded.spec, this.#runtime.tools) };
    } catch (error) {
      return { failure: this.#runtime.describeInputFailure(error) ?? failureOf(error) };
    }
  }

  async #run(
    loaded: Loaded | null,
    prepared: readonly Prepared[],
    items: readonly Item[],
  ): Promise<{ results: ItemResult[]; timing: Omit<BatchTiming, 'prepareMs'> }> {
    const results: ItemResult[] = prepared.map((one) => ('failure' in one ? one : { failure: NOT_RUN }));
    const runnable = prepared.flatMap((one, index) => ('tensors' in one ? [{ index, tensors: one.tensors }] : []));
    const timing = { inferMs: 0, finishMs: 0 };
    for (const group of groupByShape(runnable.map(({ tensors }) => tensors))) {
      const members = group.map((i) => runnable[i] as { index: number; tensors: readonly TensorData[] });
      const answered = await this.#runGroup(loaded as Loaded, members, items, timing);
      for (const [i, { index }] of members.entries()) results[index] = answered[i] as ItemResult;
    }
    return { results, timing };
  }

  async #runGroup(
    { session, spec }: Loaded,
    members: readonly { index: number; tensors: readonly TensorData[] }[],
    items: readonly Item[],
    timing: { inferMs: number; finishMs: number },
  ): Promise<ItemResult[]> {
    const begun = performance.now();
    let inferred = begun;
    try {
      faultPoint('worker.run.begin'); // @fault
      const outputs = await session.run(stack(members.map(({ tensors }) => tensors)));
      faultPoint('worker.run.end'); // @fault
      inferred = performance.now();
      const rows = members.map(({ index }) => (items[index] as Item).rows);
      return split(outputs, rows).map((own) => finishOne(own, spec));
    } catch (error) {
      // An error of the graph names no culprit: each member is tried alone, so that only the guilty fail.
      const failure = failureOf(error);
      if (members.length === 1) return [{ failure }];
      // After a failed allocation even good inputs fail here: each goes to another process, alone.
      if (failure.kind === 'memory') return members.map(() => ({ failure }));
      const alone = [];
      for (const member of members) alone.push(...(await this.#runGroup({ session, spec }, [member], items, timing)));
      return alone;
    } finally {
      timing.inferMs += inferred - begun;
      timing.finishMs += performance.now() - inferred;
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

function finishOne(outputs: readonly TensorData[], spec: VersionSpec): ItemResult {
  try {
    return { answer: TASK[spec.task].finish(outputs, spec) };
  } catch (error) {
    if (!(error instanceof UnusableOutput)) throw error;
    return { failure: { kind: 'inference', message: error.message } };
  }
}

/** How ONNX Runtime, libvips and V8 say that they were refused memory. */
const NO_MEMORY = /bad_alloc|failed to allocate|out of memory|allocation failed|cannot allocate/i;

function failureOf(error: unknown): ItemFailure {
  const message = textOf(error);
  return { kind: NO_MEMORY.test(message) ? 'memory' : 'inference', message };
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** y = Identity(x), x: float[N]; IR version 8, opset 13. Small enough to probe an execution provider with. */
const IDENTITY_MODEL = Buffer.from(
  'CAg6OQoQCgF4EgF5IghJZGVudGl0eRIBZ1oQCgF4EgsKCQgBEgUKAxIBTmIQCgF5EgsKCQgBEgUKAxIBTkIECgAQDQ==',
  'base64',
);
