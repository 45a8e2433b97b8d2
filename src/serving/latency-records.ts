/**
 * The latency curves that were measured, and the memory that versions take: kept in the catalog, apart for each machine,
 * execution provider and runtime.
 */
import { createRequire } from 'node:module';
import { availableParallelism, cpus } from 'node:os';
import type { LatencyStore, Measured } from '../engine/idle-measurements.js';
import type { LatencyPoint } from '../engine/latency-curve.js';
import type { EngineVersion } from '../engine/messages.js';
import type { CatalogDatabase } from '../storage/database.js';
import { findLatency, saveLatency } from './latency.queries.js';
import { variantOf, versionIdOf } from './serving.js';

/** What a curve depends on besides the version, which never changes. */
interface Environment {
  readonly machine: string;
  readonly provider: string;
  readonly runtime: string;
}

const MACHINE = `${cpus()[0]?.model.trim() ?? 'unknown CPU'}, ${availableParallelism()} cores`;
/** The version of ONNX Runtime. Only its `package.json` is read: native code stays out of this process. */
const RUNTIME: string = createRequire(import.meta.url)('onnxruntime-node/package.json').version;

export function environmentOf(provider: string): Environment {
  return { machine: MACHINE, provider, runtime: RUNTIME };
}

/** Of the rows of a version, the one that was measured on this machine with this provider. */
export function measuredHere<Row extends Environment>(rows: readonly Row[], provider: string): Row | undefined {
  const here = environmentOf(provider);
  return rows.find((row) => row.machine === here.machine && row.provider === provider && row.runtime === here.runtime);
}

export class LatencyRecords implements LatencyStore {
  readonly #db: CatalogDatabase;

  constructor(db: CatalogDatabase) {
    this.#db = db;
  }

  async find(version: EngineVersion, provider: string): Promise<LatencyPoint[] | null> {
    const points = await findLatency(this.#db, keyOf(version, provider));
    return points === null ? null : JSON.parse(points);
  }

  async save(version: EngineVersion, provider: string, { points, residentBytes }: Measured): Promise<void> {
    const measured = { points: JSON.stringify(points), resident_bytes: residentBytes, measured_at: Date.now() };
    await saveLatency(this.#db, { ...keyOf(version, provider), ...measured });
  }
}

function keyOf({ key }: EngineVersion, provider: string) {
  return { version_id: versionIdOf(key), variant: variantOf(key) ?? '', ...environmentOf(provider) };
}
