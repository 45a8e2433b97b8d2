/** Reads of the catalog beside Apollo Server and Mercurius with DataLoader, on the same file, in interleaved rounds. */
import 'reflect-metadata';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { openDatabases } from '#src/storage/database.js';
import {
  type Contender,
  describeRange,
  describeRounds,
  play,
  ROUND_HEADER,
  type Round,
  rate,
  ratios,
} from './contest.ts';
import { fillCatalogFile } from './growth-data.ts';
import { table } from './numbers.ts';
import { ask, type RunningServer, startModelgraph, startPeer } from './processes.ts';
import type { Goal, Section } from './sections.ts';

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

const HEADER = ['models', 'selected', 'server', ...ROUND_HEADER];

export async function catalogSection(isQuick: boolean): Promise<Section> {
  const rows: string[][] = [];
  const goals: Goal[] = [];
  for (const models of isQuick ? SIZES.slice(0, 1) : SIZES) {
    const folder = await mkdtemp(path.join(os.tmpdir(), 'catalog-bench-'));
    try {
      for (const { title, contenders, rounds } of await compare(folder, models, isQuick)) {
        const [peer = []] = rounds;
        rows.push(
          ...contenders.map((one, c) => [String(models), title, one.title, ...describeRounds(rounds[c] ?? [], peer)]),
        );
        goals.push(goalOf(`${models.toLocaleString('en')} models, ${title}`, rounds.at(-1) ?? [], peer));
      }
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  }
  return {
    goals,
    markdown: `## Reads of the catalog

${table(HEADER, rows)}

*How to read it:* ${CONNECTIONS} clients request 25 models with their tags and the metrics of the best evaluation of a
version, each request from another cursor. All servers read the same file, and every answer of ours and of Mercurius was
compared with that of Apollo. The peers use DataLoader and \`node:sqlite\` on their event loop; they have no limits, no
rules about who sees what, and read only the columns that are selected. No server keeps answers. Numbers are medians of
${roundsOf(isQuick)} rounds, in which the servers take turns; "×" and "p99 ×" are ratios to Apollo, [from–to]. "CPU" is the
CPU time of the server process per request, "main thread" what its event loop took of that. The load generator shares
the machine.`,
  };
}

function goalOf(what: string, ours: readonly Round[], peer: readonly Round[]): Goal {
  const range = ratios(ours, peer, rate);
  return {
    what: `${what}: × Apollo with DataLoader`,
    aim: '≥ 1',
    measured: describeRange(range),
    isMet: range.median >= 1,
  };
}

function roundsOf(isQuick: boolean): number {
  return isQuick ? 1 : 5;
}

async function compare(folder: string, models: number, isQuick: boolean) {
  const { close } = await openDatabases(folder);
  fillCatalogFile(folder, models);
  await close();
  const store = path.join(folder, 'store');
  await mkdir(store);
  const file = path.join(folder, 'catalog.db');
  const ours = await startModelgraph({ DATA_DIR: folder, MODEL_STORE: store });
  const apollo = await startPeer('catalog-apollo.ts', file);
  const mercurius = await startPeer('catalog-mercurius.ts', file);
  const { names, cursors } = await positions(ours.url);
  const compared = [];
  for (const [title, fields] of Object.entries(DOCUMENTS)) {
    const right = await answersOf(apollo.url, bodiesOf(names, fields));
    const contender = (name: string, server: RunningServer, after: readonly string[]): Contender => ({
      title: name,
      server,
      format: 'predict',
      requests: bodiesOf(after, fields).map((body, i) => ({ body, right: right[i] ?? '' })),
    });
    const contenders = [
      contender('Apollo, DataLoader', apollo, names),
      contender('Mercurius, JIT, DataLoader', mercurius, names),
      contender('ours', ours, cursors),
    ];
    const amount = { connections: CONNECTIONS, seconds: isQuick ? 1 : 2, rounds: roundsOf(isQuick) };
    compared.push({ title, contenders, rounds: await play(contenders, amount) });
  }
  for (const server of [ours, apollo, mercurius]) await server.stop();
  return compared;
}

interface Positions {
  readonly names: string[];
  readonly cursors: string[];
}

/** A cursor of the peers is the name of the model. */
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

function bodiesOf(cursors: readonly string[], fields: string): string[] {
  return cursors.map((after) => JSON.stringify({ query: documentOf(fields), variables: { after } }));
}

/** What the right answers begin with: all but the last brace, because ours has `extensions` after the data. */
async function answersOf(url: string, bodies: readonly string[]): Promise<string[]> {
  const headers = { 'content-type': 'application/json' };
  const answers: string[] = [];
  for (const body of bodies) {
    const { data } = (await (await fetch(url, { method: 'POST', headers, body })).json()) as { data: unknown };
    answers.push(JSON.stringify({ data }).slice(0, -1));
  }
  return answers;
}
