/**
 * File descriptors, processes and resident memory before and after a version is loaded and unloaded many times, and
 * before and after many workers are killed.
 *
 * "Before" is measured after 30 % of the rounds, when caches and heaps have reached their size.
 */
import { pino } from 'pino';
import { type App, startApp } from '#src/app.js';
import { loadConfig } from '#src/config.js';
import type { EngineVersion } from '#src/engine/messages.js';
import { until } from '../../support/until.ts';
import { readyWorkers } from '../../support/workers.ts';
import { type Footprint, type Leak, leakBetween, lowestFootprint } from './footprint.ts';
import { AFFINE, withStore } from './known-answers.ts';

type Counts = Omit<Footprint, 'open'>;

interface Growth {
  readonly rounds: number;
  readonly before: Counts;
  readonly after: Counts;
  /** What `after` has more than `before`; 0 if it has as many or fewer. */
  readonly leaked: Leak;
}

export interface LeakReport {
  /** Of the worker that loads. */
  readonly loads: Growth;
  /** Of the server whose workers are killed. */
  readonly kills: Growth;
}

export function leaks(rounds: number): Promise<LeakReport> {
  return withStore({ affine: AFFINE }, async ({ DATA_DIR: dataDir, MODEL_STORE: modelStore }) => {
    const config = {
      ...loadConfig({}),
      port: 0,
      dataDir,
      modelStore,
      workers: 2,
      executionProviders: ['cpu'] as const,
    };
    const app = await startApp(config, pino({ level: 'fatal' }));
    try {
      return { loads: await loadAndUnload(app, dataDir, rounds), kills: await killWorkers(app, rounds) };
    } finally {
      await app.stop();
    }
  });
}

async function loadAndUnload(app: App, dataDir: string, rounds: number): Promise<Growth> {
  const version = await versionOf(app, dataDir);
  const [worker] = readyWorkers(app.engine);
  if (!worker) throw new Error('No worker is ready.');
  return growth(rounds, worker.pid, async (round) => {
    const key = `${version.key}-${round}`;
    await app.engine.load({ ...version, key });
    await app.engine.unload((loaded) => loaded === key);
  });
}

function killWorkers(app: App, rounds: number): Promise<Growth> {
  return growth(rounds, process.pid, async () => {
    const [worker] = readyWorkers(app.engine);
    if (worker) process.kill(worker.pid, 'SIGKILL');
    await worker?.exited;
    await until('two workers and a spare have a version loaded', () => isWhole(app));
  });
}

function isWhole({ engine }: App): boolean {
  return engine.workers.filter(({ loaded }) => loaded.size > 0).length === 3;
}

async function growth(rounds: number, pid: number, act: (round: number) => Promise<void>): Promise<Growth> {
  const warmUp = Math.ceil(0.3 * rounds);
  for (let round = 0; round < warmUp; round++) await act(round);
  const before = await lowestFootprint(pid, BEFORE_MS);
  for (let round = warmUp; round < rounds; round++) await act(round);
  const after = await lowestFootprint(pid, AFTER_MS, before);
  return { rounds, before: countsOf(before), after: countsOf(after), leaked: leakBetween(before, after) };
}

function countsOf({ open: _, ...counts }: Footprint): Counts {
  return counts;
}

const BEFORE_MS = 500;
const AFTER_MS = 20_000;

async function versionOf({ databases }: App, dataDir: string): Promise<EngineVersion> {
  const { rows } = await databases.catalogFile.read(
    'select id, spec, artifact_sha256, artifact_bytes as bytes from version',
    [],
  );
  const { id, spec, artifact_sha256: digest, bytes } = rows[0] as Record<string, string>;
  if (!id || !spec || !digest) throw new Error('The model store was not imported.');
  const artifactPath = `${dataDir}/blobs/sha256/${digest.slice(0, 2)}/${digest.slice(2)}`;
  return {
    key: id,
    ref: 'affine:1',
    spec: JSON.parse(spec),
    artifactSha256: digest,
    artifactPath,
    dataBlobs: { folder: '', paths: [] },
    artifactBytes: Number(bytes),
    tokenizerPath: null,
  };
}
