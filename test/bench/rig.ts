/**
 * A server with one graph, set up for the open-loop generator: requests with their right answers, the physical
 * limit on the workers' core, and the processes to watch. On Linux with two cores or more, the server and the clients
 * share one core and the only worker has another.
 */
import os from 'node:os';
import type { TestStore } from '../support/model-store.ts';
import { rightOf } from './answers.ts';
import type { BareAnswer, BareOptions, BareResult, BareRun } from './bare.ts';
import type { CpuUse } from './cpu.ts';
import { type ChainName, chainNamed, createChainStore } from './graphs.ts';
import { percent } from './numbers.ts';
import type { OpenLoopOptions, OpenLoopResult, PhaseResult, Question } from './open-loop.ts';
import { childrenOf, measure, pin, type RunningServer, startModelgraph, workerPids } from './processes.ts';
import { chain, graphFile, type TensorWorkload, timedPredictBodies } from './requests.ts';

export interface Rig {
  readonly server: RunningServer;
  readonly questions: readonly Question[];
  /** The best run of the bare loop; its `itemsPerSecond` is L. */
  readonly best: BareRun;
  /** One run for each batch size, ascending. */
  readonly curve: readonly BareRun[];
  readonly load: (
    options: Pick<OpenLoopOptions, 'phases' | 'callers'> & Partial<OpenLoopOptions>,
  ) => Promise<OpenLoopResult>;
  readonly stop: () => Promise<void>;
}

export const DEADLINE_MS = 1_000;
const TIMEOUT_MS = 10_000;
const SEED = 20_261_125;
const BATCHES = [1, 2, 4, 8, 16, 32, 64];
const PIN_EVERY_MS = 250;

export const isPinned = process.platform === 'linux' && os.availableParallelism() >= 2;
const workerCore = isPinned ? 0 : null;
const serverCore = isPinned ? 1 : null;

/** What the server runs, and all that is in its model store. */
export interface Subject {
  readonly workload: TensorWorkload;
  readonly store: TestStore;
  readonly canBatch: boolean;
}

/** A chain that takes the time in its name on this machine. */
export async function chainSubject(model: ChainName): Promise<Subject> {
  const { ms, layers, canBatch } = chainNamed(model);
  const workload = chain(model);
  const trial = await createChainStore(model, layers);
  const bare = { graphFile: graphFile(trial.folder, model), tensor: workload.tensor, seconds: 1, batches: [1] };
  const { runs } = await measure<BareResult>('bare.ts', bare, workerCore);
  await trial.remove();
  const pairs = Math.max(1, Math.round((layers * ms) / (runs[0] as BareRun).p50 / 2));
  return { workload, store: await createChainStore(model, 2 * pairs), canBatch };
}

export async function startRig({ workload, store, canBatch }: Subject, isQuick: boolean): Promise<Rig> {
  const bare: BareOptions = {
    graphFile: graphFile(store.folder, workload.model),
    tensor: workload.tensor,
    questions: workload.tensors,
    seconds: isQuick ? 0.4 : 2,
    inFlight: 2,
    batches: canBatch ? BATCHES : [1],
  };
  const { runs, answers } = await measure<BareResult>('bare.ts', bare, workerCore);
  const bodies = timedPredictBodies(workload, DEADLINE_MS);
  const server = await startModelgraph({ MODEL_STORE: store.folder, WORKERS: '1' });
  const unpin = keepPinned(server.pid);
  const watch = { server: [server.pid], workers: await workerPids(server.url) };
  const defaults = {
    url: server.url,
    seed: SEED,
    arrivals: 'poisson',
    deadlineMs: DEADLINE_MS,
    timeoutMs: TIMEOUT_MS,
  } as const;
  return {
    server,
    questions: bodies.map((body, i) => ({ body, right: rightOf(answers[i] as BareAnswer, workload.labels) })),
    best: runs.reduce((a, b) => (b.itemsPerSecond > a.itemsPerSecond ? b : a)),
    curve: runs,
    load: (options) => measure<OpenLoopResult>('open-loop.ts', { ...defaults, watch, ...options }, serverCore),
    stop: async () => {
      unpin();
      await server.stop();
      await store.remove();
    },
  };
}

/** Pins the server to its core, and its children to the workers' core, also those that start later. */
function keepPinned(pid: number): () => void {
  if (serverCore === null || workerCore === null) return () => {};
  pin(pid, serverCore);
  const known = new Set<number>();
  const pinChildren = () => {
    for (const child of childrenOf(pid).filter((one) => !known.has(one))) {
      pin(child, workerCore);
      known.add(child);
    }
  };
  pinChildren();
  const timer = setInterval(pinChildren, PIN_EVERY_MS);
  return () => clearInterval(timer);
}

/** Share of the service's CPU time that bare runs of the same batches would have taken: η. */
export function efficiency({ curve }: Rig, { batchSizes }: PhaseResult, { groups }: CpuUse): number {
  const micros = Object.entries(batchSizes).map(
    ([size, answers]) => (answers / Number(size)) * cpuMicros(curve, Number(size)),
  );
  const inRuns = micros.reduce((sum, one) => sum + one, 0) / 1e6;
  return inRuns / ((groups['server'] ?? 0) + (groups['workers'] ?? 0));
}

/** CPU time of a bare run of one batch, interpolated between measured sizes. */
function cpuMicros(curve: readonly BareRun[], size: number): number {
  const above = curve.findIndex(({ batch }) => batch >= size);
  const upper = curve[above];
  const lower = curve[above - 1];
  const largest = curve.at(-1) as BareRun;
  if (!upper) return (largest.cpuMicrosPerBatch * size) / largest.batch;
  if (!lower) return upper.cpuMicrosPerBatch;
  const share = (size - lower.batch) / (upper.batch - lower.batch);
  return lower.cpuMicrosPerBatch + share * (upper.cpuMicrosPerBatch - lower.cpuMicrosPerBatch);
}

/** CPU use in a phase, in shares of one core. */
export function describeCpu({ groups, others, stolen, seconds }: CpuUse): string {
  const parts = Object.entries({ ...groups, others, stolen }).map(
    ([name, spent]) => `${name} ${percent(spent / seconds)}`,
  );
  return parts.join(', ');
}

export function judged(value: string, isMet: boolean): string {
  return `${value} ${isMet ? '(met)' : '**(missed)**'}`;
}

/** @throws Error if an answer was wrong or the client could not send */
export function checkAnswers({ callers }: OpenLoopResult): void {
  for (const { name, phases } of callers) {
    for (const { wrong, unsent, example } of phases) {
      if (wrong > 0) throw new Error(`${name}: ${wrong} answers were wrong, the first: ${example}`);
      if (unsent > 0) throw new Error(`${name}: the client could not send ${unsent} requests.`);
    }
  }
}
