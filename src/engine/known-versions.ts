/**
 * What has been learned about versions, whether or not they are in memory: how much they are used, how long a load
 * takes, how much memory they take and whether they can be loaded. No processes, and no effects beyond this record.
 */
import type { EngineVersion } from './messages.js';
import {
  currentUse,
  estimatedLoadingBytes,
  estimatedResidentBytes,
  type SizeOfVersion,
  type UseCount,
  valueOfCopy,
  type Worth,
  withOneMore,
} from './residency.js';
import type { LoadResult } from './worker-process.js';

export interface KnownVersion {
  version: EngineVersion;
  use: UseCount | null;
  /** Null until it was loaded once. */
  loadMs: number | null;
  /** Estimated until it was loaded once, then measured. */
  residentBytes: number;
  /** Whether a load has failed for lack of memory, next to other versions. */
  needsEmptyWorker: boolean;
  /** Failed loads in a row for lack of memory, although the worker had nothing else loaded. */
  failedLoads: number;
  failure: { readonly error: Error; readonly until: number } | null;
  /** Time that inputs have waited for a busy worker since the last copy was added. */
  waitedMs: number;
}

/** Versions whose uses and sizes are remembered while they are in no worker's memory. */
const MAX_KNOWN_VERSIONS = 4_000;
/** Forgotten at once, so that the cost of finding them is spread over many new ones. */
const FORGOTTEN_AT_ONCE = MAX_KNOWN_VERSIONS / 10;
const DEFAULT_LOAD_MS = 100;
/** Of the latest load in the mean. One load on a busy machine says little: its version would then stay for long. */
const LOAD_TIME_WEIGHT = 0.25;

export class KnownVersions {
  readonly #byKey = new Map<string, KnownVersion>();
  readonly #keysInUse: () => ReadonlySet<string>;
  #uses = 0;

  /** `keysInUse`: versions that must not be forgotten, because a worker has them or somebody waits for them. */
  constructor(keysInUse: () => ReadonlySet<string>) {
    this.#keysInUse = keysInUse;
  }

  get size(): number {
    return this.#byKey.size;
  }

  find(key: string): KnownVersion | undefined {
    return this.#byKey.get(key);
  }

  /** Makes room if the version is new and there are too many. */
  of(version: EngineVersion): KnownVersion {
    const { key, artifactBytes } = version;
    const found = this.#byKey.get(key);
    if (found) {
      found.version = version;
      return found;
    }
    if (this.#byKey.size >= MAX_KNOWN_VERSIONS) this.#forgetLeastUsed();
    const known: KnownVersion = {
      version,
      use: null,
      loadMs: null,
      residentBytes: estimatedResidentBytes(artifactBytes),
      needsEmptyWorker: false,
      failedLoads: 0,
      failure: null,
      waitedMs: 0,
    };
    this.#byKey.set(key, known);
    return known;
  }

  forget(isForgotten: (key: string) => boolean): void {
    for (const key of this.#byKey.keys()) if (isForgotten(key)) this.#byKey.delete(key);
  }

  recordUse(known: KnownVersion): void {
    known.use = withOneMore(known.use, ++this.#uses);
  }

  recordLoad(known: KnownVersion, { loadMs, residentBytes }: LoadResult): void {
    known.loadMs = known.loadMs === null ? loadMs : known.loadMs + (loadMs - known.loadMs) * LOAD_TIME_WEIGHT;
    // Growth is understated where the process reused memory that it had kept.
    if (residentBytes !== null)
      known.residentBytes = Math.max(residentBytes, known.version.artifactBytes, estimatedResidentBytes(0));
    known.needsEmptyWorker = false;
    known.failedLoads = 0;
    known.failure = null;
  }

  /** What a copy is worth if this many workers have one. */
  worthOf({ use, loadMs, residentBytes: bytes }: KnownVersion, copies: number): Worth {
    return { use: use ? currentUse(use, this.#uses) : 0, loadMs: loadMs ?? DEFAULT_LOAD_MS, bytes, copies };
  }

  /**
   * The versions of which a first copy is worth most, the most valuable first. One pass: thousands of versions may be
   * known, and this is asked after every load.
   */
  mostValuable(count: number, isCandidate: (known: KnownVersion) => boolean): KnownVersion[] {
    const best: { readonly known: KnownVersion; readonly value: number }[] = [];
    for (const known of this.#byKey.values()) {
      if (!isCandidate(known)) continue;
      const value = valueOfCopy(this.worthOf(known, 1));
      if (best.length === count && value <= (best.at(-1)?.value ?? 0)) continue;
      const place = best.findIndex((other) => value > other.value);
      best.splice(place < 0 ? best.length : place, 0, { known, value });
      if (best.length > count) best.pop();
    }
    return best.map(({ known }) => known);
  }

  #forgetLeastUsed(): void {
    const inUse = this.#keysInUse();
    const candidates = [];
    for (const [key, { use }] of this.#byKey)
      if (!inUse.has(key)) candidates.push({ key, use: use ? currentUse(use, this.#uses) : 0 });
    candidates.sort((a, b) => a.use - b.use);
    for (const { key } of candidates.slice(0, FORGOTTEN_AT_ONCE)) this.#byKey.delete(key);
  }
}

export function loadMsOf({ loadMs }: KnownVersion): number {
  return loadMs ?? DEFAULT_LOAD_MS;
}

export function sizeOfVersion({ residentBytes, needsEmptyWorker, version }: KnownVersion): SizeOfVersion {
  const loadingBytes = estimatedLoadingBytes(version.artifactBytes);
  return { residentBytes: needsEmptyWorker ? Infinity : residentBytes, loadingBytes };
}
