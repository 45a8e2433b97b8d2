/**
 * Compares how long a server takes to deny a private model of another account with how long it takes for one that does not
 * exist: by name, reference, id and prediction, in pairs whose order is random.
 *
 * `node test/endurance/timing.ts [pairs] [seed]` prints, for each door, the median difference with its 95% confidence interval.
 */
import { Agent, request } from 'node:http';
import path from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { text } from 'node:stream/consumers';
import { createStore } from '../support/model-store.ts';
import { encodeModel, identity } from '../support/onnx.ts';
import { below, type Random, seeded } from '../support/seeded-random.ts';
import { type ServerProcess, startServer } from '../support/server.ts';

interface Difference {
  readonly door: string;
  /** Of the private model. */
  readonly medianUs: number;
  /** How much longer it takes than what does not exist: the median of the pairs, and its 95% confidence interval. */
  readonly differenceUs: number;
  readonly lowUs: number;
  readonly highUs: number;
}

/** A difference that begins above this share of the median can be told from the noise of a network with patience. */
const MAX_SHARE = 0.05;
const RESAMPLES = 1_000;
const WARM_UP = 200;
const [PRIVATE, ABSENT, SEEN] = ['secret-a', 'secret-b', 'public-a'];
const INPUT = '{ tensors: [{ name: "x", datatype: "FP32", shape: [1, 2], data: [1, 2] }] }';
const predictOf = (name: string) =>
  `mutation { predict(input: { model: "${name}", input: ${INPUT}, record: false }) { prediction { recorded } problem { code message } } }`;

export async function compareTimes({ pairs, seed }: { pairs: number; seed: number }): Promise<Difference[]> {
  const store = await createStore();
  try {
    const graph = encodeModel(identity('x', 'FP32', ['N', 2]));
    for (const name of [PRIVATE, SEEN])
      await store.write(`models/${name}`, { '1/model.onnx': graph, 'model.yaml': 'task: tensor\naccount: b' });
    const env = {
      MODEL_STORE: path.join(store.folder, 'models'),
      DATA_DIR: path.join(store.folder, 'data'),
      WORKERS: '1',
    };
    await (await startServer(env)).end('SIGTERM');
    const id = hide(path.join(env.DATA_DIR, 'catalog.db'));
    const server = await startServer(env);
    const results = await measure(server, { id, pairs, random: seeded(seed) });
    await server.end('SIGTERM');
    return results;
  } finally {
    await store.remove();
  }
}

/** Makes the model private; returns its id. */
function hide(file: string): string {
  const db = new DatabaseSync(file);
  try {
    db.prepare("update model set visibility = 'private' where name = ?").run(PRIVATE);
    return String(db.prepare('select id from model where name = ?').get(PRIVATE)?.['id']);
  } finally {
    db.close();
  }
}

async function measure(server: ServerProcess, { id, pairs, random }: { id: string; pairs: number; random: Random }) {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const send = (key: string | null, query: string) => post(server.url, agent, key, query);
  const create = async (account: string, role: string, by: string | null): Promise<string> => {
    const query = `mutation { createApiKey(input: { name: "x", account: "${account}", roles: [${role}] }) { secret } }`;
    return JSON.parse((await send(by, query)).body).data.createApiKey.secret;
  };
  const admin = await create('team', 'ADMIN', null);
  const [a, b] = [await create('a', 'PREDICTOR', admin), await create('b', 'PREDICTOR', admin)];
  // Its owner has it in memory.
  const owned = await send(b, predictOf(PRIVATE));
  if (!owned.body.includes('"problem":null')) throw new Error(owned.body);
  const otherId = id.replace(/.$/, (digit) => (digit === '0' ? '1' : '0'));
  const doors: Readonly<Record<string, readonly [string, string]>> = {
    predict: [predictOf(PRIVATE), predictOf(ABSENT)],
    model: [`{ model(name: "${PRIVATE}") { name } }`, `{ model(name: "${ABSENT}") { name } }`],
    version: [`{ version(ref: "${PRIVATE}:1") { ref } }`, `{ version(ref: "${ABSENT}:1") { ref } }`],
    node: [`{ node(id: "${id}") { id } }`, `{ node(id: "${otherId}") { id } }`],
  };
  const results: Difference[] = [];
  for (const [door, queries] of Object.entries(doors)) {
    const times: [number, number][] = [];
    for (let i = -WARM_UP; i < pairs; i++) {
      const isFirst = random() < 0.5;
      const one = (await send(a, queries[isFirst ? 0 : 1])).us;
      const two = (await send(a, queries[isFirst ? 1 : 0])).us;
      if (i >= 0) times.push(isFirst ? [one, two] : [two, one]);
    }
    results.push(differenceOf(door, times, random));
  }
  agent.destroy();
  return results;
}

function differenceOf(door: string, times: readonly [number, number][], random: Random): Difference {
  const differences = times.map(([hidden, absent]) => hidden - absent);
  const medians = Array.from({ length: RESAMPLES }, () =>
    median(differences.map(() => differences[below(random, differences.length)] as number)),
  ).sort((x, y) => x - y);
  return {
    door,
    medianUs: Math.round(median(times.map(([hidden]) => hidden))),
    differenceUs: round(median(differences)),
    lowUs: round(medians[Math.floor(RESAMPLES * 0.025)] as number),
    highUs: round(medians[Math.floor(RESAMPLES * 0.975)] as number),
  };
}

function median(values: readonly number[]): number {
  return values.toSorted((x, y) => x - y)[Math.floor(values.length / 2)] as number;
}

function round(us: number): number {
  return Math.round(us * 10) / 10;
}

function post(url: string, agent: Agent, key: string | null, query: string): Promise<{ us: number; body: string }> {
  const body = Buffer.from(JSON.stringify({ query }));
  const headers = {
    'content-type': 'application/json',
    'content-length': body.length,
    ...(key && { authorization: `Bearer ${key}` }),
  };
  return new Promise((resolve, reject) => {
    const begun = performance.now();
    const sent = request(`${url}/graphql`, { method: 'POST', agent, headers }, (response) => {
      text(response).then((received) => resolve({ us: (performance.now() - begun) * 1_000, body: received }), reject);
    });
    sent.on('error', reject).end(body);
  });
}

if (process.argv[1] === import.meta.filename) {
  const [pairs = '5000', seed = '1'] = process.argv.slice(2);
  const results = await compareTimes({ pairs: Number(pairs), seed: Number(seed) });
  for (const result of results) console.log(JSON.stringify(result));
  const isTold = ({ lowUs, highUs, medianUs }: Difference) => Math.max(lowUs, -highUs) > MAX_SHARE * medianUs;
  if (results.some(isTold)) process.exitCode = 1;
}
