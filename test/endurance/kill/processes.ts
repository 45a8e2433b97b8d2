/** Kills the processes of an operation, one after the other, at moments of a seeded generator. */
import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { below, seeded } from '../../support/seeded-random.ts';
import { makeDataFolder } from './data-folder.ts';
import { type KilledRun, OPERATIONS, type Operation } from './operations.ts';

export interface ProcessesReport {
  readonly operation: string;
  readonly seed: number;
  /** Processes that were killed before they ended. */
  readonly kills: number;
  /** Processes that ended before. */
  readonly ended: number;
  readonly acknowledged: number;
}

/** A fresh data folder after as many kills keeps each check short. */
const KILLS_A_FOLDER = 40;
/** After its first line, an endless process runs for at most this long. */
const LONGEST_MS = 200;
/** Most of the time that a command takes is Node's own start. */
const EARLIEST = 0.5;
const LATEST = 1.1;
const MOST_STATEMENTS = 80;

export async function killProcesses(name: string, kills: number, seed: number): Promise<ProcessesReport> {
  const operation = OPERATIONS[name];
  if (!operation) throw new Error(`There is no operation "${name}"; one of ${Object.keys(OPERATIONS).join(', ')}.`);
  const folder = await makeDataFolder();
  const random = seeded(seed);
  const report = { kills: 0, ended: 0, acknowledged: 0 };
  try {
    let usualMs: number | null = null;
    for (let cycle = 0; report.kills < kills; cycle++) {
      const run = { ...folder, random, cycle };
      if (cycle % KILLS_A_FOLDER === 0) await folder.renew();
      await operation.prepare?.(run);
      const { lines, wasKilled, ranMs } = await runOnce(operation, run, usualMs);
      usualMs ??= ranMs;
      report.acknowledged += await operation.verify(run, lines);
      report[wasKilled ? 'kills' : 'ended']++;
    }
    return { operation: name, seed, ...report };
  } finally {
    await folder.remove();
  }
}

interface Ran {
  /** Those that were written whole. */
  readonly lines: readonly string[];
  readonly wasKilled: boolean;
  /** Until its first line, or its end. */
  readonly ranMs: number;
}

/** `usualMs`: how long the first process took, which is killed only if it is endless. */
async function runOnce(operation: Operation, run: KilledRun, usualMs: number | null): Promise<Ran> {
  const atStatement = operation.hasStatements && usualMs !== null && run.random() < 0.5;
  const fault = path.join(run.root, 'fault');
  if (atStatement) await armKill(fault, 1 + below(run.random, MOST_STATEMENTS));
  const begun = performance.now();
  const child = start(operation, run, fault);
  const output = text(child.stdout as NonNullable<typeof child.stdout>);
  const errors = text(child.stderr as NonNullable<typeof child.stderr>);
  const ended = once(child, 'close') as Promise<[number | null, NodeJS.Signals | null]>;
  const first = operation.isEndless ? once(child.stdout as NonNullable<typeof child.stdout>, 'data') : ended;
  if (usualMs === null || operation.isEndless) await Promise.race([first, ended]);
  const ranMs = performance.now() - begun;
  if (operation.isEndless) await endAfter(child, ended, run.random() * (operation.longestMs ?? LONGEST_MS));
  else if (usualMs !== null && !atStatement)
    await endAfter(child, ended, usualMs * (EARLIEST + run.random() * (LATEST - EARLIEST)));
  const [code, signal] = await ended;
  await rm(fault, { force: true });
  if (signal === null && code !== 0) throw new Error(`The process ended with status ${code}: ${await errors}`);
  return { lines: (await output).split('\n').slice(0, -1), wasKilled: signal === 'SIGKILL', ranMs };
}

async function armKill(file: string, nth: number): Promise<void> {
  await rm(`${file}.fired`, { force: true });
  await writeFile(file, JSON.stringify({ id: randomUUID(), point: 'sqlite.*', nth, action: 'SIGKILL' }));
}

function start(operation: Operation, run: KilledRun, fault: string): ChildProcess {
  const { dataDir, store } = run;
  return spawn(process.execPath, [...operation.command(run)], {
    env: {
      PATH: process.env['PATH'],
      // Processes start faster.
      NODE_COMPILE_CACHE: path.resolve('node_modules/.cache/compile'),
      DATA_DIR: dataDir,
      MODEL_STORE: store,
      FAULT_FILE: fault,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}

async function endAfter(child: ChildProcess, ended: Promise<unknown>, ms: number): Promise<void> {
  await Promise.race([sleep(ms), ended]);
  child.kill('SIGKILL');
}
