/**
 * The cost audit: for every field and argument of the schema, and every key of an input, the dearest requests within the
 * limits. New fields are covered without a change. `node test/endurance/cost-audit.ts [filter]` prints a table of price,
 * time and memory, and fails if a request takes too much, or much more than its price says.
 */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { pathToFileURL } from 'node:url';
import { buildSchema } from 'graphql';
import { cpuSeconds } from '../bench/processes.ts';
import { post } from '../support/graphql-client.ts';
import { createStore } from '../support/model-store.ts';
import type { ServerUse } from './cost-audit/inside-server.ts';
import { auditPredictions } from './cost-audit/predictions.ts';
import { auditFields } from './cost-audit/requests.ts';
import { type Row, runAudit } from './cost-audit/run.ts';
import { survey } from './cost-audit/survey.ts';
import { fillModels } from './fuzz/material.ts';

const MAX_LOOP_MS = 250;
const MAX_MEMORY_MB = 300;
/** Requests that cost less are not compared with their price. */
const LEAST_COST_MS = 5;
/** What a point stands for. A request may cost ten times as much. */
const MS_PER_POINT = 0.05;
const MAX_RATIO = 10;
/** Sizes of each field that are measured. */
const SIZES_EACH = 1;

type Measured = ServerUse & { readonly workersMs: number };

async function main(filter: string): Promise<void> {
  const store = await createStore();
  const env = {
    MODEL_STORE: await fillModels(store),
    DATA_DIR: path.join(store.folder, 'data'),
    PORT: '0',
    LOG_LEVEL: 'error',
  };
  const server = await startMeasured(env);
  try {
    const schema = buildSchema(await readFile('schema/schema.graphql', 'utf8'));
    const { names, subjects } = await survey(server.url);
    const audited = [...auditFields(schema, names), ...(await auditPredictions(schema, subjects))];
    const chosen = audited.filter(({ name }) => name.includes(filter));
    console.log('| request | price | loop ms | server ms | workers ms | MB | bytes | values | errors |');
    const { rows, invalid, unmeasured } = await runAudit(chosen, {
      url: server.url,
      sizesEach: SIZES_EACH,
      measure: server.measure,
      onRow: print,
    });
    const failures = [...failuresOf(rows), ...invalid, ...unmeasured.map((name) => `${name}: every size was refused`)];
    console.log(`${rows.length} requests measured, ${failures.length} failures`);
    for (const failure of failures) console.log(`FAILED ${failure}`);
    if (failures.length > 0) process.exitCode = 1;
  } finally {
    server.process.kill('SIGTERM');
    await once(server.process, 'exit');
    await store.remove();
  }
}

function print(row: Row & Measured): void {
  const { name, price, loopMs, cpuMs, workersMs, memoryMb, responseBytes, values, codes } = row;
  const numbers = [loopMs, cpuMs, workersMs, memoryMb].map((number) => number.toFixed(1));
  console.log(`| ${[name, price, ...numbers, responseBytes, values, codes.join(' ')].join(' | ')} |`);
}

function failuresOf(rows: readonly (Row & Measured)[]): string[] {
  return rows.flatMap(({ name, price, loopMs, cpuMs, workersMs, memoryMb }) => {
    const costMs = cpuMs + workersMs;
    const ratio = costMs / (price * MS_PER_POINT);
    return [
      ...(loopMs > MAX_LOOP_MS ? [`${name}: ${loopMs.toFixed(0)} ms of the event loop`] : []),
      ...(memoryMb > MAX_MEMORY_MB ? [`${name}: ${memoryMb.toFixed(0)} MB`] : []),
      ...(costMs >= LEAST_COST_MS && ratio > MAX_RATIO
        ? [`${name}: ${costMs.toFixed(0)} ms for ${price} points, ${ratio.toFixed(1)} times its price`]
        : []),
    ];
  });
}

async function startMeasured(env: Readonly<Record<string, string>>) {
  const preload = pathToFileURL(path.join(import.meta.dirname, 'cost-audit/inside-server.ts')).href;
  const child = spawn(process.execPath, ['--expose-gc', '--import', preload, 'dist/main.js'], {
    env: { PATH: process.env['PATH'], EXECUTION_PROVIDERS: 'cpu', WORKERS: '1', DEFAULT_DEADLINE_MS: '120000', ...env },
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
  const pids = async (): Promise<number[]> =>
    (await post(url, '{ engine { workers { pid } } }')).data.engine.workers.map(({ pid }: { pid: number }) => pid);
  const workers = await pids();
  const workersMs = () => workers.reduce((sum, pid) => sum + secondsOf(pid) * 1_000, 0);
  const measure = async (send: () => Promise<void>): Promise<Measured> => {
    await ask('begin');
    const before = workersMs();
    await send();
    const use = (await ask('end')) as ServerUse;
    return { ...use, workersMs: workersMs() - before };
  };
  return { url, process: child, measure };
}

function secondsOf(pid: number): number {
  try {
    return cpuSeconds(pid);
  } catch {
    return 0;
  }
}

if (import.meta.main) await main(process.argv[2] ?? '');
