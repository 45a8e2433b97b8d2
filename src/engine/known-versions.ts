/**
 * What has been learned about versions, whether or not they are in memory: how much they are used, how long a load
 * takes, how much memory they take and whether they can be loaded. No processes, and no effects beyond this record.
 */
import { distinctBytes } from '../tasks/data-bytes.js';
import type { EngineVersion } from './messages.js';
import {
  currentUse,
  estimatedLoadingBytes,
  estimatedResidentBytes,
  measuredResidentBytes,
  type SizeOfVersion,
  type UseCount,
  valueOfCopy,
  type Worth,
  withOneMore,
} from './residency.js';
import { VersionRecords } from './version-records.js';
import type { LoadResult } from './worker-process.js';

export interface KnownVersion {
  version: EngineVersion;
  use: UseCount | null;
  /** The mean of its loads; null until it was loaded once. */
  meanLoadMs: number | null;
  loads: number;
  /** Estimated until it was loaded once, then measured. */
  residentBytes: number;
  /** Whether a load has failed for lack of memory, next to other versions. */
  needsEmptyWorker: boolean;
  /** Failed loads in a row for lack of memory, although the worker had nothing else loaded. */
  failedLoads: number;
  /** Loads in a row during which the process ended, although the version need not be the cause. */
  lostLoads: number;
  failure: { readonly error: Error; readonly until: number } | null;
  /** Time that inputs have waited for a busy worker since the last copy was added. */
  waitedMs: number;
}

/** Loads that a mean goes back. */
const MAX_COUNTED_LOADS = 8;
/**
 * What a version of its size usually takes counts as this many loads of a version. On a busy machine a load can take ten
 * times as long, and its version would otherwise stay in memory for long.
 */
const USUAL_LOADS = 4;
/** The part of a load that does not depend on the size, as bytes of an artifact. */
const FIXED_LOAD_BYTES = 5_000_000;
const USUAL_LOAD_WEIGHT = 0.05;
/** Until a load was measured: 100 ms for a small version. */
const INITIAL_MS_PER_BYTE = 100 / FIXED_LOAD_BYTES;

export class KnownVersions {
  readonly #records: VersionRecords<KnownVersion>;
  #uses = 0;
  #msPerByte: number | null = null;

  /** `keysInUse`: versions that must not be forgotten, because a worker has them or somebody waits for them. */
  constructor(keysInUse: () => ReadonlySet<string>) {
    const isKept = () => {
      const inUse = keysInUse();
      return ({ version }: KnownVersion) => inUse.has(version.key);
    };
    this.#records = new VersionRecords(isKept, (known) => this.#currentUse(known));
  }

  get size(): number {
    return this.#records.size;
  }

  find(key: string): KnownVersion | undefined {
    return this.#records.get(key);
  }

  of(version: EngineVersion): KnownVersion {
    const found = this.#records.get(version.key);
    if (found) {
      found.version = version;
      return found;
    }
    return this.#records.add({
      version,
      use: null,
      meanLoadMs: null,
      loads: 0,
      residentBytes: estimatedResidentBytes(version.artifactBytes),
      needsEmptyWorker: false,
      failedLoads: 0,
      lostLoads: 0,
      failure: null,
      waitedMs: 0,
    });
  }

  forget(isForgotten: (key: string) => boolean): void {
    for (const { version } of this.#records.values()) if (isForgotten(version.key)) this.#records.delete(version.key);
  }

  recordUse(known: KnownVersion): void {
    known.use = withOneMore(known.use, ++this.#uses);
  }

  recordLoad(known: KnownVersion, { loadMs, residentBytes }: LoadResult): void {
    const msPerByte = loadMs / (FIXED_LOAD_BYTES + known.version.artifactBytes);
    this.#msPerByte = meanWith(this.#msPerByte, msPerByte, USUAL_LOAD_WEIGHT);
    known.loads = Math.min(MAX_COUNTED_LOADS, known.loads + 1);
    known.meanLoadMs = meanWith(known.meanLoadMs, loadMs, 1 / known.loads);
    if (residentBytes !== null) known.residentBytes = measuredResidentBytes(residentBytes, known.version.artifactBytes);
    known.needsEmptyWorker = false;
    known.failedLoads = 0;
    known.lostLoads = 0;
    known.failure = null;
  }

  /** What a copy is worth if this many workers have one. */
  worthOf(known: KnownVersion, copies: number): Worth {
    return { use: this.#currentUse(known), loadMs: this.expectedLoadMs(known), bytes: known.residentBytes, copies };
  }

  /**
   * How long its next load takes, in milliseconds: from its own loads and from those of all versions. Every
   * decision uses this: the mean of its own loads is wrong if few of them were disturbed.
   */
  expectedLoadMs({ version, meanLoadMs, loads }: KnownVersion): number {
    const usualMs = (this.#msPerByte ?? INITIAL_MS_PER_BYTE) * (FIXED_LOAD_BYTES + version.artifactBytes);
    return (loads * (meanLoadMs ?? 0) + USUAL_LOADS * usualMs) / (loads + USUAL_LOADS);
  }

  /**
   * The versions of which a first copy is worth most, the most valuable first. One pass: thousands of versions may be
   * known, and this is asked after every load.
   */
  mostValuable(count: number, isCandidate: (known: KnownVersion) => boolean): KnownVersion[] {
    const best: { readonly known: KnownVersion; readonly value: number }[] = [];
    for (const known of this.#records.values()) {
      if (!isCandidate(known)) continue;
      const value = valueOfCopy(this.worthOf(known, 1));
      if (best.length === count && value <= (best.at(-1)?.value ?? 0)) continue;
      const place = best.findIndex((other) => value > other.value);
      best.splice(place < 0 ? best.length : place, 0, { known, value });
      if (best.length > count) best.pop();
    }
    return best.map(({ known }) => known);
  }

  #currentUse({ use }: KnownVersion): number {
    return use ? currentUse(use, this.#uses) : 0;
  }
}

function meanWith(mean: number | null, value: number, weight: number): number {
  return mean === null ? value : mean + (value - mean) * weight;
}

export function sizeOfVersion({ residentBytes, needsEmptyWorker, version }: KnownVersion): SizeOfVersion {
  const dataBytes = distinctBytes(version.spec.dataFiles ?? []);
  const loadingBytes = estimatedLoadingBytes(version.artifactBytes - dataBytes, dataBytes);
  return { residentBytes: needsEmptyWorker ? Infinity : residentBytes, loadingBytes };
}
