/** A server process whose event loop and log are observed. */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { type Data, post } from '../../support/graphql-client.ts';
import { type ServerProcess, startServer } from '../../support/server.ts';
import type { LoopDelay } from './watch-loop.ts';

export interface WatchedServer extends ServerProcess {
  /** Lines that it logged as errors. */
  readonly logged: readonly string[];
  readonly watchLoop: () => void;
  /** The delay since `watchLoop`; null if the server has ended. */
  readonly seenLoop: () => Promise<LoopDelay | null>;
  /** Its current workers; none if the server has ended. */
  readonly workers: () => Promise<{ pid: number; restarts: number }[]>;
}

export async function startWatched(folder: string, env: Readonly<Record<string, string>>): Promise<WatchedServer> {
  const file = path.join(folder, 'loop-delay.json');
  const preload = pathToFileURL(path.join(import.meta.dirname, 'watch-loop.ts')).href;
  const own = { LOG_LEVEL: 'error', LOOP_DELAY_FILE: file, NODE_OPTIONS: `--import=${preload}` };
  const server = await startServer({ ...env, ...own });
  const logged: string[] = [];
  createInterface({ input: server.process.stdout as NodeJS.ReadableStream }).on('line', (line) => {
    if (line.startsWith('{')) logged.push(line);
  });
  return {
    ...server,
    logged,
    watchLoop: () => void server.process.kill('SIGUSR2'),
    seenLoop: () => {
      server.process.kill('SIGUSR2');
      return readWhenWritten(file, server);
    },
    workers: () => workersOf(server.url),
  };
}

async function readWhenWritten(file: string, server: ServerProcess): Promise<LoopDelay | null> {
  while (server.process.exitCode === null && server.process.signalCode === null) {
    const content = await readFile(file, 'utf8').catch(() => null);
    if (content !== null) return JSON.parse(content);
    await sleep(10);
  }
  return null;
}

async function workersOf(url: string): Promise<{ pid: number; restarts: number }[]> {
  try {
    return (await post(url, '{ engine { workers { pid restarts } } }')).data.engine.workers as Data[];
  } catch {
    return [];
  }
}
