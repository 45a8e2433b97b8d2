/**
 * Measures how long loaded versions take by batch size, while the engine is idle: see `latency-curve.ts`.
 *
 * A measuring batch is sent only if no request has arrived for a second, nothing is queued or imported, and no worker runs
 * or loads anything. Sizes that might make the worker exceed its memory are left out. There is at most one measuring batch in
 * the whole engine, and it is planned to run for at most 200 ms: an input that arrives meanwhile waits at most for that one,
 * and none follows it. The result is stored when the curve is complete.
 */
import type { Logger } from 'pino';
import { checkInput, type Item } from '../tasks/tasks.js';
import { createSettledEntry } from './entry.js';
import { LatencyCurve, type LatencyPoint, undisturbedMs } from './latency-curve.js';
import { type DoneMessage, type EngineVersion, type FromWorker, MAX_RUN_MS } from './messages.js';
import type { Pool } from './pool.js';
import { measuredResidentBytes } from './residency.js';
import type { RunningBatches } from './running-batches.js';
import { batchLimits, type ScheduledVersion } from './schedule.js';
import { type ExitCause, mayBeCausedByInput } from './supervision.js';
import { MAX_VERSION_RECORDS } from './version-records.js';
import type { WorkerProcess } from './worker-process.js';

/** What was measured of a version. */
export interface Measured {
  readonly points: readonly LatencyPoint[];
  /** Memory of a loaded copy; null if the platform cannot tell. */
  readonly residentBytes: number | null;
}

/** Where the measurements of this machine are kept. */
export interface LatencyStore {
  /** Null if the version was not measured with this provider. */
  find(version: EngineVersion, provider: string): Promise<readonly LatencyPoint[] | null>;
  save(version: EngineVersion, provider: string, measured: Measured): Promise<void>;
}

type Loaded = Pick<Extract<FromWorker, { kind: 'loaded' }>, 'warmUpMs' | 'warmUpCpuMs' | 'residentBytes'>;

interface Unmeasured {
  readonly version: EngineVersion;
  readonly item: Item;
  readonly curve: LatencyCurve;
  readonly residentBytes: number | null;
  /** Data memory of the worker before the first batch; null until then. */
  baseBytes: number | null;
}

interface Measurement {
  readonly unmeasured: Unmeasured;
  readonly worker: WorkerProcess;
  readonly size: number;
}

interface Parts {
  readonly store: LatencyStore;
  readonly pool: Pool;
  readonly running: RunningBatches;
  readonly log: Logger;
  readonly servedOf: (version: EngineVersion) => ScheduledVersion;
  readonly hasQueued: () => boolean;
}

/** The share of a worker's memory that may be in use after a measurement, and that measuring one version may add. */
const MAX_USED_SHARE = 0.75;
const MAX_GROWTH_SHARE = 0.1;
/** How long no request must have arrived. */
const QUIET_MS = 1_000;

export class IdleMeasurements {
  readonly #parts: Parts;
  /**
   * By version. Null: its curve is being looked up, or nothing is left to do. A version that was forgotten is looked up when
   * it is loaded again.
   */
  readonly #remembered = new Map<string, Unmeasured | null>();
  #running: Measurement | null = null;
  #lastRequestAt = Number.NEGATIVE_INFINITY;
  #timer: NodeJS.Timeout | null = null;
  readonly #lookups = new Set<Promise<void>>();
  #saving: Promise<void> = Promise.resolve();
  #isStopped = false;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  /** To be called for each request that arrives, whatever it asks: it takes computing time from a measurement. */
  noteRequest(now: number): void {
    this.#lastRequestAt = now;
  }

  /** To be called when a serving worker has loaded a version. */
  onLoaded(version: EngineVersion, loaded: Loaded): void {
    if (this.#remembered.has(version.key)) {
      this.#continue();
      return;
    }
    this.#remember(version.key, null);
    const lookup = this.#lookUp(version, loaded)
      .catch((error) => {
        // The next load looks it up again.
        this.#remembered.delete(version.key);
        this.#report(error);
      })
      .finally(() => this.#lookups.delete(lookup));
    this.#lookups.add(lookup);
  }

  /** To be called when a measuring batch was answered. */
  onDone({ results, timing, use }: DoneMessage): void {
    if (!this.#running) return;
    const { size, unmeasured } = this.#running;
    const { curve } = unmeasured;
    this.#running = null;
    if (results.some((result) => 'failure' in result)) curve.fail(size);
    else curve.record(size, timing, this.#computed(use?.cpuMs ?? null));
    this.#continue();
  }

  onExit(worker: WorkerProcess, cause: ExitCause): void {
    if (this.#running?.worker !== worker) return;
    const { size, unmeasured } = this.#running;
    this.#running = null;
    if (mayBeCausedByInput(cause)) unmeasured.curve.fail(size);
    this.#continue();
  }

  /** Resolves when the store is no longer used: curves that were complete have been stored. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    if (this.#timer) clearTimeout(this.#timer);
    await Promise.all([...this.#lookups, this.#saving]);
  }

  /** Null on a GPU: the process waits for it, and its CPU time says nothing. */
  #computed(cpuMs: number | null): number | null {
    return this.#parts.pool.provider === 'cpu' ? cpuMs : null;
  }

  async #lookUp(version: EngineVersion, loaded: Loaded): Promise<void> {
    const { store, pool, servedOf } = this.#parts;
    const warmUpMs = undisturbedMs(loaded.warmUpMs, this.#computed(loaded.warmUpCpuMs));
    const item = checkInput(version.spec, version.spec.example, []);
    const points = await store.find(version, pool.provider);
    const grownBytes = loaded.residentBytes;
    const residentBytes = grownBytes === null ? null : measuredResidentBytes(grownBytes, version.artifactBytes);
    if (points === null) this.#remember(version.key, unmeasured(version, item, { warmUpMs, residentBytes }));
    for (const point of points ?? []) servedOf(version).latency.seed(sizeOf(item, point.batchSize), point);
    this.#continue();
  }

  /** Sends the next measuring batch if the engine is idle. Otherwise tries again later. */
  #continue(): void {
    if (this.#isStopped || this.#running || this.#timer) return;
    const next = this.#next();
    if (!next) return;
    const quietMs = performance.now() - this.#lastRequestAt;
    if (quietMs >= QUIET_MS && this.#isIdle()) void this.#measure(next);
    else this.#continueIn(quietMs < QUIET_MS ? QUIET_MS - quietMs : QUIET_MS);
  }

  async #measure(next: Measurement): Promise<void> {
    this.#running = next;
    const fits = await this.#fits(next);
    // Anything may have happened meanwhile.
    const isLost = this.#isStopped || !next.worker.isReady || !next.worker.loaded.has(next.unmeasured.version.key);
    const isQuiet = performance.now() - this.#lastRequestAt >= QUIET_MS && this.#isIdle();
    if (fits && !isLost && isQuiet) {
      this.#send(next);
      return;
    }
    this.#running = null;
    if (!fits) next.unmeasured.curve.fail(next.size);
    this.#continueIn(isQuiet ? 0 : QUIET_MS);
  }

  /** Whether the worker will have memory left after the batch, if it grows by as much as it has so far. */
  async #fits({ worker, unmeasured, size }: Measurement): Promise<boolean> {
    const memory = await worker.memory();
    if (!memory) return true;
    unmeasured.baseBytes ??= memory.dataBytes;
    const grownBytes = Math.max(0, memory.dataBytes - unmeasured.baseBytes);
    const limitBytes = this.#parts.pool.workerMemoryBytes;
    return (
      size === 1 ||
      (memory.dataBytes + grownBytes <= MAX_USED_SHARE * limitBytes && grownBytes <= MAX_GROWTH_SHARE * limitBytes)
    );
  }

  #continueIn(ms: number): void {
    this.#timer = setTimeout(() => {
      this.#timer = null;
      this.#continue();
    }, ms).unref();
  }

  /** A batch of a version that is loaded; null if there is none to measure. */
  #next(): Measurement | null {
    const { ready } = this.#parts.pool;
    for (const unmeasured of this.#remembered.values()) {
      const worker = unmeasured && ready.find(({ loaded }) => loaded.has(unmeasured.version.key));
      if (!worker) continue;
      const size = unmeasured.curve.next();
      if (size !== null) return { unmeasured, worker, size };
      this.#complete(unmeasured);
    }
    return null;
  }

  #isIdle(): boolean {
    const isWorking = ({ batches, loading }: WorkerProcess) => batches.length > 0 || loading.size > 0;
    const { pool, hasQueued } = this.#parts;
    return !hasQueued() && !pool.isProbing && !pool.all.some(isWorking);
  }

  #send(next: Measurement): void {
    const { worker, size, unmeasured } = next;
    const { version, item, curve } = unmeasured;
    const now = performance.now();
    const entries = Array.from({ length: size }, () => createSettledEntry(item, now));
    this.#parts.running.assign(worker, { version, entries, now, isMeasurement: true });
    if (worker.batches.length > 0) return;
    // `assign` could not send the batch, for example because the message is too long.
    this.#running = null;
    curve.fail(size);
    this.#continueIn(0);
  }

  #complete({ version, curve, residentBytes }: Unmeasured): void {
    const { store, pool } = this.#parts;
    this.#remember(version.key, null);
    const points = curve.points();
    if (points.length === 0) return;
    const save = () => store.save(version, pool.provider, { points, residentBytes });
    this.#saving = this.#saving.then(save).catch((error) => this.#report(error));
  }

  #remember(key: string, unmeasured: Unmeasured | null): void {
    this.#remembered.set(key, unmeasured);
    if (this.#remembered.size <= MAX_VERSION_RECORDS) return;
    const [oldest] = this.#remembered.keys();
    this.#remembered.delete(oldest as string);
  }

  #report(error: Error): void {
    this.#parts.log.warn({ reason: error.message }, 'a latency curve could not be read or stored');
  }
}

function unmeasured(
  version: EngineVersion,
  item: Item,
  { warmUpMs, residentBytes }: Pick<Loaded, 'warmUpMs' | 'residentBytes'>,
): Unmeasured {
  const limits = batchLimits(version);
  const byWork = Math.min(limits.work / item.work, limits.preprocessingWork / Math.max(1, item.preprocessingWork));
  const maxBatchSize = Math.max(1, Math.floor(Math.min(limits.rows / item.rows, byWork)));
  const curve = new LatencyCurve(maxBatchSize, item.rows * warmUpMs, MAX_RUN_MS);
  return { version, item, curve, residentBytes, baseBytes: null };
}

/** Of a batch of so many of the item. */
function sizeOf({ rows, work, preprocessingWork }: Item, count: number) {
  return { rows: count * rows, work: count * work, preprocessingWork: count * preprocessingWork };
}
