/**
 * The processes of the benchmark: our server, the naive peer, and children that measure and print JSON. The caller that
 * starts a server stops it. All servers listen on loopback.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { openSync, readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import type { LoopDelay, ServerMemory } from './inside-server.ts';

export interface RunningServer {
  /** URL of the GraphQL endpoint. */
  readonly url: string;
  readonly pid: number;
  /** Starts to measure the event-loop delay; the returned function stops and returns the result. */
  readonly watchLoop: () => () => Promise<LoopDelay>;
  /** Collects garbage in the server, then reports its memory. */
  readonly memory: () => Promise<ServerMemory>;
  readonly stop: () => Promise<void>;
}

export const ROOT = path.resolve(import.meta.dirname, '../..');
const LONGEST_START_MS = 120_000;

/** The built server with its defaults, but on the CPU like everything it is compared with, and doing nothing else. */
export async function startModelgraph(
  env: Readonly<Record<string, string>> = {},
  nodeOptions: readonly string[] = [],
): Promise<RunningServer> {
  const dataDir = await mkdtemp(path.join(os.tmpdir(), 'modelgraph-bench-'));
  const preload = pathToFileURL(path.join(import.meta.dirname, 'inside-server.ts')).href;
  const settings = { PORT: '0', DATA_DIR: dataDir, EXECUTION_PROVIDERS: 'cpu', MEASURE_LATENCY: 'false', ...env };
  const main = path.join(ROOT, 'dist/main.js');
  return startServer(['--expose-gc', ...nodeOptions, '--import', preload, main], settings, dataDir);
}

export interface NaiveOptions {
  readonly graphFile: string;
  readonly labels: readonly string[];
}

/** The server that a frontend team would write. */
export async function startNaive(options: NaiveOptions): Promise<RunningServer> {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'naive-bench-'));
  return startServer([path.join(import.meta.dirname, 'naive-server.ts'), JSON.stringify(options)], {}, folder);
}

/** Apollo Server with DataLoader on the file of a catalog. */
export async function startCatalogPeer(catalogFile: string): Promise<RunningServer> {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'catalog-peer-bench-'));
  return startServer([path.join(import.meta.dirname, 'catalog-peer.ts'), catalogFile], {}, folder);
}

async function startServer(
  args: readonly string[],
  env: Readonly<Record<string, string>>,
  folder: string,
): Promise<RunningServer> {
  // Logs go to a file as in production, so that reading a pipe costs no CPU.
  const output = path.join(folder, 'stdout');
  const child = spawn(process.execPath, args, {
    cwd: ROOT,
    env: { PATH: process.env['PATH'], NODE_ENV: 'production', ...env },
    stdio: ['ignore', openSync(output, 'w'), 'inherit', 'ipc'],
  });
  const ended = once(child, 'exit');
  return {
    url: await readyUrl(child, output),
    pid: child.pid as number,
    watchLoop: () => watchLoop(child),
    memory: () => replyTo<ServerMemory>(child, 'memory'),
    stop: async () => {
      child.kill('SIGTERM');
      await ended;
      await rm(folder, { recursive: true, force: true });
    },
  };
}

async function readyUrl(child: ChildProcess, output: string): Promise<string> {
  const since = performance.now();
  while (child.exitCode === null && performance.now() - since < LONGEST_START_MS) {
    const [, url] = /^ready (\S+)$/m.exec(readFileSync(output, 'utf8')) ?? [];
    if (url) return url;
    await sleep(20);
  }
  child.kill('SIGKILL');
  throw new Error(
    `A server did not become ready (exit code ${child.exitCode}): ${readFileSync(output, 'utf8').slice(-2000)}`,
  );
}

function watchLoop(child: ChildProcess): () => Promise<LoopDelay> {
  child.send('start');
  return () => replyTo<LoopDelay>(child, 'stop');
}

/** One question at a time. */
async function replyTo<T>(child: ChildProcess, message: string): Promise<T> {
  const answered = once(child, 'message');
  child.send(message);
  return (await answered)[0] as T;
}

/** Runs a file of this folder with `options` on stdin, on one core if it is named; returns the JSON that it prints. */
export async function measure<T>(file: string, options: unknown, core: number | null = null): Promise<T> {
  const node = [process.execPath, path.join(import.meta.dirname, file)];
  const [command = '', ...args] = core === null ? node : ['taskset', '-c', String(core), ...node];
  const child = spawn(command, args, {
    cwd: ROOT,
    env: { PATH: process.env['PATH'], NODE_ENV: 'production' },
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  child.stdin.end(JSON.stringify(options));
  const [printed, [code]] = await Promise.all([text(child.stdout), once(child, 'exit')]);
  if (code !== 0) throw new Error(`${file} ended with ${code}`);
  return JSON.parse(printed) as T;
}

export async function ask<T>(url: string, query: string): Promise<T> {
  const headers = { 'content-type': 'application/json' };
  const response = await fetch(url, { method: 'POST', headers, body: JSON.stringify({ query }) });
  const { data, errors } = (await response.json()) as { data: T; errors?: unknown };
  if (errors) throw new Error(JSON.stringify(errors));
  return data;
}

export async function workerPids(url: string): Promise<number[]> {
  const { engine } = await ask<{ engine: { workers: { pid: number }[] } }>(url, '{ engine { workers { pid } } }');
  return engine.workers.map(({ pid }) => pid);
}

/** Restricts a process, with all of its threads and later children, to one core. */
export function pin(pid: number, core: number): void {
  execFileSync('taskset', ['-a', '-p', '-c', String(core), String(pid)], { stdio: 'ignore' });
}

export const TICKS_PER_SECOND = 100;

/** User and system time of a process in seconds; NaN where the system does not report it. */
export function cpuSeconds(pid: number): number {
  if (process.platform !== 'linux') return Number.NaN;
  const afterName = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)?.split(' ') ?? [];
  return (Number(afterName[11]) + Number(afterName[12])) / TICKS_PER_SECOND;
}
