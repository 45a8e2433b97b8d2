/** What is tried on a running server: how fast it answers, whether it survives kills, and whether it keeps memory. */
import { readFileSync } from 'node:fs';
import type { Data } from '../support/graphql-client.ts';
import { until } from '../support/until.ts';
import { MEDIUM_INPUTS, type ModelInputs } from './answers.ts';
import { usedMiB } from './device.ts';
import type { GpuServer } from './server.ts';

const BATCHES = [1, 8, 32, 128];
const CLIENTS = 4;
const MAX_BODY_BYTES = 4_000_000;
const CHECKED_ROUNDS = [1, 2, 5, 10, 20, 50, 100];

const PREDICT =
  'mutation ($input: PredictManyInput!) { predictMany(input: $input) { results { prediction { truncated } problem { message } } } }';

/** Items per second, by model and by number of inputs in a request. */
export type Speeds = Readonly<Record<string, Readonly<Record<number, number>>>>;

export interface Kills {
  readonly killed: number;
  readonly recoveredMs: number;
  readonly answered: number;
  readonly problems: readonly string[];
}

export interface Rounds {
  readonly seen: readonly { round: number; gpuMiB: number | null; dataMb: readonly (number | null)[] }[];
  readonly problem: string | null;
}

async function send(server: GpuServer, model: string, inputs: readonly object[]): Promise<Data[]> {
  return (await server.query(PREDICT, { input: { model, inputs, record: false } })).predictMany.results;
}

/** The answers to one request of each client come first, so that compiling for new shapes is not measured. */
export async function throughput(server: GpuServer, models: readonly ModelInputs[], seconds: number): Promise<Speeds> {
  const speeds: Record<string, Record<number, number>> = {};
  for (const { model, inputs } of models) {
    const bySize: Record<number, number> = {};
    speeds[model] = bySize;
    for (const size of BATCHES) {
      const sent = Array.from({ length: size }, (_, i) => inputs[i % inputs.length] as object);
      if (JSON.stringify(sent).length > MAX_BODY_BYTES) continue;
      await Promise.all(Array.from({ length: CLIENTS }, () => send(server, model, sent)));
      let answered = 0;
      const begun = performance.now();
      const client = async () => {
        while (performance.now() - begun < seconds * 1_000)
          answered += (await send(server, model, sent)).filter(({ problem }) => !problem).length;
      };
      await Promise.all(Array.from({ length: CLIENTS }, client));
      bySize[size] = Math.round((answered * 1_000) / (performance.now() - begun));
    }
  }
  return speeds;
}

/** `dataMb` is the memory that `WORKER_MEMORY_BYTES` limits, with what Node reserves; null where it is unknown. */
export async function workersOf(server: GpuServer): Promise<Data[]> {
  const { engine } = await server.query(
    '{ engine { workers { pid state executionProvider device residentBytes restarts } } }',
  );
  return engine.workers.map(({ residentBytes, ...worker }: Data) => ({
    ...worker,
    residentMb: Math.round(residentBytes / 1e6),
    dataMb: dataMbOf(worker.pid),
  }));
}

function dataMbOf(pid: number): number | null {
  try {
    const [, kib] = /VmData:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
    return kib === undefined ? null : Math.round((Number(kib) * 1024) / 1e6);
  } catch {
    return null;
  }
}

/** Kills all workers but one while clients send, and waits until they are replaced. */
export async function killWorkers(server: GpuServer, models: readonly ModelInputs[]): Promise<Kills> {
  const { model, inputs } = models.find(({ model }) => model === 'fashion-cnn') ?? MEDIUM_INPUTS;
  let isDone = false;
  let answered = 0;
  const problems = new Set<string>();
  const client = async () => {
    while (!isDone) {
      for (const { problem } of await send(server, model, inputs)) {
        if (problem) problems.add(problem.message);
        else answered++;
      }
    }
  };
  const clients = Promise.all([client(), client()]);
  const before = await workersOf(server);
  const killed = new Set(before.slice(1).map(({ pid }) => pid));
  const begun = performance.now();
  for (const pid of killed) process.kill(pid, 'SIGKILL');
  await until('the killed workers are replaced', async () => {
    const now = await workersOf(server);
    return now.length >= before.length && now.every(({ pid, state }) => !killed.has(pid) && state !== 'STARTING');
  });
  const recoveredMs = Math.round(performance.now() - begun);
  isDone = true;
  await clients;
  return { killed: killed.size, recoveredMs, answered, problems: [...problems] };
}

/** What the GPU and the workers hold after some of the rounds. */
export async function loadAndRelease(server: GpuServer, version: string, rounds: number): Promise<Rounds> {
  const seen = [];
  for (let round = 1; round <= rounds; round++) {
    for (const change of ['unload', 'load']) {
      const document = `mutation ($v: VersionRef!) { ${change}(version: $v) { problem { message } } }`;
      const { problem } = (await server.query(document, { v: version }))[change];
      if (problem) return { seen, problem: `${change} in round ${round}: ${problem.message}` };
    }
    if (!CHECKED_ROUNDS.includes(round)) continue;
    seen.push({ round, gpuMiB: usedMiB(), dataMb: (await workersOf(server)).map(({ dataMb }) => dataMb) });
  }
  return { seen, problem: null };
}
