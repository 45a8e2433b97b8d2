/**
 * The processes of the benchmark: our server, its peers, and children that measure and print JSON. The caller that starts a
 * server stops it. All servers listen on loopback.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, openSync, readdirSync, readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import net from 'node:net';
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
  /** Stops a peer that polls while it is idle until it has its next turn; does nothing to others. */
  readonly pause: () => void;
  readonly resume: () => void;
  readonly stop: () => Promise<void>;
}

export const ROOT = path.resolve(import.meta.dirname, '../..');
const LONGEST_START_MS = 120_000;
const LONGEST_STOP_MS = 15_000;

/** The built server with its defaults, but on the CPU like everything it is compared with, and doing nothing else. */
export async function startModelgraph(
  env: Readonly<Record<string, string>> = {},
  nodeOptions: readonly string[] = [],
): Promise<RunningServer> {
  const dataDir = await mkdtemp(path.join(os.tmpdir(), 'modelgraph-bench-'));
  const preload = pathToFileURL(path.join(import.meta.dirname, 'inside-server.ts')).href;
  const settings = { PORT: '0', DATA_DIR: dataDir, EXECUTION_PROVIDERS: 'cpu', MEASURE_LATENCY: 'false', ...env };
  const main = path.join(ROOT, 'dist/main.js');
  const args = ['--expose-gc', ...nodeOptions, '--import', preload, main];
  return startServer(process.execPath, args, settings, dataDir);
}

const MEASURING_MS = 1_500;
const LONGEST_MEASURING_MS = 60_000;

/**
 * The same, when it has measured how long the given models take by batch size, as a server does that was idle for some
 * seconds: its batches depend on it.
 */
export async function startMeasured(
  models: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<RunningServer> {
  const server = await startModelgraph({ MEASURE_LATENCY: 'true', ...env });
  const end = performance.now() + LONGEST_MEASURING_MS;
  for (const model of models) {
    const query = `{ version(ref: ${JSON.stringify(model)}) { serving { latency { batchSize } } } }`;
    const isMeasured = async () =>
      (await ask<{ version: { serving: { latency: unknown[] } } }>(server.url, query)).version.serving.latency.length >
      0;
    while (performance.now() < end && !(await isMeasured())) await sleep(MEASURING_MS);
  }
  return server;
}

export interface PeerOptions {
  readonly graphFile: string;
  /** Names of the scores that the graph returns; none if the scores themselves are the answer. */
  readonly labels: readonly string[];
}

/** A server of `peers/` in Node.js. */
export function startPeer(file: string, argument: string): Promise<RunningServer> {
  return startOther(process.execPath, [path.join(import.meta.dirname, 'peers', file), argument]);
}

/**
 * A server of `peers/` in Python, on a free port that it gets as its last argument. `python` is the command. The processes
 * of some poll while they are idle, so all of them are stopped between turns.
 */
export async function startPythonPeer(python: string, file: string, argument: string): Promise<RunningServer> {
  const port = await freePort();
  const server = await startOther(python, [path.join(import.meta.dirname, 'peers', file), argument, String(port)]);
  const signal = (name: 'SIGSTOP' | 'SIGCONT') => {
    for (const pid of familyOf(server.pid)) process.kill(pid, name);
  };
  return {
    ...server,
    pause: () => signal('SIGSTOP'),
    resume: () => signal('SIGCONT'),
    stop: async () => {
      const [, ...others] = familyOf(server.pid);
      signal('SIGCONT');
      await server.stop();
      // Some leave processes behind.
      for (const pid of others) if (existsSync(`/proc/${pid}`)) process.kill(pid, 'SIGKILL');
    },
  };
}

async function startOther(command: string, args: readonly string[]): Promise<RunningServer> {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'peer-bench-'));
  return startServer(command, args, { TMPDIR: folder }, folder);
}

async function freePort(): Promise<number> {
  const server = net.createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as net.AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

async function startServer(
  command: string,
  args: readonly string[],
  env: Readonly<Record<string, string>>,
  folder: string,
): Promise<RunningServer> {
  // Logs go to a file as in production, so that reading a pipe costs no CPU.
  const output = path.join(folder, 'stdout');
  const child = spawn(command, args, {
    cwd: ROOT,
    env: { PATH: process.env['PATH'], NODE_ENV: 'production', ...env },
    // Children of a server in another language would keep the channel open.
    stdio: ['ignore', openSync(output, 'w'), 'inherit', command === process.execPath ? 'ipc' : 'ignore'],
  });
  const ended = once(child, 'exit');
  return {
    url: await readyUrl(child, output),
    pid: child.pid as number,
    watchLoop: () => watchLoop(child),
    memory: () => replyTo<ServerMemory>(child, 'memory'),
    pause: () => {},
    resume: () => {},
    stop: async () => {
      child.kill('SIGTERM');
      const giveUp = setTimeout(() => child.kill('SIGKILL'), LONGEST_STOP_MS);
      await ended;
      clearTimeout(giveUp);
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

export async function ask<T>(url: string, query: string, key: string | null = null): Promise<T> {
  const headers = { 'content-type': 'application/json', ...(key !== null && { authorization: `Bearer ${key}` }) };
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

/** CPU time of the first thread of a process, in seconds; NaN where the system does not report it. */
export function mainThreadSeconds(pid: number): number {
  if (process.platform !== 'linux') return Number.NaN;
  return Number(readFileSync(`/proc/${pid}/task/${pid}/schedstat`, 'utf8').split(' ')[0]) / 1e9;
}

/** A process and all that it has started, directly or not. */
export function familyOf(pid: number): number[] {
  return [pid, ...childrenOf(pid).flatMap(familyOf)];
}

export function childrenOf(pid: number): number[] {
  if (process.platform !== 'linux') return [];
  const children = orEmpty(() => readdirSync(`/proc/${pid}/task`)).flatMap((thread) =>
    orEmpty(() => readFileSync(`/proc/${pid}/task/${thread}/children`, 'utf8').split(' ')),
  );
  return children.filter(Boolean).map(Number);
}

/** Threads and processes may end while they are looked at. */
function orEmpty(read: () => string[]): string[] {
  try {
    return read();
  } catch {
    return [];
  }
}
