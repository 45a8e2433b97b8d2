/**
 * Sends malformed documents and inputs over real HTTP. Each answer must be JSON that names the caller's mistake, without
 * an internal error, and no worker may be lost.
 *
 * Case `i` depends only on the seed and on `i`, apart from ids and cursors, which change with each run. The server runs
 * the models of the store and echo graphs, which return their input.
 *
 * `node test/endurance/fuzz.ts [documents] [inputs] [seed]` prints a report.
 */
import path from 'node:path';
import { createStore } from '../support/model-store.ts';
import { type Random, seeded } from '../support/seeded-random.ts';
import { openClient } from './fuzz/client.ts';
import { makeDocument } from './fuzz/documents.ts';
import { makeInput } from './fuzz/inputs.ts';
import { judgeWith, type Verdict } from './fuzz/judge.ts';
import { fillModels, survey } from './fuzz/material.ts';
import type { LoopDelay } from './fuzz/watch-loop.ts';
import { startWatched } from './fuzz/watched-server.ts';

export interface FuzzOptions {
  readonly documents: number;
  readonly inputs: number;
  readonly seed: number;
}

interface Round {
  readonly sent: number;
  /** Answers with data and without errors: these requests passed every check. */
  readonly answered: number;
  readonly perSecond: number;
  readonly slowestMs: number;
  readonly slowest: string;
}

export interface FuzzReport {
  readonly seed: number;
  readonly documents: Round;
  readonly inputs: Round;
  /** Answers that break a rule, and lines that the server logged as errors. */
  readonly internalErrors: number;
  readonly samples: readonly string[];
  /** Workers that ended or were replaced. */
  readonly workersLost: number;
  /** Exit code of the server after SIGTERM. */
  readonly exitCode: number | null;
  /** Event-loop delay of the server; null if the server ended early. */
  readonly loopDelayMs: LoopDelay | null;
}

const CLIENTS = 8;
const SAMPLES = 5;
const SAMPLE_CHARACTERS = 500;
/** A round ends after this many complaints, since more of them would say nothing new. */
const ENOUGH_COMPLAINTS = 100;

export async function fuzz({ documents, inputs, seed }: FuzzOptions): Promise<FuzzReport> {
  const store = await createStore();
  try {
    const env = { MODEL_STORE: await fillModels(store), DATA_DIR: path.join(store.folder, 'data') };
    const server = await startWatched(store.folder, env);
    const material = await survey(server.url);
    const workers = await server.workers();
    const run = new Run(server.url, judgeWith(material.schema));
    server.watchLoop();
    const rounds = {
      documents: await run.round(documents, (i) => makeDocument(seededFor(seed, i), material)),
      inputs: await run.round(inputs, (i) => makeInput(seededFor(~seed, i), material)),
    };
    const loopDelayMs = await server.seenLoop();
    const left = (await server.workers()).filter(({ restarts }) => restarts === 0).map(({ pid }) => pid);
    const exitCode = await server.end('SIGTERM');
    run.close();
    const found = [...run.complaints, ...server.logged.map((line) => `logged: ${line}`)];
    return {
      seed,
      ...rounds,
      internalErrors: found.length,
      samples: found.slice(0, SAMPLES).map((sample) => sample.slice(0, 2 * SAMPLE_CHARACTERS)),
      workersLost: workers.filter(({ pid }) => !left.includes(pid)).length,
      exitCode,
      loopDelayMs,
    };
  } finally {
    await store.remove();
  }
}

/** Sends the cases of a round, eight at a time, and collects complaints about the answers. */
class Run {
  readonly complaints: string[] = [];
  readonly #client: ReturnType<typeof openClient>;
  readonly #judge: ReturnType<typeof judgeWith>;

  constructor(url: string, judge: ReturnType<typeof judgeWith>) {
    this.#client = openClient(url, CLIENTS);
    this.#judge = judge;
  }

  async round(count: number, make: (i: number) => string): Promise<Round> {
    const begun = performance.now();
    let [sent, answered, slowestMs, slowest] = [0, 0, 0, ''];
    const work = async () => {
      while (sent < count && this.complaints.length < ENOUGH_COMPLAINTS) {
        const i = sent++;
        const body = make(i);
        const since = performance.now();
        const { complaint, isAnswered } = await this.#try(body);
        const ms = performance.now() - since;
        if (ms > slowestMs) [slowestMs, slowest] = [ms, `case ${i}: ${body.slice(0, SAMPLE_CHARACTERS)}`];
        if (complaint) this.complaints.push(`case ${i}: ${complaint}: ${body.slice(0, SAMPLE_CHARACTERS)}`);
        if (isAnswered) answered++;
      }
    };
    await Promise.all(Array.from({ length: CLIENTS }, work));
    const perSecond = Math.round((1000 * sent) / (performance.now() - begun));
    return { sent, answered, perSecond, slowestMs: Math.round(slowestMs), slowest };
  }

  async #try(body: string): Promise<Verdict> {
    try {
      return this.#judge(await this.#client.send(body));
    } catch (error) {
      return { complaint: `no answer: ${error}`, isAnswered: false };
    }
  }

  close(): void {
    this.#client.close();
  }
}

function seededFor(seed: number, i: number): Random {
  return seeded(Math.imul(seed, 0x9e3779b1) ^ Math.imul(i + 1, 0x85ebca6b));
}

if (process.argv[1] === import.meta.filename) {
  const [documents = '20000', inputs = '5000', seed = '1'] = process.argv.slice(2);
  const report = await fuzz({ documents: Number(documents), inputs: Number(inputs), seed: Number(seed) });
  process.stdout.write(`${JSON.stringify(report)}\n`);
  if (report.internalErrors > 0 || report.workersLost > 0) process.exitCode = 1;
}
