/** Startup time: from `npm start` to `ready`, already built. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { median, ms, table } from './numbers.ts';
import { ROOT } from './processes.ts';
import type { Section } from './sections.ts';

export async function startupSection(isQuick: boolean): Promise<Section> {
  const first: number[] = [];
  const again: number[] = [];
  for (let i = 0; i < (isQuick ? 1 : 3); i++) {
    const dataDir = await mkdtemp(path.join(os.tmpdir(), 'modelgraph-bench-'));
    first.push(await timeStart(dataDir));
    again.push(await timeStart(dataDir));
    await rm(dataDir, { recursive: true, force: true });
  }
  const row = (title: string, times: number[]) => [title, ms(median(times)), times.map((one) => ms(one)).join(', ')];
  return {
    markdown: `## Start

${table(['`npm start`', 'until `ready`', 'all'], [row('empty data folder', first), row('again, same data folder', again)])}

*How to read it:* the time from the command to the line \`ready\`, including npm, with \`dist/\` already built. The first start
imports the model store: it loads every graph, compares it with its golden cases and tests whether it can be batched.`,
  };
}

async function timeStart(dataDir: string): Promise<number> {
  const begun = performance.now();
  // A process group, so that npm, its shell and the server end together.
  const child = spawn('npm', ['start'], {
    cwd: ROOT,
    detached: true,
    env: { ...process.env, NODE_ENV: 'production', PORT: '0', LOG_LEVEL: 'warn', DATA_DIR: dataDir },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = once(child, 'exit');
  const isReady = await seesReady(child.stdout);
  const elapsed = performance.now() - begun;
  if (isReady) process.kill(-(child.pid as number), 'SIGTERM');
  await ended;
  if (!isReady) throw new Error('npm start ended before the server was ready.');
  return elapsed;
}

async function seesReady(output: NodeJS.ReadableStream): Promise<boolean> {
  for await (const line of createInterface({ input: output })) {
    if (line.startsWith('ready ')) return true;
  }
  return false;
}
