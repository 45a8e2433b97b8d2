/**
 * Kills processes under load. In the end every acknowledged prediction must be stored exactly once.
 *
 *   node test/endurance/kill.ts [server|worker|writer] [kills] [seed]
 *   node test/endurance/kill.ts [changes|requests|uploads|erasures|outcomes|rotation|backup|restore|repair|migrations] [kills] [seed]
 *
 * - `server`: each round kills the server (SIGKILL) and restarts it on the same data.
 * - `worker`: kills one inference process after another (SIGKILL) while the server runs on.
 * - `writer`: ends the storage thread at a step of its work while the server runs on (needs a build with fault points).
 *
 * The others kill other processes that write to a data folder: see `kill/operations.ts`.
 *
 * 64 clients predict with idempotency keys and resend an unanswered request with the same key, as a careful client
 * would. At the end all keys are acknowledged, so the store must hold exactly one prediction for each. The moments and
 * the victims come from a seeded generator.
 */
import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Data, post } from '../support/graphql-client.ts';
import { createStore } from '../support/model-store.ts';
import { killIfRunning } from '../support/processes.ts';
import { below, pick, seeded } from '../support/seeded-random.ts';
import { type ServerProcess, startServer } from '../support/server.ts';
import { until } from '../support/until.ts';
import { OPERATIONS } from './kill/operations.ts';
import { killProcesses } from './kill/processes.ts';

export type Victim = 'server' | 'worker' | 'writer';

export interface KillReport {
  readonly victim: Victim;
  readonly kills: number;
  readonly seed: number;
  readonly acknowledged: number;
  /** Requests that were sent again, because they failed or were not answered. */
  readonly resent: number;
  readonly lost: number;
  readonly doubled: number;
}

/** The state that all clients share. */
interface Run {
  readonly env: Readonly<Record<'DATA_DIR' | 'MODEL_STORE' | 'FAULT_FILE', string>>;
  readonly random: () => number;
  readonly acknowledged: Map<string, string>;
  readonly unanswered: Set<string>;
  resent: number;
}

const MODEL = 'spam-filter';
const CLIENTS = 64;
const LONGEST_ROUND_MS = 600;
const IDS_A_REQUEST = 100;

const PREDICT = `mutation ($input: PredictInput!) {
  predict(input: $input) { prediction { id } problem { code message } }
}`;

export async function kill(victim: Victim, kills: number, seed: number): Promise<KillReport> {
  const store = await createStore();
  const dataDir = await mkdtemp(path.join(os.tmpdir(), 'modelgraph-kill-'));
  // One model, so that a restart takes little of the time.
  await cp(path.resolve('model-store', MODEL), path.join(store.folder, MODEL), { recursive: true });
  const env = { DATA_DIR: dataDir, MODEL_STORE: store.folder, FAULT_FILE: path.join(dataDir, 'fault') };
  const run: Run = { env, random: seeded(seed), acknowledged: new Map(), unanswered: new Set(), resent: 0 };
  try {
    if (victim === 'server') await killServers(run, kills);
    else await killInside(run, kills, victim === 'worker' ? killWorker : endWriter);
    return { victim, kills, seed, ...(await verify(run)), resent: run.resent };
  } finally {
    await Promise.all([store.remove(), rm(dataDir, { recursive: true, force: true })]);
  }
}

async function killServers(run: Run, rounds: number): Promise<void> {
  for (let round = 0; round < rounds; round++) {
    const server = await startServer(run.env);
    await resendAll(run, server.url);
    const clients = startClients(run, server.url, `${round}`, { giveUp: true });
    await sleep(50 + run.random() * LONGEST_ROUND_MS);
    await server.end('SIGKILL');
    await clients.stop();
  }
}

/** Returns false if there was nothing to kill. */
type KillOne = (run: Run, server: ServerProcess) => Promise<boolean>;

async function killInside(run: Run, kills: number, killOne: KillOne): Promise<void> {
  const server = await startServer(run.env);
  const clients = startClients(run, server.url, '0', { giveUp: false });
  for (let done = 0; done < kills; ) {
    const answered = run.acknowledged.size;
    if (await killOne(run, server)) done++;
    // Each kill hits a server at work: it has answered something since the last kill.
    await until('a prediction has been answered since the last kill', () => run.acknowledged.size > answered);
  }
  await clients.stop();
  await server.end('SIGTERM');
}

async function killWorker(run: Run, server: ServerProcess): Promise<boolean> {
  const { data } = await post(server.url, '{ engine { workers { pid } } }');
  const { workers } = data.engine;
  const worker = workers[Math.floor(run.random() * workers.length)];
  return worker !== undefined && killIfRunning(worker.pid);
}

const HISTORY_PAGE = `query ($after: String) {
  predictions(first: 100, after: $after) { nodes { id } pageInfo { endCursor hasNextPage } }
}`;

const WRITER_POINTS = ['sqlite.write.begin', 'sqlite.write.row', 'sqlite.write.commit', 'sqlite.committed'];

async function endWriter(run: Run): Promise<boolean> {
  const file = run.env.FAULT_FILE;
  const point = pick(run.random, WRITER_POINTS);
  const nth = 1 + below(run.random, 20);
  await rm(`${file}.fired`, { force: true });
  await writeFile(file, JSON.stringify({ id: randomUUID(), point, nth, action: 'exit' }));
  await until(`the writer has ended at ${point}`, () => existsSync(`${file}.fired`));
  return true;
}

function startClients(run: Run, url: string, name: string, { giveUp }: { giveUp: boolean }) {
  let isOver = false;
  const client = async (number: number) => {
    for (let i = 0; !isOver; i++) {
      const key = `${name}-${number}-${i}`;
      run.unanswered.add(key);
      for (let isAnswered = false; !isAnswered; run.resent++) {
        isAnswered = await predict(run, url, key).catch(() => false);
        if (isAnswered || giveUp) break;
      }
      if (run.unanswered.has(key)) return;
    }
  };
  const clients = Array.from({ length: CLIENTS }, (_, i) => client(i));
  return {
    stop: async () => {
      isOver = true;
      await Promise.all(clients);
    },
  };
}

async function resendAll(run: Run, url: string): Promise<void> {
  run.resent += run.unanswered.size;
  await Promise.all(Array.from(run.unanswered, (key) => predict(run, url, key)));
}

/** @throws Error if the prediction was not acknowledged */
async function predict({ acknowledged, unanswered }: Run, url: string, key: string): Promise<true> {
  const input = { model: MODEL, input: { text: `message ${key}` }, idempotencyKey: key };
  const { data } = await post(url, PREDICT, { input });
  const { prediction, problem } = data.predict;
  if (problem) throw new Error(problem.message);
  acknowledged.set(key, prediction.id);
  unanswered.delete(key);
  return true;
}

async function verify(run: Run): Promise<Pick<KillReport, 'acknowledged' | 'lost' | 'doubled'>> {
  const server = await startServer(run.env);
  await resendAll(run, server.url);
  const ids = [...run.acknowledged.values()];
  let lost = 0;
  for (let i = 0; i < ids.length; i += IDS_A_REQUEST) {
    const { data } = await post(server.url, 'query ($ids: [ID!]!) { nodes(ids: $ids) { id } }', {
      ids: ids.slice(i, i + IDS_A_REQUEST),
    });
    lost += data.nodes.filter((node: Data) => node === null).length;
  }
  const stored = await countStored(server.url);
  await server.end('SIGTERM');
  const acknowledged = run.acknowledged.size;
  return { acknowledged, lost, doubled: stored - acknowledged };
}

/** Counts the history page by page, because \`totalCount\` stops at 10,000. */
async function countStored(url: string): Promise<number> {
  let stored = 0;
  for (let after: string | null = null, hasNextPage = true; hasNextPage; ) {
    const { data }: Data = await post(url, HISTORY_PAGE, { after });
    const { nodes, pageInfo } = data.predictions;
    stored += nodes.length;
    ({ endCursor: after, hasNextPage } = pageInfo);
  }
  return stored;
}

if (process.argv[1] === import.meta.filename) {
  const [victim = 'server', kills = '20', seed = '1'] = process.argv.slice(2);
  const killAll = victim in OPERATIONS ? killProcesses : kill;
  process.stdout.write(`${JSON.stringify(await killAll(victim as Victim, Number(kills), Number(seed)))}\n`);
}
