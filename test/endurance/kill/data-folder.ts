/** Data folders for the kill tests: a small catalog with blobs and predictions, made in a moment. */
import 'reflect-metadata';
import { cp, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { Kysely } from 'kysely';
import { Migrator } from 'kysely/migration';
import { checkFolder } from '#src/maintenance/check.js';
import { BlobFolder } from '#src/storage/blobs.js';
import { openDatabases } from '#src/storage/database.js';
import { firstIdAt } from '#src/storage/ids.js';
import { catalogMigrations } from '#src/storage/migrations/catalog.js';
import { dialectOf } from '#src/storage/snapshot.js';
import { NO_SETTINGS } from '#src/vault/master-keys.js';
import { fillCatalogFile } from '../../bench/growth-data.ts';
import { fillCatalog } from '../../support/large-catalog.ts';

const MODELS = 3;

export interface DataFolder {
  /** Contains the others. */
  readonly root: string;
  readonly dataDir: string;
  /** A model store with the graphs of the catalog. */
  readonly store: string;
  /** Puts the data folder back to how it was made. */
  readonly renew: () => Promise<void>;
  readonly remove: () => Promise<void>;
}

export async function makeDataFolder(): Promise<DataFolder> {
  const root = await mkdtemp(path.join(os.tmpdir(), 'modelgraph-kill-data-'));
  const [dataDir, store, original] = ['data', 'store', 'original'].map((name) => path.join(root, name)) as [
    string,
    string,
    string,
  ];
  await fill(original, store);
  const renew = async () => {
    await rm(dataDir, { recursive: true, force: true });
    await cp(original, dataDir, { recursive: true });
  };
  await renew();
  return { root, dataDir, store, renew, remove: () => rm(root, { recursive: true, force: true }) };
}

async function fill(dataDir: string, store: string): Promise<void> {
  const { catalogDb, close } = await openDatabases(dataDir);
  await fillCatalog(catalogDb, MODELS);
  const versions = await catalogDb
    .selectFrom('version')
    .innerJoin('model', 'model.id', 'version.model_id')
    .select(['version.id', 'model.name', 'version.number'])
    .execute();
  await close();
  const blobs = new BlobFolder(path.join(dataDir, 'blobs'));
  await blobs.open();
  const catalog = new DatabaseSync(path.join(dataDir, 'catalog.db'));
  for (const { id, name, number } of versions) {
    const graph = `graph of ${name}:${number}`;
    await mkdir(path.join(store, name, String(number)), { recursive: true });
    await writeFile(path.join(store, name, String(number), 'model.onnx'), graph);
    catalog.prepare('update version set artifact_sha256 = ? where id = ?').run(await blobs.put(graph), id);
  }
  catalog.close();
  const predictions = new DatabaseSync(path.join(dataDir, 'predictions.db'));
  const insert = predictions.prepare(
    "insert into prediction (id, version_id, principal_id, created_at, input_sha256, answer, timing, runtime) values (?, ?, 'team', ?, ?, '{}', '{}', '{}')",
  );
  const made = Date.now() - versions.length;
  for (const [i, { id }] of versions.entries())
    insert.run(firstIdAt('Prediction', made + i), id, made + i, await blobs.put(`{"text":"input ${i}"}`));
  predictions.close();
}

/** A catalog as an earlier release has left it. */
export async function makeEarlierCatalog(dataDir: string, migration: string): Promise<void> {
  await rm(dataDir, { recursive: true, force: true });
  await mkdir(dataDir, { recursive: true });
  const connection = new DatabaseSync(path.join(dataDir, 'catalog.db'));
  const db = new Kysely<unknown>({ dialect: dialectOf(connection) });
  const migrator = new Migrator({ db, provider: { getMigrations: async () => catalogMigrations } });
  await migrator.migrateTo(migration);
  await db.destroy();
  fillCatalogFile(dataDir, 5);
}

/** @throws Error with all problems, except of these kinds */
export async function expectNoProblem(dataDir: string, except: readonly string[] = []): Promise<void> {
  const found: string[] = [];
  for await (const { code, where, message } of checkFolder(dataDir, {
    ...NO_SETTINGS,
    progress: () => {},
    isAlone: false,
  }))
    if (!except.includes(code)) found.push(`${code} ${where}: ${message}`);
  if (found.length > 0) throw new Error(`The data folder has problems:\n${found.join('\n')}`);
}
