/**
 * Which models a real server keeps in memory: many equal models, room for a few, requests by Zipf's law, one at a time.
 *
 *   node test/endurance/residency.ts [models] [room] [requests] [seed]
 *
 * Prints its report as one line of JSON. Fails if the server has less than 0.90 of the hits of keeping the most popular
 * models for ever. A hit is a request whose model was loaded when it was sent.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { type Data, post } from '../support/graphql-client.ts';
import { createStore, type TestStore } from '../support/model-store.ts';
import { encodeModel } from '../support/onnx.ts';
import { type ServerProcess, startServer } from '../support/server.ts';
import { hitsOfBelady, hitsOfMostPopular, zipfRequests } from '../support/zipf.ts';

export interface ResidencyReport {
  readonly models: number;
  readonly requests: number;
  readonly wrong: number;
  /** The most models that were in the memory of the worker at the same time. */
  readonly room: number;
  readonly hits: number;
  /** Workers that ended during the run. */
  readonly replaced: number;
  /** Shares of the hits of keeping as many of the most popular models for ever. */
  readonly ofMostPopular: number;
  readonly optimalOfMostPopular: number;
  readonly meanLoadMs: number;
}

export const MIN_SHARE = 0.9;

const WORKER_MEMORY_BYTES = 400_000_000;
/** What versions may take of it: three quarters of what a worker leaves that has run for a while. */
const CAPACITY_BYTES = 0.75 * (WORKER_MEMORY_BYTES - 65_000_000);
/** What a session takes beside the table. */
const SESSION_BYTES = 1_100_000;

const PREDICT = `mutation ($input: PredictInput!) { predict(input: $input) {
  prediction { output { ... on Tensors { tensors { data } } } } problem { code message } } }`;
const REPLICAS = '{ version(ref: "MODEL") { serving { replicas } } }';
const WORKERS = '{ engine { workers { pid state loadedVersions { number } } } }';

export async function residency(models: number, room: number, count: number, seed: number): Promise<ResidencyReport> {
  const store = await createStore();
  const dataDir = await mkdtemp(path.join(os.tmpdir(), 'modelgraph-residency-'));
  await writeModels(store, models, Math.floor(CAPACITY_BYTES / room) - SESSION_BYTES);
  const server = await startServer({
    DATA_DIR: dataDir,
    MODEL_STORE: store.folder,
    WORKERS: '1',
    WORKER_MEMORY_BYTES: String(WORKER_MEMORY_BYTES),
    LOG_LEVEL: 'error',
  });
  try {
    return { models, requests: count, ...(await measure(server, zipfRequests(models, count, seed))) };
  } finally {
    await server.end('SIGTERM');
    await Promise.all([store.remove(), rm(dataDir, { recursive: true, force: true })]);
  }
}

/** Equal graphs with different weights. ONNX Runtime allocates the table when it folds constants, so files are small. */
async function writeModels(store: TestStore, count: number, tableBytes: number): Promise<void> {
  const example = JSON.stringify(inputOf(0));
  for (let number = 0; number < count; number++)
    await store.write(nameOf(number), {
      '1/model.onnx': encodeModel({
        inputs: [{ name: 'index', type: 'INT64', shape: ['N'] }],
        outputs: [{ name: 'y', type: 'FP32', shape: ['N'] }],
        floats: [{ name: 'weight', shape: [1], data: [number] }],
        ints: [{ name: 'size', shape: [1], data: [Math.floor(tableBytes / 4)] }],
        nodes: [
          { op: 'ConstantOfShape', inputs: ['size'], outputs: ['table'] },
          { op: 'Gather', inputs: ['table', 'index'], outputs: ['zero'] },
          { op: 'Add', inputs: ['zero', 'weight'], outputs: ['y'] },
        ],
      }),
      'model.yaml': `example: ${example}`,
    });
}

const nameOf = (number: number) => `equal-${String(number).padStart(4, '0')}`;
const inputOf = (index: number) => ({ tensors: [{ name: 'index', datatype: 'INT64', shape: [1], data: [index] }] });

async function measure({ url }: ServerProcess, requests: readonly number[]) {
  let [hits, wrong, room, loadMs] = [0, 0, 0, 0];
  const first = await workersOf(url);
  for (const [i, version] of requests.entries()) {
    const name = nameOf(version);
    const { data } = await post(url, REPLICAS.replace('MODEL', name));
    const isHit = data.version.serving.replicas > 0;
    const begun = performance.now();
    const answer = await post(url, PREDICT, { input: { model: name, input: inputOf(0), record: false } });
    if (isHit) hits++;
    else loadMs += performance.now() - begun;
    if (answer.data?.predict?.prediction?.output.tensors[0].data[0] !== version) wrong++;
    if (i % ROOM_EVERY === 0) room = Math.max(room, loadedIn(await workersOf(url)));
  }
  const last = await workersOf(url);
  const reference = hitsOfMostPopular(requests, room);
  return {
    wrong,
    room,
    hits,
    replaced: first.filter(({ pid }) => !last.some((worker) => worker.pid === pid)).length,
    ofMostPopular: hits / reference,
    optimalOfMostPopular: hitsOfBelady(requests, room) / reference,
    meanLoadMs: loadMs / (requests.length - hits),
  };
}

const ROOM_EVERY = 20;

const workersOf = async (url: string): Promise<Data[]> => (await post(url, WORKERS)).data.engine.workers;

/** The serving worker is listed before the spare. */
const loadedIn = ([worker]: Data[]): number => worker?.loadedVersions.length ?? 0;

if (import.meta.main) {
  const [models = 1_000, room = 50, requests = 20_000, seed = 1] = process.argv.slice(2).map(Number);
  const report = await residency(models, room, requests, seed);
  process.stdout.write(`${JSON.stringify({ seed, ...report })}\n`);
  if (report.ofMostPopular < MIN_SHARE || report.wrong > 0) process.exitCode = 1;
}
