/**
 * The operations whose process is killed, and what must hold after each kill. To add one, add an entry: the command of a process,
 * and what must hold of the lines that it has written.
 */
import 'reflect-metadata';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { backUp } from '#src/maintenance/backup.js';
import { repairFolder } from '#src/maintenance/check.js';
import { restore } from '#src/maintenance/restore.js';
import { Erasures } from '#src/prediction/erasures.js';
import { openOutcomeOrThrow } from '#src/prediction/sealed-outcome.js';
import { openDatabases } from '#src/storage/database.js';
import { DataKeys } from '#src/vault/data-keys.js';
import { MasterKeys, NO_SETTINGS } from '#src/vault/master-keys.js';
import { sweeperParts } from '../../support/sealed-data.ts';
import { pick, type Random } from '../../support/seeded-random.ts';
import { type DataFolder, expectNoProblem, makeEarlierCatalog } from './data-folder.ts';

export interface KilledRun extends DataFolder {
  readonly random: Random;
  /** Of this kill, from 0. */
  readonly cycle: number;
}

export interface Operation {
  /** The arguments of node. */
  readonly command: (run: KilledRun) => readonly string[];
  /** Before each process. */
  readonly prepare?: (run: KilledRun) => Promise<void>;
  /** Returns the number of changes that were acknowledged, all of which are there. @throws Error otherwise */
  readonly verify: (run: KilledRun, lines: readonly string[]) => Promise<number>;
  /** It writes lines and does not end by itself. */
  readonly isEndless?: boolean;
  /** How long an endless process runs after its first line at most, in milliseconds. Default: 200. */
  readonly longestMs?: number;
  /** Its process writes to SQLite by the storage thread, where it can also be killed at each statement. */
  readonly hasStatements?: boolean;
}

const progress = () => {};

export const OPERATIONS: Readonly<Record<string, Operation>> = {
  changes: {
    command: ({ dataDir, cycle }) => ['test/endurance/kill/change-data.ts', dataDir, String(cycle)],
    verify: verifyChanges,
    isEndless: true,
    hasStatements: true,
  },
  requests: {
    command: ({ dataDir, cycle }) => ['test/endurance/kill/serve-data.ts', dataDir, String(cycle)],
    verify: verifyRequests,
    isEndless: true,
    longestMs: 2_000,
    hasStatements: true,
  },
  uploads: {
    command: ({ dataDir, cycle }) => ['test/endurance/kill/store-data.ts', dataDir, String(cycle), 'uploads'],
    verify: verifyRequests,
    isEndless: true,
    hasStatements: true,
  },
  erasures: {
    command: ({ dataDir, cycle }) => ['test/endurance/kill/store-data.ts', dataDir, String(cycle), 'erasures'],
    verify: async (run, lines) => {
      await finishErasures(run.dataDir);
      return verifyRequests(run, lines);
    },
    isEndless: true,
    hasStatements: true,
  },
  outcomes: {
    command: ({ dataDir, cycle }) => ['test/endurance/kill/store-data.ts', dataDir, String(cycle), 'outcomes'],
    verify: async (run, lines) => {
      await finishErasures(run.dataDir);
      await verifyOutcomes(run.dataDir, lines);
      return verifyRequests(run, lines);
    },
    isEndless: true,
    hasStatements: true,
  },
  rotation: {
    prepare: async ({ dataDir }) => {
      const { databases, dataKeys } = await openVault(dataDir);
      await dataKeys.sealing({ account: 'team', keyId: null, subject: null }, Date.now());
      await databases.close();
    },
    command: () => ['dist/rotate-master-key.js'],
    verify: async ({ dataDir }) => {
      await expectNoProblem(dataDir);
      const { databases, dataKeys } = await openVault(dataDir);
      const ids = (await databases.keyDb.selectFrom('data_key').select('id').execute()).map(({ id }) => id);
      const found = await dataKeys.find(ids);
      await databases.close();
      if (found.size !== ids.length)
        throw new Error(`${ids.length - found.size} of ${ids.length} keys cannot be unwrapped.`);
      return 1;
    },
    hasStatements: true,
  },
  backup: {
    command: ({ root }) => ['dist/backup.js', path.join(root, 'backup')],
    verify: async ({ root, dataDir }) => {
      await expectNoProblem(dataDir);
      const backup = path.join(root, 'backup');
      if (!existsSync(backup)) return 0;
      const { problems } = await restore(backup, path.join(root, 'restored'), progress);
      if (problems.length > 0) throw new Error(`The backup has ${problems.length} problems.`);
      await Promise.all(['backup', 'restored'].map((name) => rm(path.join(root, name), { recursive: true })));
      return 1;
    },
  },
  restore: {
    prepare: async ({ root, dataDir }) => {
      const backup = path.join(root, 'kept-backup');
      if (!existsSync(backup)) await backUp(dataDir, backup, progress);
    },
    command: ({ root }) => ['dist/restore.js', path.join(root, 'kept-backup'), path.join(root, 'new')],
    verify: async ({ root }) => {
      const folder = path.join(root, 'new');
      if (!existsSync(folder)) return 0;
      await expectNoProblem(folder);
      await rm(folder, { recursive: true });
      return 1;
    },
  },
  repair: {
    prepare: async ({ renew, dataDir, random }) => {
      await renew();
      await damage(dataDir, random);
    },
    command: () => ['dist/fsck.js', '--repair'],
    verify: async ({ dataDir, store }) => {
      for await (const { problem, failure } of repairFolder(dataDir, { ...NO_SETTINGS, store, reason: null, progress }))
        if (failure) throw new Error(`${problem.where} could not be repaired: ${failure}`);
      await expectNoProblem(dataDir);
      return 1;
    },
    hasStatements: true,
  },
  migrations: {
    prepare: ({ dataDir, random }) => makeEarlierCatalog(dataDir, pick(random, EARLIER)),
    command: ({ dataDir }) => ['test/endurance/kill/open-data.ts', dataDir],
    verify: async ({ dataDir }) => {
      const { catalogDb, close } = await openDatabases(dataDir);
      const models = await catalogDb.selectFrom('model').select('id').execute();
      await close();
      if (models.length !== 5) throw new Error(`${models.length} of 5 models are left.`);
      // The graphs of these models have never existed.
      await expectNoProblem(dataDir, ['BLOB_MISSING']);
      return 1;
    },
    hasStatements: true,
  },
};

/** Those from which the rows of `fillCatalogFile` fit. */
const EARLIER = ['009_retention', '010_orders', '011_model_metrics', '012_facet_counts', '014_verification'];

const DAMAGES = [
  "update model set default_version_id = null where name = 'm001'",
  'update facet_count set count = count + 1',
  'delete from model_metric',
  "update model set title = 'Zebras' where name = 'm002'",
  "insert into model_fts (rowid, name) values (999, 'ghost')",
  'drop trigger model_metric_delete',
  'drop index model_created',
  "insert into alias values ((select min(id) from model), 'lost', 'version_none', 1)",
];

async function damage(dataDir: string, random: Random): Promise<void> {
  const db = new DatabaseSync(path.join(dataDir, 'catalog.db'), { enableForeignKeyConstraints: false });
  for (const statement of DAMAGES) if (random() < 0.5) db.exec(statement);
  const digests = db.prepare('select artifact_sha256 as digest from version').all();
  db.close();
  for (const { digest } of digests) {
    const blob = path.join(dataDir, 'blobs/sha256', String(digest).slice(0, 2), String(digest).slice(2));
    const chance = random();
    if (chance < 0.2) await rm(blob);
    else if (chance < 0.4) await writeFile(blob, 'another');
  }
  await writeFile(path.join(dataDir, 'blobs/aside/left'), 'half');
}

interface Acknowledged {
  readonly reason: string;
  readonly entries: number;
}

/** Every acknowledged change has its entries, and the rows are what the newest entry about each says. */
async function verifyChanges({ dataDir }: KilledRun, lines: readonly string[]): Promise<number> {
  await expectNoProblem(dataDir);
  const db = new DatabaseSync(path.join(dataDir, 'catalog.db'), { readOnly: true });
  try {
    const count = db.prepare('select count(*) as entries from audit_log where reason = ?');
    for (const line of lines) {
      const { reason, entries } = JSON.parse(line) as Acknowledged;
      const found = Number(count.get(reason)?.['entries']);
      if (found !== entries) throw new Error(`${line}: the audit log has ${found} entries`);
    }
    const [wrong] = db.prepare(DIFFERS_FROM_LOG).all();
    if (wrong) throw new Error(`Not what the audit log says: ${JSON.stringify(wrong)}`);
  } finally {
    db.close();
  }
  return lines.length;
}

interface Made {
  readonly upload?: string;
  readonly sha256?: string;
  readonly publication?: string;
  readonly model?: string;
  readonly kept?: string;
  readonly erased?: string;
  readonly deleted?: string;
}

/** What was uploaded, published and recorded is there, unless its model was deleted; what was erased or deleted is not. */
async function verifyRequests({ dataDir }: KilledRun, lines: readonly string[]): Promise<number> {
  await expectNoProblem(dataDir);
  const made = lines.map((line) => JSON.parse(line) as Made);
  const deleted = new Set(made.flatMap((one) => (one.deleted ? [one.model] : [])));
  const catalog = new DatabaseSync(path.join(dataDir, 'catalog.db'), { readOnly: true });
  const predictions = new DatabaseSync(path.join(dataDir, 'predictions.db'), { readOnly: true });
  const isIn = (db: DatabaseSync, table: string, id: string) =>
    db.prepare(`select 1 from ${table} where id = ?`).get(id) !== undefined;
  const expect = (holds: boolean, what: string, one: Made) => {
    if (!holds) throw new Error(`${what}: ${JSON.stringify(one)}`);
  };
  try {
    for (const one of made) {
      if (one.upload) {
        const bytes = await readFile(path.join(dataDir, 'uploads', one.upload));
        expect(createHash('sha256').update(bytes).digest('hex') === one.sha256, 'An upload is not what was sent', one);
      }
      const isDeleted = deleted.has(one.model);
      // A deletion that was not acknowledged may have happened.
      const isLeft = !isDeleted && modelId(catalog, one.model) !== '';
      if (one.publication && isLeft)
        expect(isIn(catalog, 'publication', one.publication), 'A publication is lost', one);
      if (one.deleted) expect(!isIn(catalog, 'model', one.deleted), 'A deleted model is there', one);
      if (one.erased) expect(!isIn(predictions, 'prediction', one.erased), 'An erased prediction is there', one);
      if (one.kept && (one.model === undefined || isLeft))
        expect(isIn(predictions, 'prediction', one.kept), 'A prediction is lost', one);
    }
  } finally {
    catalog.close();
    predictions.close();
  }
  return lines.length;
}

function modelId(catalog: DatabaseSync, name = ''): string {
  return String(catalog.prepare('select id from model where name = ?').get(name)?.['id'] ?? '');
}

/** As at the start of a server. Until then, a row whose blob is deleted already may be there. */
async function finishErasures(dataDir: string): Promise<void> {
  const databases = await openDatabases(dataDir);
  const erasures = new Erasures(await sweeperParts(databases, dataDir));
  await erasures.resume();
  await databases.close();
}

/** Each prediction that is there has the outcome that was acknowledged last, and no outcome is without its prediction. */
async function verifyOutcomes(dataDir: string, lines: readonly string[]): Promise<void> {
  const { databases, dataKeys } = await openVault(dataDir);
  try {
    const rows = await databases.predictionDb.selectFrom('outcome').selectAll().execute();
    const keys = await dataKeys.find([...new Set(rows.map(({ data_key }) => data_key))]);
    const values = new Map(
      rows.map(({ prediction_id: id, principal_id, data_key, sealed }) => [
        id,
        openOutcomeOrThrow(keys.get(data_key), { id, principal_id }, sealed).truth,
      ]),
    );
    for (const line of lines) {
      const { kept, erased, outcome }: { kept: string; erased: string; outcome: number } = JSON.parse(line);
      if (values.get(kept) !== outcome) throw new Error(`The outcome of ${line} is ${values.get(kept)}`);
      if (values.has(erased)) throw new Error(`The outcome of an erased prediction is there: ${line}`);
    }
  } finally {
    await databases.close();
  }
}

async function openVault(dataDir: string) {
  const databases = await openDatabases(dataDir);
  const dataKeys = new DataKeys(databases, new MasterKeys(NO_SETTINGS, dataDir));
  await dataKeys.open();
  return { databases, dataKeys };
}

/** Times in the log are text with milliseconds. */
const DIFFERS_FROM_LOG = `
  with newest as (select target, after, max(sequence) from audit_log
    where action in ('createApiKey', 'rotateApiKey', 'revokeApiKey', 'setAlias') group by target),
  key_state as (select 'API key ' || id as target, json_array(revoked_at, expires_at, replaced_by) as state from api_key),
  logged_key as (select target, json_array(
      cast(round(unixepoch(after ->> 'revokedAt', 'subsec') * 1000) as integer),
      cast(round(unixepoch(after ->> 'expiresAt', 'subsec') * 1000) as integer), after ->> 'replacedBy') as state
    from newest where target like 'API key %'),
  alias_state as (select model.name || '@' || alias.name as target, model.name || ':' || version.number as state
    from alias join model on model.id = alias.model_id join version on version.id = alias.version_id),
  logged_alias as (select target, after ->> 'version' as state from newest where target not like 'API key %')
  select * from (select * from key_state union all select * from alias_state
    except select * from (select * from logged_key union all select * from logged_alias))
  union all
  select * from (select * from logged_key union all select * from logged_alias
    except select * from (select * from key_state union all select * from alias_state))`;
