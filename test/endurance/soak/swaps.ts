/**
 * Runs light predictions while one worker after another is killed, and compares every answer with its own input.
 *
 * The graph returns 3x + 7 and every x is sent only once, so the answer to another request is always noticed. At the end
 * a sample of the inputs is sent again, each alone, and must give the same answers.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { type Data, post } from '../../support/graphql-client.ts';
import { below, seeded } from '../../support/seeded-random.ts';
import { startServer } from '../../support/server.ts';
import { Kills } from './kills.ts';
import { AFFINE, PREDICT_MANY, PREDICT_ROWS, withStore } from './known-answers.ts';

export interface SwapReport {
  readonly predictions: number;
  readonly kills: number;
  readonly wrong: number;
  readonly failed: number;
  readonly samplesAskedAlone: number;
  readonly seconds: number;
}

const CLIENTS = 8;
const INPUTS_A_REQUEST = 200;
const KILL_EVERY_MS = 150;
const SAMPLES = 200;

export function swaps(predictions: number, seed: number): Promise<SwapReport> {
  return withStore({ affine: AFFINE }, async (env) => {
    const server = await startServer({ ...env, WORKERS: '2' });
    const { inputOf, answerOf } = AFFINE;
    const begun = performance.now();
    const kills = new Kills();
    let [next, wrong, failed] = [0, 0, 0];
    const client = async () => {
      while (next < predictions) {
        const first = next;
        next += Math.min(INPUTS_A_REQUEST, predictions - first);
        const values = Array.from({ length: next - first }, (_, i) => first + i);
        // In turn, so that inputs and rows of blocks share batches.
        const isBlock = (first / INPUTS_A_REQUEST) % 2 === 1;
        const answers = await kills.during(() =>
          isBlock ? predictRows(server.url, values) : predictMany(server.url, values.map(inputOf)),
        );
        for (const [i, answer] of answers.entries()) {
          if (answer === null) failed++;
          else if (answer !== answerOf(first + i)) wrong++;
        }
      }
    };
    const killing = killSteadily(server.url, kills, seed, () => next >= predictions);
    await Promise.all(Array.from({ length: CLIENTS }, client));
    await killing;
    const seconds = Math.round((performance.now() - begun) / 1_000);
    wrong += await countWrongAlone(server.url, predictions, seed);
    await server.end('SIGTERM');
    return { predictions, kills: kills.count, wrong, failed, samplesAskedAlone: SAMPLES, seconds };
  });
}

/** Returns the answers, with null for each problem. */
async function predictMany(url: string, inputs: readonly unknown[]): Promise<(number | null)[]> {
  const { data } = await post(url, PREDICT_MANY, {
    input: { model: 'affine', inputs, record: false },
  });
  return data.predictMany.results.map(({ prediction }: Data) => prediction?.output.tensors[0].data[0] ?? null);
}

/** The same of rows that are sent together. */
async function predictRows(url: string, values: readonly number[]): Promise<(number | null)[]> {
  const base64 = Buffer.from(Float32Array.from(values).buffer).toString('base64');
  const rows = { tensors: [{ name: 'x', datatype: 'FP32', shape: [values.length], base64 }] };
  const { data } = await post(url, PREDICT_ROWS, { input: { model: 'affine', rows, record: false } });
  const { tensors, problems } = data.predictMany.columns;
  const failed = new Set(problems.map(({ row }: Data) => row));
  return values.map((_, row) => (failed.has(row) ? null : tensors[0].data[row]));
}

async function countWrongAlone(url: string, predictions: number, seed: number): Promise<number> {
  const random = seeded(seed);
  let wrong = 0;
  for (let i = 0; i < SAMPLES; i++) {
    const value = below(random, predictions);
    const [answer] = await predictMany(url, [AFFINE.inputOf(value)]);
    if (answer !== AFFINE.answerOf(value)) wrong++;
  }
  return wrong;
}

async function killSteadily(url: string, kills: Kills, seed: number, isOver: () => boolean): Promise<void> {
  const random = seeded(seed);
  while (!isOver()) {
    await kills.allowed();
    const { data } = await post(url, '{ engine { workers { pid } } }');
    const worker = data.engine.workers[Math.floor(random() * data.engine.workers.length)];
    if (worker) kills.kill(worker.pid);
    await sleep(KILL_EVERY_MS);
  }
}
