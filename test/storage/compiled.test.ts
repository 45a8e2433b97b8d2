/** Queries that are compiled once bind the values of each call. */
import 'reflect-metadata';
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { Kysely } from 'kysely';
import { localPrincipal, type Principal, SYSTEM } from '#src/access/principal.js';
import { findModelPage } from '#src/catalog/model.queries.js';
import { findVersionPages } from '#src/catalog/version.queries.js';
import { findBestEvaluations, findEvaluationPages, findMetrics, toMetric } from '#src/evaluation/evaluation.queries.js';
import { type CatalogTables, type Databases, openDatabases } from '#src/storage/database.js';
import { SqliteFileDialect } from '#src/storage/sqlite-dialect.js';
import { fillCatalog } from '../support/large-catalog.js';

const ANYONE: Principal = { ...localPrincipal('192.0.2.7'), roles: ['viewer'] };

let dataDir: string;
let databases: Databases;
beforeAll(async () => {
  dataDir = await mkdtemp(path.join(os.tmpdir(), 'modelgraph-compiled-'));
  databases = await openDatabases(dataDir);
  await fillCatalog(databases.catalogDb, 30);
});
afterAll(async () => {
  await databases.close();
  await rm(dataDir, { recursive: true, force: true });
});

/** The texts of the statements that read a page of models with all that belongs to them. */
async function textsOf(principal: Principal, first: number): Promise<string[]> {
  const texts: string[] = [];
  const log = ({ query }: { query: { sql: string } }) => void texts.push(query.sql);
  const db = new Kysely<CatalogTables>({ dialect: new SqliteFileDialect(databases.catalogFile), log });
  const { edges } = await findModelPage(db, principal, {}, { first });
  await findModelPage(db, principal, {}, { first, after: edges.at(0)?.cursor });
  expect(edges[0]?.node.tags).toEqual(['all', 'even']);
  const ids = edges.map(({ node }) => node.id);
  await findVersionPages(db, principal, 'model', ids, { first });
  const versionIds = edges.flatMap(({ node }) => node.defaultVersionId ?? []);
  await findEvaluationPages(db, principal, 'version', versionIds, { first });
  await findBestEvaluations(db, principal, versionIds, {});
  const best = await findBestEvaluations(db, principal, versionIds, { hasMetrics: true });
  const metrics = await findMetrics(
    db,
    principal,
    best.map(({ id }) => id),
  );
  expect(best).toHaveLength(first);
  expect(metrics).toHaveLength(first);
  expect(best.flatMap(({ knownMetrics }) => knownMetrics)).toEqual(metrics.map(toMetric));
  return texts;
}

test('the text of a statement depends neither on the size of a page nor on who reads it', async () => {
  const [one, many, ofOther] = [
    await textsOf(ANYONE, 1),
    await textsOf(ANYONE, 25),
    await textsOf({ ...ANYONE, id: 'other' }, 25),
  ];

  expect(many).toEqual(one);
  expect(ofOther).toEqual(one);
});

test('the server itself has statements without visibility', async () => {
  const texts = await textsOf(SYSTEM, 25);

  expect(texts.filter((text) => /visibility" (=|in|is|<>)/.test(text))).toEqual([]);
});

test.each([
  [{}, 2],
  [{ dataset: 'numbers' }, 2],
  [{ origin: 'IMPORTED' }, 2],
  [{ dataset: 'numbers', origin: 'IMPORTED' }, 2],
  [{ dataset: 'none' }, 0],
  [{ origin: 'COMPUTED' }, 0],
  [{ dataset: 'numbers', origin: 'COMPUTED' }, 0],
] as const)('the choice %j of evaluations finds %d', async (choice, count) => {
  const { edges } = await findModelPage(databases.catalogDb, ANYONE, {}, { first: 2 });
  const ids = edges.flatMap(({ node }) => node.defaultVersionId ?? []);

  expect(await findBestEvaluations(databases.catalogDb, ANYONE, ids, choice)).toHaveLength(count);
});
