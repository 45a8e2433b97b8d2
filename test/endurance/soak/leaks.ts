/**
 * File descriptors, processes and resident memory before and after a version is loaded and unloaded many times, and
 * before and after many workers are killed.
 *
 * "Before" is measured after 30 % of the rounds, when caches and heaps have reached their size.
 */
import { readdir, readFile, readlink } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { pino } from 'pino';
import { type App, startApp } from '#src/app.js';
import { DEFAULTS } from '#src/config.js';
import type { EngineVersion } from '#src/engine/messages.js';
import { loadMessage } from '#src/engine/messages.js';
import { until } from '../../support/until.ts';
import { readyWorkers } from '../../support/workers.ts';
import { AFFINE, withStore } from './known-answers.ts';

interface Footprint {
  readonly fileDescriptors: number;
  readonly processes: number;
  readonly residentBytes: number;
  /** What the descriptors refer to, such as `29 /dev/null` or `31 socket:[81652]`. */
  readonly open: readonly string[];
}

type Counts = Omit<Footprint, 'open'>;

interface Growth {
  readonly rounds: number;
  readonly before: Counts;
  readonly after: Counts;
  /** What `after` has more than `before`; 0 if it has as many or fewer. */
  readonly leaked: Leak;
}

interface Leak {
  readonly fileDescriptors: number;
  readonly processes: number;
  /** If descriptors leaked: those that were not open before, some of which took the place of others. */
  readonly opened: readonly string[];
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
    worker.send(loadMessage({ ...version, key }, app.engine.provider));
    await until('the version is loaded', () => worker.loaded.has(key));
    worker.send({ kind: 'unload', key });
    worker.loaded.delete(key);
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

function leakBetween(before: Footprint, after: Footprint): Leak {
  const fileDescriptors = Math.max(0, after.fileDescriptors - before.fileDescriptors);
  return {
    fileDescriptors,
    processes: Math.max(0, after.processes - before.processes),
    opened: fileDescriptors > 0 ? after.open.filter((one) => !before.open.includes(one)) : [],
  };
}

const POLL_MS = 25;
const BEFORE_MS = 500;
const AFTER_MS = 20_000;

/**
 * The lowest of several measurements, since a pipe that is being closed or a file that is being read is not a leak.
 * Ends early if there are no more descriptors and processes than in `target`.
 */
async function lowestFootprint(pid: number, ms: number, target?: Footprint): Promise<Footprint> {
  const deadline = performance.now() + ms;
  if (pid === process.pid) collectGarbage();
  let lowest = await footprintOf(pid);
  const isReached = () => {
    if (!target) return false;
    const { fileDescriptors, processes } = leakBetween(target, lowest);
    return fileDescriptors + processes === 0;
  };
  while (!isReached() && performance.now() < deadline) {
    await sleep(POLL_MS);
    const next = await footprintOf(pid);
    const fewest = next.fileDescriptors < lowest.fileDescriptors ? next : lowest;
    lowest = {
      fileDescriptors: fewest.fileDescriptors,
      open: fewest.open,
      processes: Math.min(lowest.processes, next.processes),
      residentBytes: Math.min(lowest.residentBytes, next.residentBytes),
    };
  }
  return lowest;
}

async function versionOf({ databases }: App, dataDir: string): Promise<EngineVersion> {
  const { rows } = await databases.catalogFile.read('select id, spec, artifact_sha256 from version', []);
  const { id, spec, artifact_sha256: digest } = rows[0] as Record<string, string>;
  if (!id || !spec || !digest) throw new Error('The model store was not imported.');
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

const PAGE_BYTES = 4096;

async function footprintOf(pid: number): Promise<Footprint> {
  const statm = await readFile(`/proc/${pid}/statm`, 'utf8');
  const children = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8').catch(() => '');
  const descriptors = await readdir(`/proc/${pid}/fd`);
  const targets = descriptors.map((fd) => readlink(`/proc/${pid}/fd/${fd}`).catch(() => 'closed'));
  return {
    fileDescriptors: descriptors.length,
    processes: children.split(' ').filter(Boolean).length,
    residentBytes: Number(statm.split(' ')[1]) * PAGE_BYTES,
    open: (await Promise.all(targets)).map((target, i) => `${descriptors[i]} ${target}`),
  };
}
