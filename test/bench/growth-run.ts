/** The statements that each read of `catalog-reads.ts` issues: their plans, and how long they take. */
import { Kysely } from 'kysely';
import { localPrincipal, type Principal } from '#src/access/principal.js';
import type { CatalogTables, Databases, PredictionTables } from '#src/storage/database.js';
import type { SqliteFile } from '#src/storage/sqlite.js';
import { SqliteFileDialect } from '#src/storage/sqlite-dialect.js';
import { catalogReads, predictionReads } from '../support/catalog-reads.ts';

/** A read on its own databases, and the plan of every statement that it issued. */
export interface RunnableRead {
  readonly name: string;
  readonly run: () => Promise<unknown>;
  readonly plans: () => Promise<string[][]>;
}

const PRINCIPAL: Principal = { ...localPrincipal('192.0.2.1'), roles: ['viewer'] };

export async function runnableReads({ catalogFile, predictionsFile, catalogDb, predictionDb }: Databases) {
  const { id: popular, name: dataset } = (await catalogDb
    .selectFrom('dataset')
    .select(['id', 'name'])
    .limit(1)
    .executeTakeFirst()) ?? { id: 'none', name: 'none' };
  const versions = await predictionDb.selectFrom('prediction').select('version_id as id').distinct().limit(5).execute();
  const prediction = await predictionDb.selectFrom('prediction').select('id').limit(1).executeTakeFirst();
  const ids = { versions: versions.map(({ id }) => id), id: prediction?.id ?? 'none' };
  return [
    ...catalogReads({ popular, dataset }).map((read) => runnable<CatalogTables>(catalogFile, read)),
    ...predictionReads(ids).map((read) => runnable<PredictionTables>(predictionsFile, read)),
  ];
}

function runnable<Tables>(
  file: SqliteFile,
  read: { name: string; run: (db: Kysely<Tables>, principal: Principal) => Promise<unknown> },
): RunnableRead {
  const issued: { sql: string; parameters: readonly unknown[] }[] = [];
  const db = new Kysely<Tables>({ dialect: new SqliteFileDialect(file), log: ({ query }) => void issued.push(query) });
  const run = () => read.run(db, PRINCIPAL);
  const plans = async () => {
    issued.length = 0;
    await run();
    const explained = issued.map(({ sql, parameters }) => file.read(`explain query plan ${sql}`, parameters));
    return (await Promise.all(explained)).map(({ rows }) => rows.map(({ detail }) => String(detail)));
  };
  return { name: read.name, run, plans };
}
