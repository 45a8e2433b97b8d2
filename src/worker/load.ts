/**
 * Loads versions into a worker: reads and checks their files, opens a session and warms it up. What a load takes, in time
 * and memory, is measured.
 */
import path from 'node:path';
import { type DataBlobs, type ImageToHide, type LoadMessage, MAX_RUN_MS, type Thumbnail } from '../engine/messages.js';
import { faultPoint } from '../fault-points.js'; // @fault
import { withLocations } from '../onnx/external-data.js';
import { hasConvolutions, runsOnCpu } from '../onnx/provider-operators.js';
import { runnableGraph } from '../onnx/runnable.js';
import type { Tools } from '../tasks/define-task.js';
import { EXAMPLE_FAILED, messageOf } from '../tasks/failures.js';
import { explainRunFailure } from '../tasks/graph-failures.js';
import { type Tokenizer, withoutSpecialTokens } from '../tasks/sequences.js';
import type { DataFile } from '../tasks/spec.js';
import { type Item, preprocessItem, type VersionSpec } from '../tasks/tasks.js';
import { Locales } from './locales.js';
import type { OpenSession } from './native/session-thread.js';
import { withSteadySizes } from './steady-sizes.js';

/** The native parts of a worker, passed in by the entry file. */
export interface WorkerRuntime {
  readonly tools: Omit<Tools, 'tokenizer'>;
  /** Reads an artifact and checks its SHA-256. */
  readonly readArtifact: (file: string, sha256: string) => Promise<Uint8Array>;
  /** Checks the SHA-256 of a file that is too large to be in memory. */
  readonly verifyFile: (file: string, sha256: string) => Promise<void>;
  /** `dataFolder`: the only folder from which data files are read; null if the graph has none. */
  readonly openSession: (
    bytes: Uint8Array,
    provider: string,
    dataFolder: string | null,
    inMainThread: boolean,
  ) => Promise<OpenSession>;
  /** @throws Error if the image cannot be decoded */
  readonly makeThumbnail: (image: Uint8Array, maxSize: number) => Promise<Thumbnail>;
  /** PNG, one for each patch. @throws Error if the image cannot be decoded */
  readonly hidePatches: (image: ImageToHide) => Promise<Uint8Array[]>;
  /** Resolves when the messages that have arrived so far are read. */
  readonly messagesRead: () => Promise<void>;
  readonly openTokenizer: (bytes: Uint8Array) => Promise<Tokenizer>;
  /** Data memory of this process in bytes; null on platforms without `/proc`. */
  readonly dataBytes: () => Promise<number | null>;
  /** Frees the native memory of JavaScript objects that nobody refers to anymore. */
  readonly freeNativeMemory: () => Promise<void>;
  /** CPU time of all threads of this process since its start. */
  readonly cpuMs: () => number;
  /** Begins to measure; the function that is returned tells by how much memory had grown at its peak, null if unknown. */
  readonly watchMemory: () => Promise<() => Promise<number | null>>;
}

export interface Loaded {
  readonly spec: VersionSpec;
  readonly session: OpenSession;
  readonly runsInMainThread: boolean;
  readonly tools: Tools;
}

/**
 * Whether the session of a version is in the main thread: where nothing is decoded or tokenized, a thread of its own would
 * only add the way there and back. On a GPU one thread has all sessions: two crash WebGPU.
 */
function runsInMainThread({ image, text, bytes }: VersionSpec, provider: string): boolean {
  return provider === 'cpu' && image === null && text === null && bytes === undefined;
}

/** See the reply `loaded`. */
export interface LoadMeasure {
  residentBytes: number | null;
  loadMs: number;
  warmUpMs: number;
  warmUpCpuMs: number;
  executionProvider: string;
}

export class Loader {
  readonly #runtime: WorkerRuntime;
  readonly #locales: Locales;
  /** Resolves when a session that keeps the driver of a GPU running is open, or cannot be opened; null before the first load. */
  #context: Promise<unknown> | null = null;

  constructor(runtime: WorkerRuntime) {
    this.#runtime = runtime;
    this.#locales = new Locales((bytes, provider) => runtime.openSession(bytes, provider, null, false));
  }

  /** What the load took is written to `measure`. @throws Error with the reason, in the words of the library that failed */
  async load(message: LoadMessage, measure: LoadMeasure): Promise<Loaded> {
    await this.#openContext(message.provider);
    const before = await this.#runtime.dataBytes();
    const begun = performance.now();
    const loaded = await this.#open(message, measure);
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
    this.#context ??= this.runIdentity(provider).catch(() => null);
    return this.#context;
  }

  /** Opens a session of a tiny graph, and runs it. @throws Error if the execution provider does not work */
  async runIdentity(provider: string): Promise<OpenSession> {
    const session = await this.#runtime.openSession(Buffer.from(IDENTITY_MODEL), provider, null, false);
    await session.run([{ name: 'x', datatype: 'FP32', shape: [1], data: Float32Array.of(1) }]);
    return session;
  }

  async #open(message: LoadMessage, measure: LoadMeasure): Promise<Loaded> {
    const { spec, artifactPath, artifactSha256, dataBlobs, provider, warmUp } = message;
    faultPoint('worker.load.begin'); // @fault
    const { bytes } = runnableGraph(await this.#runtime.readArtifact(artifactPath, artifactSha256));
    const tokenizer = await this.#openTokenizer(message);
    const inMainThread = runsInMainThread(spec, provider);
    measure.executionProvider = provider !== 'cpu' && runsOnCpu(bytes) ? 'cpu' : provider;
    const isSteady = measure.executionProvider === 'cuda' && spec.maxBatch > 1 && hasConvolutions(bytes);
    const opened = await this.openGraph(bytes, measure.executionProvider, {
      dataFiles: spec.dataFiles ?? [],
      dataBlobs,
      inMainThread,
    });
    const session = isSteady ? withSteadySizes(opened, spec.maxBatch) : opened;
    faultPoint('worker.load.opened'); // @fault
    const loaded = { spec, session, runsInMainThread: inMainThread, tools: { ...this.#runtime.tools, tokenizer } };
    try {
      const first = await this.#warmUp(warmUp, loaded);
      // The first run may have compiled kernels or read weights for the first time, and then says little.
      const second = first.warmUpMs > MAX_RUN_MS ? await this.#warmUp(warmUp, loaded) : first;
      Object.assign(measure, second.warmUpMs < first.warmUpMs ? second : first);
    } catch (error) {
      await session.release();
      throw error;
    }
    faultPoint('worker.load.warm'); // @fault
    return loaded;
  }

  /**
   * Runs the first row of the example. Returns what that took.
   *
   * @throws Error whose message begins with `EXAMPLE_FAILED`
   */
  async #warmUp(item: Item, { spec, session, tools }: Loaded): Promise<Pick<LoadMeasure, 'warmUpMs' | 'warmUpCpuMs'>> {
    const [begun, cpuMs] = [performance.now(), this.#runtime.cpuMs()];
    try {
      const [row] = (await preprocessItem(item, spec, tools)).rows;
      if (row) await session.run(row).catch((error) => Promise.reject(new Error(explainRunFailure(messageOf(error)))));
    } catch (error) {
      throw new Error(`${EXAMPLE_FAILED}${messageOf(error)}`);
    }
    return { warmUpMs: performance.now() - begun, warmUpCpuMs: this.#runtime.cpuMs() - cpuMs };
  }

  /** Opens a graph that `scanGraph` has accepted, with its data files. Takes `runnable` over. */
  async openGraph(
    runnable: Uint8Array,
    provider: string,
    {
      dataFiles,
      dataBlobs: { folder, paths },
      inMainThread = false,
    }: { dataFiles: readonly DataFile[]; dataBlobs: DataBlobs; inMainThread?: boolean },
  ): Promise<OpenSession> {
    const bytes = await this.#locales.runnable(runnable);
    if (dataFiles.length === 0) return this.#runtime.openSession(bytes, provider, null, inMainThread);
    const names = new Map<string, string>();
    const verified = new Set<string>();
    for (const [i, { location, sha256 }] of dataFiles.entries()) {
      const blob = paths[i] ?? '';
      // A graph can have many names for a file.
      if (!verified.has(sha256)) await this.#runtime.verifyFile(blob, sha256);
      verified.add(sha256);
      names.set(location, path.relative(folder, blob));
    }
    return this.#runtime.openSession(withLocations(bytes, names), provider, folder, inMainThread);
  }

  async #openTokenizer({ spec, tokenizerPath }: LoadMessage): Promise<Tokenizer | null> {
    if (!spec.text || !tokenizerPath) return null;
    const bytes = await this.#runtime.readArtifact(tokenizerPath, spec.text.tokenizerSha256);
    const tokenizer = await this.#runtime.openTokenizer(bytes);
    return spec.text.addSpecialTokens === false ? withoutSpecialTokens(tokenizer) : tokenizer;
  }
}

/** A minimal model to test an execution provider with: y = Identity(x), x: float[N], IR version 8, opset 13. */
const IDENTITY_MODEL = Buffer.from(
  'CAg6OQoQCgF4EgF5IghJZGVudGl0eRIBZ1oQCgF4EgsKCQgBEgUKAxIBTmIQCgF5EgsKCQgBEgUKAxIBTkIECgAQDQ==',
  'base64',
);
