/**
 * SIGKILL of the server under load: every acknowledged prediction is there after the restart, and none twice.
 *
 * Each client predicts with idempotency keys. What was on its way when the server died is sent again with the same key
 * after the restart, as a careful client would do. At the end of a round all keys are acknowledged, so the store must
 * hold exactly one prediction for each. Times of the kills come from a seeded generator.
 *
 * `node test/endurance/kill-server.ts [rounds] [seed]` prints what it found.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { type Data, post } from '../support/http.ts';
import { startServer } from '../support/server.ts';

export interface KillReport {
  readonly rounds: number;
  readonly acknowledged: number;
  readonly resent: number;
  readonly lost: number;
  readonly doubled: number;
}

interface Round {
  readonly number: number;
  readonly url: string;
  readonly isOver: () => boolean;
}

const CLIENTS = 64;
const LONGEST_ROUND_MS = 600;
const IDS_A_REQUEST = 100;

const PREDICT = `mutation ($input: PredictInput!) {
  predict(input: $input) { prediction { id } problem { code message } }
}`;

export async function killServerRounds(rounds: number, seed: number): Promise<KillReport> {
  const dataDir = await mkdtemp(path.join(os.tmpdir(), 'modelgraph-kill-'));
  const acknowledged = new Map<string, string>();
  const unanswered = new Set<string>();
  let resent = 0;
  const random = seeded(seed);
  try {
    for (let number = 0; number < rounds; number++) {
      const server = await startServer({ DATA_DIR: dataDir });
      let isOver = false;
      const round = { number, url: server.url, isOver: () => isOver };
      resent += unanswered.size;
      await resendAll(server.url, unanswered, acknowledged);
      const clients = Array.from({ length: CLIENTS }, (_, i) => runClient(round, i, acknowledged, unanswered));
      await new Promise((resolve) => setTimeout(resolve, 50 + random() * LONGEST_ROUND_MS));
      await server.end('SIGKILL');
      isOver = true;
      await Promise.all(clients);
    }
    return { rounds, resent, ...(await verify(dataDir, acknowledged, unanswered)) };
  } finally {
    await rm(dataDir, { recursive: true, force: true });
  }
}

async function runClient(
  { number, url, isOver }: Round,
  client: number,
  acknowledged: Map<string, string>,
  unanswered: Set<string>,
): Promise<void> {
  for (let i = 0; !isOver(); i++) {
    const key = `${number}-${client}-${i}`;
    unanswered.add(key);
    const id = await predict(url, key).catch(() => null);
    if (id === null) return;
    acknowledged.set(key, id);
    unanswered.delete(key);
  }
}

async function resendAll(url: string, unanswered: Set<string>, acknowledged: Map<string, string>): Promise<void> {
  await Promise.all(
    Array.from(unanswered, async (key) => {
      acknowledged.set(key, await predict(url, key));
      unanswered.delete(key);
    }),
  );
}

async function predict(url: string, key: string): Promise<string> {
  const input = { model: 'spam-filter', input: { text: `message ${key}` }, idempotencyKey: key };
  const { data } = await post(url, PREDICT, { input });
  const { prediction, problem } = data.predict;
  if (problem) throw new Error(problem.message);
  return prediction.id;
}

async function verify(dataDir: string, acknowledged: Map<string, string>, unanswered: Set<string>) {
  const server = await startServer({ DATA_DIR: dataDir });
  await resendAll(server.url, unanswered, acknowledged);
  const ids = [...acknowledged.values()];
  let lost = 0;
  for (let i = 0; i < ids.length; i += IDS_A_REQUEST) {
    const { data } = await post(server.url, 'query ($ids: [ID!]!) { nodes(ids: $ids) { id } }', {
      ids: ids.slice(i, i + IDS_A_REQUEST),
    });
    lost += data.nodes.filter((node: Data) => node === null).length;
  }
  const { data } = await post(server.url, '{ predictions { totalCount } }');
  await server.end('SIGTERM');
  return { acknowledged: acknowledged.size, lost, doubled: data.predictions.totalCount - acknowledged.size };
}

/** mulberry32: small, seeded, good enough to choose moments. */
function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

if (process.argv[1] === import.meta.filename) {
  const [rounds = '20', seed = '1'] = process.argv.slice(2);
  process.stdout.write(
    `${JSON.stringify({ seed: Number(seed), ...(await killServerRounds(Number(rounds), Number(seed))) })}\n`,
  );
}
