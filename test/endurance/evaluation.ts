/**
 * Evaluates a light model on many rows: how many rows per second, how far the server's memory grows, how long predictions take
 * meanwhile, and what is left of evaluations whose server is killed at a random moment.
 *
 *   node test/endurance/evaluation.ts [rows] [kills] [seed]
 *
 * Fails unless each evaluation whose server was killed has the metrics of one that was not, or has failed and says why.
 */
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { gunzipSync, gzipSync } from 'node:zlib';
import { processMemory } from '#src/process-memory.js';
import { post } from '../support/graphql-client.ts';
import { seeded } from '../support/seeded-random.ts';
import { type ServerProcess, startServer } from '../support/server.ts';
import { until } from '../support/until.ts';

const MODEL = 'penguins';
const DATASET = 'many-penguins';
/** Of the evaluations whose server is killed, which all have other slices. */
const FEW_ROWS = 10_000;
/** Before and during an evaluation, one after another. */
const MAX_PREDICTIONS = 2_000;

const EVALUATE = `mutation ($input: EvaluateInput!) { evaluate(input: $input) { evaluation { id } problem { message } } }`;
const READ = `query ($id: ID!) { node(id: $id) { ... on Evaluation { jobState evaluatedRows progress { rowsPerSecond } problem { message }
  metrics { name average label value interval { low high } } } } }`;
const PREDICT = `mutation ($input: PredictInput!) { predict(input: $input) { problem { message } } }`;

interface Latency {
  readonly p50Ms: number;
  readonly p99Ms: number;
}

/** Real birds, again and again, with their lengths changed by up to 1 percent. */
async function writeStore(folder: string, rows: number, seed: number): Promise<void> {
  const [from, to] = ['penguins-test', DATASET].map((name) => path.join('datasets', name)) as [string, string];
  await cp(path.join('model-store', MODEL), path.join(folder, MODEL), { recursive: true });
  await cp(path.join('model-store', from), path.join(folder, from), { recursive: true });
  await mkdir(path.join(folder, to));
  const yaml = await readFile(path.join('model-store', from, 'dataset.yaml'), 'utf8');
  const own = yaml.replace(/^title: .*/m, 'title: Many penguins').replace(/^(rowCount|sha256): .*\n/gm, '');
  await writeFile(path.join(folder, to, 'dataset.yaml'), own);
  const birds = gunzipSync(await readFile(path.join('model-store', from, 'data.jsonl.gz')))
    .toString()
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  const random = seeded(seed);
  const changed = (value: unknown) => (typeof value === 'number' ? value * (0.99 + 0.02 * random()) : value);
  const lines = Array.from({ length: rows }, (_, i) => {
    const bird = Object.entries(birds[i % birds.length] as object);
    return JSON.stringify(Object.fromEntries(bird.map(([name, value]) => [name, changed(value)])));
  });
  await writeFile(path.join(folder, to, 'data.jsonl.gz'), gzipSync(`${lines.join('\n')}\n`));
}

async function start(folder: string): Promise<ServerProcess> {
  return startServer({ DATA_DIR: path.join(folder, 'data'), MODEL_STORE: path.join(folder, 'store'), WORKERS: '1' });
}

async function evaluate(server: ServerProcess, slices: object[] = []): Promise<string> {
  const { evaluation, problem } = (
    await post(server.url, EVALUATE, { input: { version: MODEL, dataset: DATASET, slices } })
  ).data.evaluate;
  if (problem) throw new Error(problem.message);
  return evaluation.id;
}

const read = async (server: ServerProcess, id: string) => (await post(server.url, READ, { id })).data.node;

async function ended(server: ServerProcess, id: string) {
  let found = await read(server, id);
  await until('the evaluation has ended', async () => {
    found = await read(server, id);
    return ['SUCCEEDED', 'FAILED'].includes(found.jobState);
  });
  return found;
}

async function latency(server: ServerProcess, isOver: () => boolean): Promise<Latency> {
  const row = {
    beak_length: 50.7,
    beak_depth: 15,
    flipper_length: 223,
    body_mass: 5550,
    island: 'biscoe',
    sex: 'male',
  };
  const input = { model: MODEL, input: { row }, record: false };
  const took: number[] = [];
  while (took.length < MAX_PREDICTIONS && !isOver()) {
    const begun = performance.now();
    const { problem } = (await post(server.url, PREDICT, { input })).data.predict;
    if (problem) throw new Error(problem.message);
    took.push(performance.now() - begun);
  }
  took.sort((a, b) => a - b);
  const at = (share: number) => took[Math.floor(share * (took.length - 1))] ?? Number.NaN;
  return { p50Ms: at(0.5), p99Ms: at(0.99) };
}

/** One evaluation alone, then one beside predictions. */
async function measure(server: ServerProcess, rows: number) {
  const pid = server.process.pid as number;
  const alone = await latency(server, () => false);
  // Forgets the peak so far.
  await writeFile(`/proc/${pid}/clear_refs`, '5');
  const before = await processMemory(pid);
  const begun = performance.now();
  const id = await evaluate(server);
  const { jobState, problem, metrics } = await ended(server, id);
  const seconds = (performance.now() - begun) / 1_000;
  const after = await processMemory(pid);
  if (jobState !== 'SUCCEEDED') throw new Error(`The evaluation is ${jobState}: ${problem?.message}`);
  let isOver = false;
  const second = evaluate(server, [{ column: 'island' }])
    .then((slice) => ended(server, slice))
    .finally(() => {
      isOver = true;
    });
  const beside = await latency(server, () => isOver);
  await second;
  const growthMb = ((after?.peakResidentBytes ?? Number.NaN) - (before?.residentBytes ?? Number.NaN)) / 1e6;
  return { metrics, report: { rows, seconds, rowsPerSecond: rows / seconds, growthMb, latency: { alone, beside } } };
}

/** Kills the server at a random moment of each evaluation, and compares what it has after the restart. */
async function kill(folder: string, kills: number, seed: number) {
  let server = await start(folder);
  const begun = performance.now();
  const undisturbed = await ended(server, await evaluate(server));
  const usualMs = performance.now() - begun;
  const random = seeded(seed);
  const counts = { right: 0, failed: 0, wrong: [] as unknown[] };
  for (let i = 0; i < kills; i++) {
    const id = await evaluate(server, [{ column: 'body_mass', minimum: 3_000 + i }]);
    await new Promise((resolve) => setTimeout(resolve, random() * usualMs));
    await server.end('SIGKILL');
    server = await start(folder);
    const found = await ended(server, id);
    if (found.jobState === 'FAILED') counts.failed++;
    else if (isDeepStrictEqual(found.metrics, undisturbed.metrics)) counts.right++;
    else counts.wrong.push(found);
  }
  await server.end('SIGTERM');
  return { kills, ...counts };
}

async function inFolder<T>(rows: number, seed: number, work: (folder: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'modelgraph-evaluations-'));
  try {
    await mkdir(path.join(folder, 'store', 'datasets'), { recursive: true });
    await writeStore(path.join(folder, 'store'), rows, seed);
    return await work(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

const [rows = 100_000, kills = 20, seed = 1] = process.argv.slice(2).map(Number);
for (const count of new Set([Math.min(FEW_ROWS, rows), rows])) {
  const report = await inFolder(count, seed, async (folder) => {
    const server = await start(folder);
    const { report } = await measure(server, count);
    await server.end('SIGTERM');
    return report;
  });
  process.stdout.write(`${JSON.stringify(report)}\n`);
}
const killed = await inFolder(Math.min(FEW_ROWS, rows), seed, (folder) => kill(folder, kills, seed));
process.stdout.write(`${JSON.stringify(killed)}\n`);
if (killed.wrong.length > 0) process.exitCode = 1;
