/**
 * Scans mutants of ONNX files, and gives those that the scan accepts to a running server, as folders of its model store. The
 * scan must never throw or take long, and neither the server nor the version that it serves meanwhile may be affected.
 *
 * `node test/endurance/hostile-graphs.ts [scanned] [probed] [seed]` prints a report.
 */
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { scanGraph } from '#src/onnx/graph-scan.js';
import { type Data, post } from '../support/graphql-client.ts';
import { createStore } from '../support/model-store.ts';
import { encodeModel, identity } from '../support/onnx.ts';
import { seeded } from '../support/seeded-random.ts';
import { startServer } from '../support/server.ts';
import { mutant } from './hostile-graphs/mutants.ts';

interface Report {
  readonly scanned: number;
  /** By the scan. */
  readonly refused: number;
  readonly slowestScanMs: number;
  readonly probed: number;
  /** Versions that the server made of them, by state. */
  readonly states: Readonly<Record<string, number>>;
  /** Answers of the other version meanwhile. */
  readonly answers: number;
  readonly wrongAnswers: number;
  /** Workers that were replaced. */
  readonly restarts: number;
  /** Of the server, after SIGTERM. */
  readonly exitCode: number | null;
}

const PAUSE_MS = 50;
const PREDICT = `mutation { predict(input: { model: "good", record: false, input: { tensors: [{ name: "x", datatype: "FP32", shape: [1, 2], data: [1, 2] }] } }) {
  prediction { output { ... on Tensors { tensors { data } } } } problem { code message } } }`;
const EXPECTED = JSON.stringify([{ data: [1, 2] }]);
const STATES = `query ($after: String) { models(first: 100, after: $after) {
  nodes { name versions { nodes { state } } } pageInfo { hasNextPage endCursor } } }`;

export async function testHostileGraphs(options: { scanned: number; probed: number; seed: number }): Promise<Report> {
  const { accepted, ...scans } = scanAll(options);
  return { scanned: options.scanned, ...scans, probed: accepted.length, ...(await probeAll(accepted)) };
}

function scanAll({ scanned, probed, seed }: { scanned: number; probed: number; seed: number }) {
  const accepted: Uint8Array[] = [];
  let refused = 0;
  let slowestScanMs = 0;
  for (let i = 0; i < scanned; i++) {
    const bytes = mutant(seeded(Math.imul(seed, 0x9e3779b1) ^ Math.imul(i + 1, 0x85ebca6b)));
    const begun = performance.now();
    const isAccepted = scanGraph(bytes).length === 0;
    slowestScanMs = Math.max(slowestScanMs, performance.now() - begun);
    if (!isAccepted) refused++;
    else if (accepted.length < probed) accepted.push(bytes);
  }
  return { accepted, refused, slowestScanMs: Math.round(slowestScanMs) };
}

async function probeAll(graphs: readonly Uint8Array[]) {
  const store = await createStore();
  const good = encodeModel(identity('x', 'FP32', ['N', 2]));
  const write = (name: string, graph: Uint8Array) =>
    store.write(`models/${name}`, { 'model.yaml': 'task: tensor', '1/model.onnx': Buffer.from(graph) });
  try {
    await write('good', good);
    const env = {
      MODEL_STORE: path.join(store.folder, 'models'),
      DATA_DIR: path.join(store.folder, 'data'),
      WORKERS: '1',
    };
    const server = await startServer({ ...env, LOG_LEVEL: 'silent' }, { keepsStderr: true });
    for (const [i, graph] of graphs.entries()) await write(`mutant-${i}`, graph);
    const answers = { answers: 0, wrongAnswers: 0 };
    let states: string[] = [];
    while (states.length <= graphs.length && server.process.exitCode === null) {
      const { data } = await post(server.url, PREDICT);
      answers.answers++;
      if (JSON.stringify(data?.predict.prediction?.output.tensors) !== EXPECTED) answers.wrongAnswers++;
      states = await statesOf(server.url);
      await sleep(PAUSE_MS);
    }
    const { data } = await post(server.url, '{ engine { workers { restarts } } }');
    const restarts = data.engine.workers.reduce((sum: number, worker: Data) => sum + worker.restarts, 0);
    const exitCode = await server.end('SIGTERM');
    const count = (state: string) => states.filter((one) => one === state).length;
    return { states: { READY: count('READY') - 1, FAILED: count('FAILED') }, ...answers, restarts, exitCode };
  } finally {
    await store.remove();
  }
}

/** Of the first version of each model. */
async function statesOf(url: string): Promise<string[]> {
  const states: string[] = [];
  for (let after: string | null = null; ; ) {
    const { data }: Data = await post(url, STATES, { after });
    for (const { versions } of data.models.nodes as Data[]) if (versions.nodes[0]) states.push(versions.nodes[0].state);
    if (!data.models.pageInfo.hasNextPage) return states;
    after = data.models.pageInfo.endCursor;
  }
}

if (process.argv[1] === import.meta.filename) {
  const [scanned = '20000', probed = '500', seed = '1'] = process.argv.slice(2);
  const report = await testHostileGraphs({ scanned: Number(scanned), probed: Number(probed), seed: Number(seed) });
  console.log(JSON.stringify(report));
  if (report.wrongAnswers > 0 || report.restarts > 0 || report.exitCode !== 0) process.exitCode = 1;
}
