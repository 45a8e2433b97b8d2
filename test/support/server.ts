/** The built server in its own process, for tests that kill it. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { DEADLINE_MS } from './until.ts';

export interface ServerProcess {
  readonly url: string;
  readonly process: ChildProcess;
  /** What the server and its workers have written to stderr, if it is kept. */
  readonly stderr: () => string;
  /** Resolves with the exit code when the process has ended; null if a signal ended it. */
  readonly ended: Promise<number | null>;
  /** Sends the signal and waits until the process has ended. */
  readonly end: (signal: NodeJS.Signals) => Promise<number | null>;
}

type Child = ChildProcess & { readonly stdout: Readable; readonly stderr: Readable };

/**
 * Writes the server's stderr to that of the tests, unless `keepsStderr` is set because a crash is expected. `nodeOptions`
 * are for the server's own process.
 *
 * @throws Error with the exit code and everything on stderr if the server ends before it is ready
 */
export async function startServer(
  env: Record<string, string>,
  { keepsStderr = false, nodeOptions = [] }: { readonly keepsStderr?: boolean; readonly nodeOptions?: string[] } = {},
): Promise<ServerProcess> {
  const child = spawn(process.execPath, [...nodeOptions, 'dist/main.js'], {
    env: {
      PATH: process.env['PATH'],
      FAULT_FILE: process.env['FAULT_FILE'],
      FAULT_LOG: process.env['FAULT_LOG'],
      NODE_COMPILE_CACHE: process.env['NODE_COMPILE_CACHE'],
      PORT: '0',
      LOG_LEVEL: 'error',
      EXECUTION_PROVIDERS: 'cpu',
      DEFAULT_DEADLINE_MS: String(DEADLINE_MS),
      MEASURE_LATENCY: 'false',
      ...env,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  }) as Child;
  const ended = once(child, 'exit').then(([code]) => code as number | null);
  const written: string[] = [];
  const keep = (chunk: Buffer) => written.push(chunk.toString());
  child.stderr.on('data', keep);
  const url = await readyUrl(child, () => written.join(''));
  if (!keepsStderr) {
    process.stderr.write(written.join(''));
    child.stderr.off('data', keep).pipe(process.stderr);
  }
  return {
    url,
    process: child,
    stderr: () => written.join(''),
    ended,
    end: (signal) => {
      child.kill(signal);
      return ended;
    },
  };
}

async function readyUrl(child: Child, stderr: () => string): Promise<string> {
  const ready = new Promise<string>((resolve) => {
    createInterface({ input: child.stdout }).on('line', (line) => {
      const [, url] = /^ready (.*)\/graphql$/.exec(line) ?? [];
      if (url) resolve(url);
    });
  });
  // `close` comes after the last of stderr, `exit` may come before.
  const failed = once(child, 'close').then(([code, signal]) => {
    throw new Error(`the server ended with ${code ?? signal} before it was ready: ${stderr()}`);
  });
  return Promise.race([ready, failed]);
}
