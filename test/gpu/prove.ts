/** Everything that is tried with one execution provider. */
import { execFileSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import path from 'node:path';
import { HEAVY, MEDIUM } from '../bench/graphs.ts';
import type { Data } from '../support/graphql-client.ts';
import {
  type Answers,
  answersOf,
  type Difference,
  goldenInputs,
  largestDifference,
  MEDIUM_INPUTS,
  providerOf,
} from './answers.ts';
import type { BareRuns } from './bare.ts';
import { usedMiB } from './device.ts';
import { type GpuServer, startOn } from './server.ts';
import { type Kills, killWorkers, loadAndRelease, type Rounds, type Speeds, throughput, workersOf } from './trials.ts';

export interface Trial {
  readonly store: string;
  readonly workers: number;
  readonly seconds: number;
  readonly rounds: number;
}

/** The provider does not work on this machine. */
export interface Unavailable {
  readonly provider: string;
  readonly reason: string;
}

export interface Proof {
  readonly provider: string;
  /** What was expected and did not hold; empty if the provider is proven. */
  readonly failures: readonly string[];
  readonly importMs: number;
  readonly health: string;
  readonly versions: readonly Data[];
  readonly differences: Readonly<Record<string, Difference>> | null;
  readonly speeds: Speeds;
  readonly rounds: Rounds;
  readonly kills: Kills;
  readonly workers: readonly Data[];
  /** Memory in use on all GPUs before the server started, and while it ran; null if unknown. */
  readonly gpuMiB: readonly (number | null)[];
  readonly bare: Readonly<Record<string, BareRuns | { readonly error: string }>>;
  readonly log: readonly Data[];
  readonly answers: Answers;
}

/** Of scores, and of other numbers relative to their size. */
const TOLERANCE = 1e-5;
/** The same for the boxes of detections, which are in pixels of a deep network's input. */
const DEEP_TOLERANCE = 1e-4;

const VERSIONS = `{ models(first: 50) { nodes { name versions(first: 1) { nodes { state stateReason
  serving { servingState replicas executionProvider maxBatch maxBatchReason residentBytes } } } } } }`;

/** @param expected answers of the CPU; null when the CPU itself is tried */
export async function prove(provider: string, trial: Trial, expected: Answers | null): Promise<Proof | Unavailable> {
  const { store, workers, seconds, rounds } = trial;
  const inputs = [...goldenInputs(store), MEDIUM_INPUTS];
  const before = usedMiB();
  const server = await startOn(provider, { MODEL_STORE: store, WORKERS: String(workers) });
  try {
    const unavailable = await reasonAgainst(provider, server);
    if (unavailable !== null) return { provider, reason: unavailable };
    console.log(`${provider}: the model store was imported; now answering, measuring, releasing and killing`);
    const answers = await answersOf(server, inputs);
    const measured = {
      importMs: server.importMs,
      health: await server.health(),
      answers,
      differences: expected && largestDifference(answers, expected),
      speeds: await throughput(server, inputs, seconds),
      versions: await versionsOf(server),
      workers: await workersOf(server),
      gpuMiB: [before, usedMiB()],
      rounds: await loadAndRelease(server, MEDIUM.name, rounds),
      kills: await killWorkers(server, inputs),
      log: server.log,
      bare: bareRuns(provider, trial, [...inputs.map(({ model }) => model), HEAVY.name]),
    };
    return { provider, failures: failuresOf(provider, measured), ...measured };
  } finally {
    await server.end();
  }
}

/** What the server found when it tried the provider; null if it works. */
async function reasonAgainst(provider: string, server: GpuServer): Promise<string | null> {
  const { engine } = await server.query('{ engine { providers { name available reason } } }');
  const check = engine.providers.find(({ name }: Data) => name === provider);
  return check.available ? null : check.reason;
}

async function versionsOf(server: GpuServer): Promise<Data[]> {
  const { models } = await server.query(VERSIONS);
  return models.nodes.map(({ name, versions }: Data) => ({ name, ...versions.nodes[0] }));
}

function failuresOf(provider: string, proof: Omit<Proof, 'provider' | 'failures'>): string[] {
  const { versions, differences, kills, rounds, health, bare } = proof;
  return [
    ...(health.startsWith('200') ? [] : [health]),
    ...versions.filter(({ state }) => state !== 'READY').map(({ name, stateReason }) => `${name}: ${stateReason}`),
    ...Object.entries(differences ?? {}).flatMap(([model, { difference, executionProvider, problem }]) => {
      const tolerance = model === 'face-detector' ? DEEP_TOLERANCE : TOLERANCE;
      if (problem) return [`${model}: ${problem}`];
      if (executionProvider !== providerOf(model, provider)) return [`${model} was answered on ${executionProvider}`];
      return difference <= tolerance ? [] : [`${model}: an answer differs by ${difference}`];
    }),
    ...kills.problems,
    ...(rounds.problem ? [rounds.problem] : []),
    ...Object.entries(bare).flatMap(([model, runs]) => ('error' in runs ? [`${model}: ${runs.error}`] : [])),
  ];
}

/** Processes of their own, because the crash of a driver then ends one measurement only. */
function bareRuns(provider: string, { store, seconds }: Trial, models: readonly string[]): Proof['bare'] {
  const runs = models.map((model) => {
    const files = readdirSync(path.join(store, model), { recursive: true, encoding: 'utf8' });
    const graph = path.join(store, model, files.find((file) => file.endsWith('model.onnx')) as string);
    const args = [path.join(import.meta.dirname, 'bare.ts'), provider, graph, String(seconds)];
    try {
      const env = { ...process.env, NVIDIA_TF32_OVERRIDE: '0' };
      const printed = execFileSync(process.execPath, args, { encoding: 'utf8', stdio: 'pipe', timeout: 120_000, env });
      return [model, JSON.parse(printed.trim().split('\n').at(-1) as string)];
    } catch (error) {
      return [model, { error: (error as Error).message.slice(0, 1_500) }];
    }
  });
  return Object.fromEntries(runs);
}
