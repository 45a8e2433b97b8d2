/**
 * What is left after a version was loaded and unloaded again and again, and after worker after worker was killed: file
 * descriptors, processes and resident memory, before and after.
 *
 * Before means: after three tenths of the rounds, when caches and heaps have found their size.
 */
import { readdir, readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { pino } from 'pino';
import { type App, startApp } from '#src/app.js';
import { DEFAULTS } from '#src/config.js';
import type { EngineVersion } from '#src/engine/messages.js';
import { AFFINE, withStore } from './store.ts';

interface Footprint {
  readonly fileDescriptors: number;
  readonly processes: number;
  readonly residentBytes: number;
}

interface Growth {
  readonly rounds: number;
  readonly before: Footprint;
  readonly after: Footprint;
}

export interface LeakReport {
  /** Of the worker that loads. */
  readonly loads: Growth;
  /** Of the server whose workers are killed. */
  readonly kills: Growth;
}

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

export function leaks(rounds: number): Promise<LeakReport> {
  return withStore({ affine: AFFINE }, async ({ DATA_DIR: dataDir, MODEL_STORE: modelStore }) => {
    const config = { ...DEFAULTS, port: 0, dataDir, modelStore, workers: 2, executionProviders: ['cpu'] as const };
    const app = await startApp(config, pino({ level: 'fatal' }));
    try {
      return { loads: await loadAgainAndAgain(app, dataDir, rounds), kills: await killAgainAndAgain(app, rounds) };
    } finally {
      await app.stop();
    }
  });
}

async function loadAgainAndAgain(app: App, dataDir: string, rounds: number): Promise<Growth> {
  const version = await versionOf(app, dataDir);
  const [worker] = app.engine.pool.ready;
  if (!worker) throw new Error('no worker is ready');
  const footprint = () => footprintOf(worker.pid);
  return growth(rounds, footprint, async (round) => {
    const key = `${version.key}-${round}`;
    await app.engine.pool.load(worker, { ...version, key });
    worker.send({ kind: 'unload', key });
    worker.loaded.delete(key);
  });
}

async function killAgainAndAgain(app: App, rounds: number): Promise<Growth> {
  const footprint = async () => {
    for (let i = 0; i < 2; i++) {
      collectGarbage();
      await sleep(POLL_MS);
    }
    return footprintOf(process.pid);
  };
  return growth(rounds, footprint, async () => {
    const [worker] = app.engine.pool.ready;
    if (worker) process.kill(worker.pid, 'SIGKILL');
    await worker?.ended;
    await isWhole(app);
  });
}

async function growth(rounds: number, footprint: () => Promise<Footprint>, act: (round: number) => Promise<void>) {
  const warmUp = Math.ceil(0.3 * rounds);
  for (let round = 0; round < warmUp; round++) await act(round);
  const before = await footprint();
  for (let round = warmUp; round < rounds; round++) await act(round);
  return { rounds, before, after: await footprint() };
}

/** Two workers and a spare that has a version loaded. */
async function isWhole({ engine }: App): Promise<void> {
  const isWarm = () => engine.pool.all.filter(({ loaded }) => loaded.size > 0).length === 3;
  // Spinning would make garbage by the million, and its heap would be taken for a leak.
  while (!isWarm()) await sleep(POLL_MS);
}

async function versionOf({ databases }: App, dataDir: string): Promise<EngineVersion> {
  const { rows } = await databases.catalogFile.read('select id, spec, artifact_sha256 from version', []);
  const { id, spec, artifact_sha256: digest } = rows[0] as Record<string, string>;
  if (!id || !spec || !digest) throw new Error('the model store was not imported');
  const artifactPath = `${dataDir}/blobs/sha256/${digest.slice(0, 2)}/${digest.slice(2)}`;
  return {
    key: id,
    ref: 'affine:1',
    spec: JSON.parse(spec),
    artifactSha256: digest,
    artifactPath,
    tokenizerPath: null,
  };
}

const POLL_MS = 5;
const PAGE_BYTES = 4096;

async function footprintOf(pid: number): Promise<Footprint> {
  const statm = await readFile(`/proc/${pid}/statm`, 'utf8');
  const children = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8').catch(() => '');
  return {
    fileDescriptors: (await readdir(`/proc/${pid}/fd`)).length,
    processes: children.split(' ').filter(Boolean).length,
    residentBytes: Number(statm.split(' ')[1]) * PAGE_BYTES,
  };
}
