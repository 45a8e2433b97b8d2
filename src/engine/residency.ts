/**
 * Which versions stay in memory: what a copy is worth, which copies make room for another, and when a second copy pays.
 *
 * Pure: no processes and no clocks. "Now" is a count of uses, so that a quiet night changes nothing.
 */

import { STANDBY_WORKERS } from './supervision.js';

/** A decayed count of the batches of one version: `score` as of `at`, in uses of all versions. */
export interface UseCount {
  readonly score: number;
  readonly at: number;
}

/** After this many batches of any version, an old use counts half. */
const USE_HALF_LIFE = 10_000;

export function currentUse({ score, at }: UseCount, now: number): number {
  return score * 2 ** ((at - now) / USE_HALF_LIFE);
}

export function withOneMore(use: UseCount | null, now: number): UseCount {
  return { score: (use ? currentUse(use, now) : 0) + 1, at: now };
}

/** What the value of a copy depends on. */
export interface Worth {
  /** See `currentUse`. */
  readonly use: number;
  readonly loadMs: number;
  readonly bytes: number;
  /** Workers that have the version loaded. */
  readonly copies: number;
}

/** Load time that a copy saves for each byte it takes. Only the last copy of a version saves the whole load. */
export function valueOfCopy({ use, loadMs, bytes, copies }: Worth): number {
  return (use * loadMs) / Math.max(1, bytes) / Math.max(1, copies);
}

export interface Resident {
  readonly key: string;
  readonly bytes: number;
  readonly value: number;
  /**
   * Loaded for a waiting input that it has not served yet. An outstanding batch needs no lease here: its worker releases
   * a version only after the batches that it received before.
   */
  readonly isLeased: boolean;
}

export interface WorkerMemory {
  /** Bytes that versions may take in this worker. */
  readonly capacityBytes: number;
  readonly residents: readonly Resident[];
  readonly outstandingBatches: number;
}

export interface SizeOfVersion {
  readonly residentBytes: number;
  /** The peak of the load. It may use the part of the worker's room that is kept free. */
  readonly loadingBytes: number;
}

/**
 * Bytes of its capacity that a worker needs for a version. One that is larger than the capacity may try an empty worker,
 * because its size is an estimate.
 */
export function neededBytes({ capacityBytes }: WorkerMemory, { residentBytes, loadingBytes }: SizeOfVersion): number {
  const keptFree = roomForRuns(capacityBytes / RESIDENT_RATIO);
  return Math.min(Math.max(residentBytes, loadingBytes - keptFree), capacityBytes);
}

export function freeBytes({ capacityBytes, residents }: WorkerMemory): number {
  return capacityBytes - sumOf(residents);
}

/** The residents to evict so that a version fits, the least valuable first; null if the leases leave too little room. */
export function planEviction(worker: WorkerMemory, size: SizeOfVersion): Resident[] | null {
  let missing = neededBytes(worker, size) - freeBytes(worker);
  if (missing <= 0) return [];
  const evicted: Resident[] = [];
  for (const resident of worker.residents.filter(({ isLeased }) => !isLeased).sort((a, b) => a.value - b.value)) {
    if (missing <= 0) break;
    evicted.push(resident);
    missing -= resident.bytes;
  }
  if (missing > 0) return null;
  // A large resident that was added last may make an earlier, smaller one unnecessary to evict.
  return evicted.filter((resident) => {
    if (missing + resident.bytes > 0) return true;
    missing += resident.bytes;
    return false;
  });
}

interface LoadPlan<W extends WorkerMemory> {
  readonly worker: W;
  readonly evicted: readonly Resident[];
}

/** Where to load a version: into an idle worker if possible, and where the evicted copies are worth least. */
export function planLoad<W extends WorkerMemory>(workers: readonly W[], size: SizeOfVersion): LoadPlan<W> | null {
  const plans = workers.flatMap((worker) => {
    const evicted = planEviction(worker, size);
    return evicted ? [{ worker, evicted }] : [];
  });
  const lost = ({ evicted }: LoadPlan<W>) => evicted.reduce((sum, { value, bytes }) => sum + value * bytes, 0);
  return (
    plans.sort(
      (a, b) =>
        a.worker.outstandingBatches - b.worker.outstandingBatches ||
        lost(a) - lost(b) ||
        sumOf(a.worker.residents) - sumOf(b.worker.residents),
    )[0] ?? null
  );
}

/** Whether a copy is worth more than what has to be evicted for it. */
export function isWorthEvicting(worth: Worth, evicted: readonly Resident[]): boolean {
  return valueOfCopy(worth) * worth.bytes > evicted.reduce((sum, { value, bytes }) => sum + value * bytes, 0);
}

/**
 * Whether another copy pays: the inputs that wait for the version would wait longer than the load takes, including the
 * load of each evicted copy, which has to be repeated.
 */
export function isCopyWorthwhile(queueMs: number, loadMs: number, evictedLoadMs: number): boolean {
  return queueMs > loadMs + evictedLoadMs;
}

// ── sizes ──

/** Measured with ONNX Runtime 1.30.0: a session takes about as much memory as its file; the rest is safety. */
const RESIDENT_BYTES_PER_FILE_BYTE = 1.2;
/** During a load, the file, its parsed form and the session exist at the same time. Measured: 3.2. */
const LOADING_BYTES_PER_FILE_BYTE = 3.5;
/** Data files are mapped, which counts as data memory, and repacked weights exist at the same time. Measured: up to 2.3. */
const LOADING_BYTES_PER_DATA_BYTE = 2.5;
/** Session objects and arena of a small graph. */
const MIN_RESIDENT_BYTES = 2_000_000;

/** The share of its room that a worker fills with versions. The rest is for runs and for the peaks of loads. */
const RESIDENT_RATIO = 0.75;

/** Bytes that versions may take in a worker that can allocate `roomBytes` for versions and runs. */
export function capacityOf(roomBytes: number): number {
  return RESIDENT_RATIO * roomBytes;
}

/** What is left for runs in a worker that is full of versions. */
export function roomForRuns(roomBytes: number): number {
  return roomBytes - capacityOf(roomBytes);
}

/**
 * GPU memory that a process takes before it loads a version: what the driver, cuBLAS and cuDNN usually take. An estimate,
 * because ONNX Runtime for Node neither limits nor tells what a session takes on a GPU.
 */
export const DEVICE_CONTEXT_BYTES = 600_000_000;

/**
 * GPU memory that versions and runs may take in one process if `workers`, the spare and the quarantine worker are spread
 * over the GPUs. A version is estimated to take there what it takes in the memory of the process. Negative if there are
 * too many processes for a GPU.
 */
export function deviceRoom(deviceMemoryBytes: number, workers: number, gpus: number): number {
  const processes = Math.ceil((workers + STANDBY_WORKERS) / Math.max(1, gpus));
  return Math.floor(deviceMemoryBytes / processes) - DEVICE_CONTEXT_BYTES;
}

/** Expected memory of a loaded copy in bytes, until it has been measured. */
export function estimatedResidentBytes(fileBytes: number): number {
  return Math.max(MIN_RESIDENT_BYTES, RESIDENT_BYTES_PER_FILE_BYTE * fileBytes);
}

/** Memory of a loaded copy. Growth is understated where the process reused memory that it had kept. */
export function measuredResidentBytes(grownBytes: number, fileBytes: number): number {
  return Math.max(grownBytes, fileBytes, MIN_RESIDENT_BYTES);
}

/** Memory that a load of a graph and its data files needs at its peak, in bytes. */
export function estimatedLoadingBytes(graphBytes: number, dataBytes: number): number {
  return LOADING_BYTES_PER_FILE_BYTE * graphBytes + LOADING_BYTES_PER_DATA_BYTE * dataBytes;
}

function sumOf(residents: readonly Resident[]): number {
  return residents.reduce((sum, { bytes }) => sum + bytes, 0);
}
