/**
 * The cost audit: for every field and argument of the schema, and every key of an input, the dearest requests within the
 * limits. New fields are covered without a change. `node test/endurance/cost-audit.ts [filter]` prints a table of price,
 * time and memory, and fails if a request takes too much, or much more than its price says.
 *
 * Times are CPU times, and a request that seems to take too much is measured again: the least of the measurements counts.
 * So the result is the same on a busy machine.
 */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { pathToFileURL } from 'node:url';
import { buildSchema } from 'graphql';
import { createStore } from '../support/model-store.ts';
import type { ServerUse } from './cost-audit/inside-server.ts';
import { fillAuditedModels } from './cost-audit/models.ts';
import { auditPredictions, auditStored } from './cost-audit/predictions.ts';
import { auditFields } from './cost-audit/requests.ts';
import { type AuditResult, type Row, runAudit } from './cost-audit/run.ts';
import { survey } from './cost-audit/survey.ts';

const MAX_LOOP_MS = 250;
const MAX_MEMORY_MB = 300;
/** Requests that cost less are not compared with their price. */
const LEAST_COST_MS = 5;
/** What a point stands for. A request may cost ten times as much. */
const MS_PER_POINT = 0.05;
const MAX_RATIO = 10;
/** Of a request that seems to take too much: garbage collections and other programs make single measurements too high. */
const MEASUREMENTS = 6;

type Measured = ServerUse & {
  readonly workersMs: number;
  /** CPU time of the server and its workers, divided by what the price says; 0 for requests that cost little. */
  readonly ratio: number;
};

async function main(filter: string): Promise<void> {
  const begun = Date.now();
  const store = await createStore();
  const env = {
    MODEL_STORE: await fillAuditedModels(store),
    DATA_DIR: path.join(store.folder, 'data'),
    PORT: '0',
    LOG_LEVEL: 'error',
  };
  const server = await startMeasured(env);
  try {
    const schema = buildSchema(await readFile('schema/schema.graphql', 'utf8'));
    const { names, subjects, stored } = await survey(server.url);
    const audited = [
      ...auditFields(schema, names),
      ...auditStored(schema, stored),
      ...(await auditPredictions(schema, subjects)),
    ];
    const chosen = audited.filter(({ name }) => name.includes(filter));
    console.log(`${chosen.length} kinds of requests`);
    console.log('| request | price | ratio | loop ms | server ms | workers ms | MB | bytes | values | errors |');
    const result = await runAudit(chosen, { ...server, onRow: print });
    report(result);
    console.log(`took ${Math.round((Date.now() - begun) / 1_000)} s`);
  } finally {
    server.process.kill('SIGTERM');
    await once(server.process, 'exit');
    await store.remove();
  }
}

function print(row: Row & Measured): void {
  const { name, price, ratio, loopMs, cpuMs, workersMs, memoryMb, responseBytes, values, codes } = row;
  const numbers = [ratio, loopMs, cpuMs, workersMs, memoryMb].map((number) => number.toFixed(1));
  console.log(`| ${[name, price, ...numbers, responseBytes, values, codes.join(' ')].join(' | ')} |`);
}

function report({ rows, refusedRows, invalid, refused }: AuditResult<Measured>): void {
  const failures = [...[...rows, ...refusedRows].flatMap((row) => failuresOf(row)), ...invalid];
  const compared = rows.filter(({ ratio }) => ratio > 0);
  const ratios = compared.map(({ ratio }) => ratio).sort((a, b) => a - b);
  const most = (of: (row: Measured) => number) => Math.max(0, ...rows.map(of)).toFixed(1);
  console.log(`${rows.length} requests measured, ${compared.length} of them cost ${LEAST_COST_MS} ms or more`);
  console.log(`ratio: median ${ratios[ratios.length >> 1]?.toFixed(1)}, most ${most(({ ratio }) => ratio)}`);
  console.log(
    `event loop: at most ${most(({ loopMs }) => loopMs)} ms; memory: at most ${most((row) => row.memoryMb)} MB`,
  );
  for (const kind of refused) console.log(`REFUSED at every size: ${kind}`);
  for (const failure of failures) console.log(`FAILED ${failure}`);
  console.log(`${failures.length} failures`);
  if (failures.length > 0) process.exitCode = 1;
}

function failuresOf({ name, price, ratio, loopMs, cpuMs, workersMs, memoryMb }: Failing): string[] {
  const cost = `${(cpuMs + workersMs).toFixed(0)} ms for ${price} points`;
  return [
    ...(loopMs > MAX_LOOP_MS ? [`${name}: ${loopMs.toFixed(0)} ms of the event loop`] : []),
    ...(memoryMb > MAX_MEMORY_MB ? [`${name}: ${memoryMb.toFixed(0)} MB`] : []),
    ...(ratio > MAX_RATIO ? [`${name}: ${cost}, ${ratio.toFixed(1)} times its price`] : []),
  ];
}

type Failing = Pick<Row, 'name' | 'price'> & Measured;

async function startMeasured(env: Readonly<Record<string, string>>) {
  const preload = pathToFileURL(path.join(import.meta.dirname, 'cost-audit/inside-server.ts')).href;
  const child = spawn(process.execPath, ['--expose-gc', '--import', preload, 'dist/main.js'], {
    env: {
      PATH: process.env['PATH'],
      EXECUTION_PROVIDERS: 'cpu',
      WORKERS: '1',
      MEASURE_LATENCY: 'false',
      DEFAULT_DEADLINE_MS: '120000',
      ...env,
    },
    stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
  });
  const lines = createInterface({ input: child.stdout as NodeJS.ReadableStream });
  const url = await new Promise<string>((resolve, reject) => {
    child.once('exit', (code) => reject(new Error(`the server ended with ${code}`)));
    lines.on('line', (line) => {
      const [, found] = /^ready (.*)\/graphql$/.exec(line) ?? [];
      if (found) resolve(found);
    });
  });
  const ask = async (message: string) => {
    const reply = once(child, 'message');
    child.send(message);
    return (await reply)[0];
  };
  const measureOnce = async (price: number, send: () => Promise<void>): Promise<Measured> => {
    await ask('begin');
    const before = cpuMsOfChildren(child.pid);
    await send();
    const use = (await ask('end')) as ServerUse;
    const workersMs = cpuMsOfChildren(child.pid) - before;
    return withRatio({ ...use, workersMs }, price);
  };
  const measure = async ({ name, price, send }: { name: string; price: number; send(): Promise<void> }) => {
    let least = await measureOnce(price, send);
    for (let i = 1; i < MEASUREMENTS && failuresOf({ name, price, ...least }).length > 0; i++)
      least = leastOf(least, await measureOnce(price, send), price);
    return least;
  };
  return { url, process: child, measure, onKind: async () => void (await ask('baseline')) };
}

function withRatio(use: Omit<Measured, 'ratio'>, price: number): Measured {
  const costMs = use.cpuMs + use.workersMs;
  return { ...use, ratio: costMs < LEAST_COST_MS ? 0 : costMs / (price * MS_PER_POINT) };
}

function leastOf(a: Measured, b: Measured, price: number): Measured {
  const least = (of: (use: Measured) => number) => Math.min(of(a), of(b));
  const use = {
    loopMs: least(({ loopMs }) => loopMs),
    cpuMs: least(({ cpuMs }) => cpuMs),
    workersMs: least(({ workersMs }) => workersMs),
    memoryMb: Math.max(a.memoryMb, b.memoryMb),
  };
  return withRatio(use, price);
}

/** CPU time of all threads of the worker processes, in milliseconds. */
function cpuMsOfChildren(pid: number | undefined): number {
  const pids = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ');
  return pids.reduce((total, child) => total + cpuMsOf(child), 0);
}

/** Threads that end during a request are not counted; those of a worker do not. */
function cpuMsOf(pid: string): number {
  try {
    const folder = `/proc/${pid}/task`;
    const threads = readdirSync(folder).map((thread) => readFileSync(`${folder}/${thread}/schedstat`, 'utf8'));
    return threads.reduce((total, text) => total + Number(text.split(' ')[0]) / 1e6, 0);
  } catch {
    return 0;
  }
}

if (import.meta.main) await main(process.argv[2] ?? '');
