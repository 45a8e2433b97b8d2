/** What a request allocates is garbage when it has been answered, and is collected with the young generation. */
import { cp, mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { PREDICT } from '../bench/requests.ts';
import { post } from '../support/graphql-client.ts';
import { type ServerProcess, startServer } from '../support/server.ts';

const REQUESTS = 4_000;
const CLIENTS = 8;
const PENGUIN = {
  beak_length: 50.7,
  beak_depth: 15,
  flipper_length: 223,
  body_mass: 5_550,
  island: 'biscoe',
  sex: 'male',
};

/** A collection of the young generation, with the size of the heap in MB. */
interface Scavenge {
  readonly isolate: string;
  readonly before: number;
  readonly after: number;
}

let folder: string;
let server: ServerProcess;
let scavenges: Scavenge[];

beforeEach(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'modelgraph-garbage-'));
  await cp(process.env['MODELGRAPH_TEMPLATE'] as string, folder, { recursive: true });
  server = await startServer({ DATA_DIR: folder, WORKERS: '1' }, { nodeOptions: ['--trace-gc'] });
  scavenges = [];
  createInterface({ input: server.process.stdout as Readable }).on('line', (line) => {
    const [, isolate, before, after] = /^\[(\S+)\].* Scavenge ([\d.]+) \S+ -> ([\d.]+) /.exec(line) ?? [];
    if (isolate) scavenges.push({ isolate, before: Number(before), after: Number(after) });
  });
});

afterEach(async () => {
  await server.end('SIGTERM');
  await rm(folder, { recursive: true });
});

test('of what requests allocate, less than 5 % outlives them, whether they are recorded or not', async () => {
  const ask = async (record: boolean) => {
    const variables = { input: { model: 'penguins', input: { row: PENGUIN }, record } };
    const { data } = await post(server.url, PREDICT, variables);
    expect(data.predict.problem).toBeNull();
  };
  const send = async (count: number) => {
    for (let i = 0; i < count; i++) await ask(i % 2 === 0);
  };
  await Promise.all(Array.from({ length: CLIENTS }, () => send(REQUESTS / CLIENTS)));
  expect(await promotedShare()).toBeLessThan(0.05);
});

/** Of what the event loop's thread has allocated in the last two thirds: the part that its collections have not freed. */
async function promotedShare(): Promise<number> {
  const byIsolate = Object.values(Object.groupBy(scavenges, ({ isolate }) => isolate)) as Scavenge[][];
  const freed = (all: readonly Scavenge[]) => all.reduce((total, { before, after }) => total + before - after, 0);
  const [main] = byIsolate.toSorted((a, b) => freed(b) - freed(a)) as [Scavenge[]];
  const later = main.slice(Math.floor(main.length / 3));
  expect(later.length).toBeGreaterThan(2);
  let promoted = 0;
  // After a full collection the heap is smaller than before, which says nothing about the young generation.
  for (const [i, { after }] of later.entries()) promoted += Math.max(0, after - (later[i - 1]?.after ?? after));
  return promoted / freed(later);
}
