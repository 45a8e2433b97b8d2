/**
 * Whether memory grows with what a server has answered: predictions (a tenth of them recorded), loads and evictions, and
 * refused giant bodies, in ten rounds. After each round it measures the server's heap after a garbage collection, and the
 * resident memory and file descriptors of the server and its workers. The first round is warm-up.
 */
import http from 'node:http';
import { text } from 'node:stream/consumers';
import { type RunningServer, startModelgraph } from '../../bench/processes.ts';
import type { Data } from '../../support/graphql-client.ts';
import { footprintOf } from './footprint.ts';
import { Giants } from './giants.ts';
import { AFFINE, PREDICT_MANY, withStore } from './known-answers.ts';

/** Closed before each measurement, so that the number of open connections does not vary. */
const agent = new http.Agent({ keepAlive: true });

async function post(url: string, query: string, variables: unknown = {}): Promise<{ data: Data }> {
  const { promise, resolve, reject } = Promise.withResolvers<http.IncomingMessage>();
  const headers = { 'content-type': 'application/json' };
  const request = http.request(`${url}/graphql`, { method: 'POST', agent, headers }, resolve).on('error', reject);
  request.end(JSON.stringify({ query, variables }));
  return JSON.parse(await text(await promise));
}

const ROUNDS = 10;
const CLIENTS = 4;
const INPUTS_A_REQUEST = 100;
/** Every tenth request is recorded. */
const RECORD_EVERY = 10;
const PREDICTIONS_PER_LOAD = 1_000;
const PREDICTIONS_PER_GIANT = 100;

/** All sizes are in bytes. */
export interface Sample {
  readonly predictions: number;
  readonly heapUsed: number;
  readonly external: number;
  readonly residentBytes: number;
  readonly workersResidentBytes: number;
  readonly fileDescriptors: number;
  readonly processes: number;
}

export interface GrowthReport {
  readonly predictions: number;
  readonly wrong: number;
  /** 0 if the schema has no mutations to load and unload. */
  readonly loads: number;
  readonly refusals: Readonly<Record<string, number>>;
  readonly leaked: { readonly fileDescriptors: number; readonly processes: number };
  /** After the first round, by linear regression, as a share of the size after the first round per million predictions. */
  readonly slopes: { readonly heap: number; readonly resident: number; readonly workersResident: number };
  readonly samples: readonly Sample[];
}

export function growth(predictions: number): Promise<GrowthReport> {
  return withStore({ affine: AFFINE }, async ({ MODEL_STORE }) => {
    const server = await startModelgraph({
      MODEL_STORE,
      WORKERS: '2',
      LOG_LEVEL: 'error',
      DEFAULT_DEADLINE_MS: '60000',
    });
    try {
      return await measure(server, predictions);
    } finally {
      await server.stop();
    }
  });
}

async function measure(server: RunningServer, predictions: number): Promise<GrowthReport> {
  const url = server.url.replace(/\/graphql$/, '');
  const giants = new Giants(url);
  const canLoad = await hasMutation(url, 'unload');
  const samples: Sample[] = [];
  let [wrong, loads] = [0, 0];
  const perRound = Math.ceil(predictions / ROUNDS);
  for (let round = 0; round < ROUNDS; round++) {
    wrong += await predictAll(url, round * perRound, perRound);
    for (let i = 0; canLoad && i < perRound / PREDICTIONS_PER_LOAD; i++, loads++) wrong += await loadAgain(url, loads);
    await giants.send(Math.ceil(perRound / PREDICTIONS_PER_GIANT));
    samples.push(await sample(server, (round + 1) * perRound, samples[0]));
  }
  const [first, last] = [samples[0], samples.at(-1)] as [Sample, Sample];
  const more = (of: (one: Sample) => number) => Math.max(0, of(last) - of(first));
  return {
    predictions: ROUNDS * perRound,
    wrong,
    loads,
    refusals: giants.refusals,
    leaked: { fileDescriptors: more((one) => one.fileDescriptors), processes: more((one) => one.processes) },
    slopes: {
      heap: slope(samples, ({ heapUsed, external }) => heapUsed + external),
      resident: slope(samples, ({ residentBytes }) => residentBytes),
      workersResident: slope(samples, ({ workersResidentBytes }) => workersResidentBytes),
    },
    samples,
  };
}

/** Returns how many answers were wrong or missing. */
async function predictAll(url: string, first: number, count: number): Promise<number> {
  let [next, wrong] = [first, 0];
  const client = async () => {
    while (next < first + count) {
      const begin = next;
      next += Math.min(INPUTS_A_REQUEST, first + count - begin);
      wrong += await predict(url, begin, next - begin);
    }
  };
  await Promise.all(Array.from({ length: CLIENTS }, client));
  return wrong;
}

async function predict(url: string, first: number, count: number): Promise<number> {
  const values = Array.from({ length: count }, (_, i) => first + i);
  const record = (first / INPUTS_A_REQUEST) % RECORD_EVERY === 0;
  const input = { model: 'affine', inputs: values.map(AFFINE.inputOf), record };
  const { data } = await post(url, PREDICT_MANY, { input });
  const results: readonly { prediction: { output: { tensors: { data: number[] }[] } } | null }[] =
    data.predictMany.results;
  return values.filter((value, i) => results[i]?.prediction?.output.tensors[0]?.data[0] !== AFFINE.answerOf(value))
    .length;
}

/** Unloads the version; the next prediction loads it again. Returns 1 if its answer is wrong. */
async function loadAgain(url: string, value: number): Promise<number> {
  const { data } = await post(url, 'mutation { unload(version: "affine:1") { problem { message } } }');
  if (data.unload.problem) throw new Error(`unload: ${data.unload.problem.message}`);
  return predict(url, value, 1);
}

async function hasMutation(url: string, name: string): Promise<boolean> {
  const { data } = await post(url, '{ __schema { mutationType { fields { name } } } }');
  return data.__schema.mutationType.fields.some((field: { name: string }) => field.name === name);
}

const MIN_TRIES = 5;
const MAX_TRIES = 40;

/** The try with the fewest descriptors, since some are about to be closed; more tries if there are more than in `first`. */
async function sample(server: RunningServer, predictions: number, first: Sample | undefined): Promise<Sample> {
  agent.destroy();
  let fewest = await sampleOnce(server, predictions);
  for (let tries = 1; tries < MAX_TRIES; tries++) {
    const isSettled = first ? fewest.fileDescriptors <= first.fileDescriptors : tries >= MIN_TRIES;
    if (isSettled) break;
    const next = await sampleOnce(server, predictions);
    if (next.fileDescriptors < fewest.fileDescriptors) fewest = next;
  }
  return fewest;
}

async function sampleOnce({ url, pid, memory }: RunningServer, predictions: number): Promise<Sample> {
  const { heapUsed, external } = await memory();
  const { data } = await post(url.replace(/\/graphql$/, ''), '{ engine { workers { pid } } }');
  const workers = await Promise.all(data.engine.workers.map((one: { pid: number }) => footprintOf(one.pid)));
  const server = await footprintOf(pid);
  const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);
  return {
    predictions,
    heapUsed,
    external,
    residentBytes: server.residentBytes,
    workersResidentBytes: sum(workers.map(({ residentBytes }) => residentBytes)),
    fileDescriptors: server.fileDescriptors + sum(workers.map(({ fileDescriptors }) => fileDescriptors)),
    processes: server.processes,
  };
}

/** Least squares, relative to the first sample, per million predictions. */
function slope(samples: readonly Sample[], of: (one: Sample) => number): number {
  const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
  const [x, y] = [samples.map(({ predictions }) => predictions / 1e6), samples.map(of)];
  const [meanX, meanY] = [mean(x), mean(y)];
  const covariance = mean(x.map((value, i) => (value - meanX) * ((y[i] ?? 0) - meanY)));
  const variance = mean(x.map((value) => (value - meanX) ** 2));
  return covariance / variance / (y[0] ?? 1);
}
