/** Reads of the catalog beside Apollo Server with DataLoader, on the same file, in interleaved rounds. */
import 'reflect-metadata';
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { openDatabases } from '#src/storage/database.js';
import { fillCatalogFile } from './growth-data.ts';
import type { LoadOptions, LoadResult } from './load.ts';
import { median, ms, perSecond, ratio, table } from './numbers.ts';
import { ask, cpuSeconds, measure, type RunningServer, startCatalogPeer, startModelgraph } from './processes.ts';

const CONNECTIONS = 16;
const SIZES = [1_000, 10_000];
/** Pages that are requested, each from another cursor. */
const PAGES = 800;
const CURSORS_PER_PAGE = 100;

const DOCUMENTS = {
  'default version': 'id name title task tags version { ref evaluation { metrics { name value } } }',
  'five versions': 'name versions(first: 5) { nodes { ref evaluation { metrics { name value } } } }',
} as const;

const documentOf = (fields: string) =>
  `query ($after: String) { models(first: 25, after: $after) { nodes { ${fields} } } }`;

interface Contender {
  readonly title: string;
  readonly server: RunningServer;
  readonly cursors: readonly string[];
}

interface Round extends LoadResult {
  readonly cpuMicros: number;
  readonly mainMicros: number;
}

const HEADER = [
  'models',
  'selected',
  'server',
  'requests/s',
  '**× peer**',
  'range',
  'p50',
  'p99',
  'CPU',
  'main thread',
];

export async function catalogSection(isQuick: boolean): Promise<string> {
  const rows: string[][] = [];
  for (const models of SIZES) {
    const folder = await mkdtemp(path.join(os.tmpdir(), 'catalog-bench-'));
    try {
      rows.push(...(await compare(folder, models, isQuick)));
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  }
  return `## 9. Reads of the catalog

${table(HEADER, rows)}

*How to read it:* ${CONNECTIONS} connections request 25 models with their tags and the metrics of the best evaluation of a
version, each request from another cursor. Both servers read the same file. The peer is Apollo's standalone server with
DataLoader and \`node:sqlite\` on its event loop; it has no limits, no rules about who sees what, and reads only the
columns that are selected. No server keeps answers. Numbers are medians of ${roundsOf(isQuick)} rounds, in which the servers
take turns; "CPU" is the CPU time of the server process per request, "main thread" what its event loop took of that. The
load generator shares the machine. Goal: × peer of at least 1.`;
}

function roundsOf(isQuick: boolean): number {
  return isQuick ? 1 : 5;
}

async function compare(folder: string, models: number, isQuick: boolean): Promise<string[][]> {
  const { close } = await openDatabases(folder);
  fillCatalogFile(folder, models);
  await close();
  const store = path.join(folder, 'store');
  await mkdir(store);
  const ours = await startModelgraph({ DATA_DIR: folder, MODEL_STORE: store });
  const peer = await startCatalogPeer(path.join(folder, 'catalog.db'));
  const { names, cursors } = await positions(ours.url);
  const contenders = [
    { title: 'peer', server: peer, cursors: names },
    { title: 'ours', server: ours, cursors },
  ];
  const rows: string[][] = [];
  for (const [title, fields] of Object.entries(DOCUMENTS)) {
    await checkEqual(contenders, fields);
    const rounds = await play(contenders, fields, isQuick);
    rows.push(...describe([String(models), title], contenders, rounds));
  }
  await Promise.all([ours.stop(), peer.stop()]);
  return rows;
}

interface Positions {
  readonly names: string[];
  readonly cursors: string[];
}

/** A cursor of the peer is the name of the model. */
async function positions(url: string): Promise<Positions> {
  const names: string[] = [];
  const cursors: string[] = [];
  while (cursors.length < PAGES) {
    const after = cursors.length === 0 ? '' : `, after: ${JSON.stringify(cursors.at(-1))}`;
    const { models } = await ask<{ models: { edges: { cursor: string; node: { name: string } }[] } }>(
      url,
      `{ models(first: ${CURSORS_PER_PAGE}${after}) { edges { cursor node { name } } } }`,
    );
    names.push(...models.edges.map(({ node }) => node.name));
    cursors.push(...models.edges.map(({ cursor }) => cursor));
  }
  return { names, cursors };
}

function bodiesOf({ cursors }: Contender, fields: string): string[] {
  return cursors.map((after) => JSON.stringify({ query: documentOf(fields), variables: { after } }));
}

async function checkEqual(contenders: readonly Contender[], fields: string): Promise<void> {
  const headers = { 'content-type': 'application/json' };
  const answers = contenders.map(async (contender) => {
    const body = bodiesOf(contender, fields).at(-1) as string;
    const response = await fetch(contender.server.url, { method: 'POST', headers, body });
    return ((await response.json()) as { data: { models: { nodes: unknown[] } } }).data;
  });
  const [peer, ours] = await Promise.all(answers);
  assert.equal(ours?.models.nodes.length, 25);
  assert.deepEqual(ours, peer);
}

async function play(contenders: readonly Contender[], fields: string, isQuick: boolean): Promise<Round[][]> {
  const rounds: Round[][] = contenders.map(() => []);
  const seconds = isQuick ? 2 : 4;
  for (const contender of contenders) await run(contender, fields, seconds);
  for (let i = 0; i < roundsOf(isQuick); i++)
    for (const [c, contender] of contenders.entries()) rounds[c]?.push(await run(contender, fields, seconds));
  return rounds;
}

async function run(contender: Contender, fields: string, seconds: number): Promise<Round> {
  const { url, pid } = contender.server;
  const before = [cpuSeconds(pid), mainThreadSeconds(pid)] as const;
  const bodies = bodiesOf(contender, fields);
  const result = await measure<LoadResult>('load.ts', {
    url,
    bodies,
    connections: CONNECTIONS,
    seconds,
  } satisfies LoadOptions);
  const { answered, failures, failure } = result;
  if (failures > 0 || answered === 0)
    throw new Error(`${contender.title}: ${failures} requests failed, the first with ${failure}`);
  const cpuMicros = (1e6 * (cpuSeconds(pid) - before[0])) / answered;
  return { ...result, cpuMicros, mainMicros: (1e6 * (mainThreadSeconds(pid) - before[1])) / answered };
}

function mainThreadSeconds(pid: number): number {
  if (process.platform !== 'linux') return Number.NaN;
  return Number(readFileSync(`/proc/${pid}/task/${pid}/schedstat`, 'utf8').split(' ')[0]) / 1e9;
}

function describe(
  what: readonly string[],
  contenders: readonly Contender[],
  rounds: readonly (readonly Round[])[],
): string[][] {
  const of = (c: number, pick: (round: Round) => number) => (rounds[c] ?? []).map(pick);
  const rates = contenders.map((_, c) => of(c, ({ requestsPerSecond }) => requestsPerSecond));
  return contenders.map(({ title }, c) => [
    ...what,
    title,
    perSecond(median(rates[c] ?? [])),
    ratio(median(rates[c] ?? []) / median(rates[0] ?? [])),
    `${Math.round(Math.min(...(rates[c] ?? [])))}–${Math.round(Math.max(...(rates[c] ?? [])))}`,
    ms(median(of(c, ({ latency }) => latency.p50))),
    ms(median(of(c, ({ latency }) => latency.p99))),
    `${Math.round(median(of(c, ({ cpuMicros }) => cpuMicros)))} µs`,
    `${Math.round(median(of(c, ({ mainMicros }) => mainMicros)))} µs`,
  ]);
}
