/**
 * The built server as a process of its own, for tests that kill it.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';

export interface ServerProcess {
  readonly url: string;
  readonly process: ChildProcess;
  /** Sends the signal and resolves with the exit code when the process has ended. */
  readonly end: (signal: NodeJS.Signals) => Promise<number | null>;
}

export async function startServer(env: Record<string, string>): Promise<ServerProcess> {
  const child = spawn(process.execPath, ['dist/main.js'], {
    env: {
      PATH: process.env['PATH'],
      FAULT_FILE: process.env['FAULT_FILE'],
      FAULT_LOG: process.env['FAULT_LOG'],
      PORT: '0',
      LOG_LEVEL: 'error',
      EXECUTION_PROVIDERS: 'cpu',
      ...env,
    },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = once(child, 'exit') as Promise<[number | null]>;
  return {
    url: await readyUrl(child, ended),
    process: child,
    end: async (signal) => {
      child.kill(signal);
      return (await ended)[0];
    },
  };
}

async function readyUrl(child: ChildProcess, ended: Promise<[number | null]>): Promise<string> {
  const lines = createInterface({ input: child.stdout as NodeJS.ReadableStream });
  const ready = new Promise<string>((resolve) => {
    lines.on('line', (line) => {
      const [, url] = /^ready (.*)\/graphql$/.exec(line) ?? [];
      if (url) resolve(url);
    });
  });
  const failed = ended.then(([code]) => {
    throw new Error(`the server ended with ${code} before it was ready`);
  });
  return Promise.race([ready, failed]);
}
