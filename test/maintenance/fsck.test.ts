/** `npm run fsck` names everything that was damaged on purpose, and repairs what can be repaired. */
import { randomBytes } from 'node:crypto';
import { cp, mkdir, mkdtemp, open, readFile, rm, truncate, utimes, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { ApiKeys } from '#src/access/api-keys.js';
import { COMMAND_LINE } from '#src/access/principal.js';
import { checkFolder, repairFolder } from '#src/maintenance/check.js';
import type { Problem } from '#src/maintenance/problem.js';
import { BlobFolder } from '#src/storage/blobs.js';
import { openDatabases } from '#src/storage/database.js';
import { indexMissing } from '#src/storage/search.js';
import { NO_SETTINGS } from '#src/vault/master-keys.js';
import { STORE, startTestApp } from '../support/app.js';
import { runCommand } from '../support/command.js';

const progress = () => {};
const OLD = new Date(Date.now() - 30 * 3_600_000);

let dataDir: string;
beforeEach(async () => {
  dataDir = await mkdtemp(path.join(os.tmpdir(), 'modelgraph-fsck-'));
  await cp(process.env['MODELGRAPH_TEMPLATE'] as string, dataDir, { recursive: true });
});
afterEach(() => rm(dataDir, { recursive: true, force: true }));

async function check(masterKey: string | null = null): Promise<string[]> {
  const found: string[] = [];
  for await (const problem of checkFolder(dataDir, { ...NO_SETTINGS, masterKey, progress, isAlone: false }))
    found.push(lineOf(problem));
  return found.sort();
}

/** Returns what could not be repaired. */
async function repair(): Promise<string[]> {
  const left: string[] = [];
  const options = { ...NO_SETTINGS, store: STORE, reason: 'a test', progress };
  for await (const { problem, failure } of repairFolder(dataDir, options))
    if (failure !== null) left.push(lineOf(problem));
  return left.sort();
}

function lineOf({ code, where, message }: Problem): string {
  return `${code} ${where}: ${message}`;
}

/** Foreign keys are off, as in the command line of SQLite. */
function change(database: string, ...statements: string[]): void {
  const db = new DatabaseSync(path.join(dataDir, database), { enableForeignKeyConstraints: false });
  for (const statement of statements) db.exec(statement);
  db.close();
}

function storedValue(database: string, sql: string): string {
  const db = new DatabaseSync(path.join(dataDir, database), { readOnly: true });
  const [value] = Object.values(db.prepare(sql).get() ?? {});
  db.close();
  return String(value);
}

const versionId = (model: string) =>
  `(select id from version where model_id = (select id from model where name = '${model}'))`;

function insertPrediction(id: string, { version = 'version_x', input = "'{}'", sha256 = 'null' } = {}): string {
  return `insert into prediction (id, version_id, principal_id, created_at, input, input_sha256, answer, label, timing, runtime)
    values ('${id}', '${version}', 'team', 1, ${input}, ${sha256},
      '{"kind":"classification","label":"ham"}', 'ham', '{}', '{}')`;
}

function insertOutcome(prediction: string, sealed: string, version = 'version_x'): string {
  return `insert into outcome values ('${prediction}', '${version}', 'team', 1, 1, 1, ${sealed})`;
}

function insertPicture(prediction: string, name: string): string {
  return `insert into picture values ('${prediction}', '${name}', 0, 1, 1, 'image/png', 1, null)`;
}

test('rows of the catalog that were changed by SQL are named, and those that are kept from others are repaired', async () => {
  change(
    'catalog.db',
    "delete from model_fts where rowid = (select search_id from model where name = 'face-detector')",
    "update model set visibility = 'private', account = 'team', search_id = null where name = 'face-detector'",
  );
  const databases = await openDatabases(dataDir);
  await indexMissing(databases.catalogDb);
  const keys = new ApiKeys(databases.catalogDb);
  const wanted = { account: 'team', name: 'ci', kind: 'secret', roles: ['admin'] } as const;
  const unbound = { operations: null, models: null, origins: null, expiresAt: null, limits: null };
  const { key } = await keys.create({ ...wanted, ...unbound }, { principal: COMMAND_LINE, reason: null });
  await databases.close();
  const modelId = storedValue('catalog.db', "select id from model where name = 'spam-filter'");
  const massId = storedValue('catalog.db', "select id from model where name = 'penguin-mass'");
  expect(await check()).toEqual([]);

  change(
    'catalog.db',
    `insert into alias values ('${modelId}', 'lost', 'version_none', 1)`,
    "update model set default_version_id = null where name = 'penguins'",
    "update facet_count set count = count + 1 where field = 'LICENSE'",
    'delete from model_metric where search_id = (select min(search_id) from model_metric)',
    'update model_score set value = value + 1 where search_id = (select min(search_id) from model_score)',
    "update model set title = 'Zebras' where name = 'fashion-mlp'",
    "update model set created_at = 'soon' where name = 'penguin-mass'",
    "insert into model_fts (rowid, name) values (999, 'ghost')",
    "insert into model_fts (rowid, name) values ((select search_id from model where visibility = 'private'), 'face')",
    "insert into private_model_fts (rowid, account) values (998, 'ghost')",
    'drop trigger model_metric_delete',
    'drop index model_created',
    'create trigger evil after insert on api_key begin delete from alias; end',
    `update version set spec = '{' where id = ${versionId('fashion-cnn')}`,
    `insert into latency values (${versionId('spam-filter')}, '', 'machine', 'cpu', '1', 'fast', 1, null)`,
    `update api_key set kind = 'root', roles = '["king"]', replaced_by = 'nobody'`,
    'drop trigger audit_log_update',
    "update audit_log set reason = 'another' where sequence = 2",
    'update audit_head set sequence = 99',
  );
  const found = await check();
  const left = await repair();

  const kept = [
    'AUDIT_LOG_BROKEN audit log: entry 2 was changed, or the one before it was',
    expect.stringMatching(/^AUDIT_LOG_BROKEN audit log: the log ends with entry \d+, but its head is entry 99$/),
    `ROW_INVALID api_key ${key.id}: it was replaced by nobody, which does not exist`,
    `ROW_INVALID api_key ${key.id}: kind is 'root'; expected secret or publishable`,
    `ROW_INVALID api_key ${key.id}: the role 'king' does not exist`,
    `ROW_INVALID model '${massId}': created_at is a value of the type text; expected bigint`,
    expect.stringMatching(/^ROW_INVALID version fashion-cnn:1: its spec or its variants cannot be read: /),
    'ROW_INVALID version fashion-cnn:1: spec is not a JSON object',
    'SCHEMA_DIFFERS trigger evil of catalog: is unknown to this release',
  ];
  const repaired = [
    'DEFAULT_VERSION_WRONG model penguins: the default version, its framework or its size is not that of version 1',
    expect.stringMatching(/^KEPT_TABLE_WRONG table facet_count: [1-9]\d* rows are missing or wrong, and [1-9]/),
    expect.stringMatching(/^KEPT_TABLE_WRONG table model_metric: [1-9]\d* rows are missing or wrong, and 0 /),
    expect.stringMatching(/^KEPT_TABLE_WRONG table model_score: [1-9]\d* rows are missing or wrong, and [1-9]/),
    `REFERENCE_BROKEN alias {"model_id":"${modelId}","name":"lost"}: refers to a row of version that does not exist`,
    expect.stringMatching(/^ROW_INVALID latency of version_\S+ : points is not a JSON array$/),
    'SCHEMA_DIFFERS index model_created of catalog: is missing',
    'SCHEMA_DIFFERS trigger audit_log_update of catalog: is missing',
    'SCHEMA_DIFFERS trigger model_metric_delete of catalog: is missing',
    'SEARCH_INDEX_WRONG model face-detector: model_fts has words of it, but should not',
    'SEARCH_INDEX_WRONG model fashion-mlp: model_fts does not have the words of the model',
    'SEARCH_INDEX_WRONG row 998 of private_model_fts: there is no such model',
    'SEARCH_INDEX_WRONG row 999 of model_fts: there is no such model',
  ];
  expect(found).toEqual(expect.arrayContaining([...kept, ...repaired]));
  expect(found).toHaveLength(kept.length + repaired.length);
  expect(left).toEqual(expect.arrayContaining(kept));
  expect(left).toHaveLength(kept.length);
  const entries = storedValue(
    'catalog.db',
    "select count(*) from audit_log where action = 'repair' and reason = 'a test'",
  );
  expect(Number(entries)).toBe(repaired.length);
});

test('predictions, their images, labels, outcomes and idempotency keys that were changed by SQL are named', async () => {
  const version = storedValue('catalog.db', `select ${versionId('spam-filter')}`);
  change(
    'predictions.db',
    insertPrediction('prediction_1', { version }),
    insertPrediction('prediction_2'),
    insertPrediction('prediction_3', { version }),
    insertPrediction('prediction_4', { version, sha256: "'x'" }),
    "update prediction set label = 'spam' where id = 'prediction_1'",
    "update prediction set answer = 'spam' where id = 'prediction_3'",
    "insert into idempotency values ('team', 'k', 'prediction_9', 'd', 1)",
    insertPicture('prediction_1', 'input'),
    insertPicture('prediction_8', 'input'),
    insertPicture('prediction_8', 'mask'),
    "insert into answer_label values ('v', 'a', 'prediction_1'), ('v', 'a', 'prediction_7'), ('v', 'b', 'prediction_7')",
    insertOutcome('prediction_1', 'zeroblob(40)'),
    insertOutcome('prediction_3', "x''", version),
    insertOutcome('prediction_6', 'zeroblob(40)'),
    'drop index prediction_version',
  );
  change(
    'keys.db',
    'drop index data_key_period',
    "insert into data_key values (1, 'data', 'a', '', '', '', 'm', 'text', 1, 1)",
  );

  const broken = [
    'REFERENCE_BROKEN idempotency ["team","k"]: refers to a prediction that does not exist',
    'REFERENCE_BROKEN labels of prediction_7: 2 labels refer to a prediction that does not exist',
    'REFERENCE_BROKEN outcome of prediction_6: refers to a prediction that does not exist',
    'REFERENCE_BROKEN pictures of prediction_8: 2 pictures refer to a prediction that does not exist',
  ];
  const kept = [
    'REFERENCE_BROKEN predictions of version_x: 1 predictions refer to a version that does not exist',
    'ROW_INVALID data_key 1: wrapped is a value of the type text; expected blob',
    'ROW_INVALID outcome of prediction_1: its account or its version is not that of the prediction',
    'ROW_INVALID outcome of prediction_3: it has nothing that is encrypted',
    "ROW_INVALID prediction prediction_1: label is 'spam', but the answer has 'ham'",
    'ROW_INVALID prediction prediction_3: answer is not a JSON object',
    'ROW_INVALID prediction prediction_4: input_sha256 is not a SHA-256 digest',
    'ROW_INVALID prediction prediction_4: it has its input both in the row and as a blob',
    'SCHEMA_DIFFERS index data_key_period of keys: is missing',
    'SCHEMA_DIFFERS index prediction_version of predictions: is missing',
  ];
  expect(await check()).toEqual([...broken, ...kept].sort());
  expect(await repair()).toEqual(kept);
  expect(storedValue('predictions.db', 'select group_concat(prediction_id) from picture')).toBe('prediction_1');
  expect(storedValue('predictions.db', 'select group_concat(prediction_id) from answer_label')).toBe('prediction_1');
  const outcomes = storedValue('predictions.db', 'select group_concat(prediction_id) from outcome');
  expect(outcomes.split(',').sort()).toEqual(['prediction_1', 'prediction_3']);
});

test('blobs that were damaged, cut or deleted are named and restored from the model store; what nothing refers to is deleted', async () => {
  const folder = new BlobFolder(path.join(dataDir, 'blobs'));
  const input = await folder.put('an input');
  const unused = await folder.put('an orphan');
  const young = await folder.put('just stored');
  const version = storedValue('catalog.db', `select ${versionId('spam-filter')}`);
  change('predictions.db', insertPrediction('prediction_1', { version, input: 'null', sha256: `'${input}'` }));
  const digestOf = (model: string) =>
    storedValue('catalog.db', `select artifact_sha256 from version where id = ${versionId(model)}`);
  const [flipped, cut, lost] = ['penguins', 'fashion-mlp', 'spam-filter'].map(digestOf) as [string, string, string];

  await flipByte(folder.pathOf(flipped));
  const { length } = await readFile(folder.pathOf(flipped));
  await truncate(folder.pathOf(cut), 100);
  await rm(folder.pathOf(lost));
  await rm(folder.pathOf(input));
  await mkdir(path.join(dataDir, 'blobs/aside'), { recursive: true });
  const leftovers = ['blobs/aside/0123', 'blobs/sha256/ab-note.txt'].map((name) => path.join(dataDir, name));
  for (const file of leftovers) await writeFile(file, 'half');
  for (const file of [...leftovers, folder.pathOf(unused)]) await utimes(file, OLD, OLD);
  const found = await check();
  const left = await repair();

  const unrestorable = `BLOB_MISSING prediction prediction_1: the blob ${input} does not exist`;
  expect(found).toEqual([
    expect.stringMatching(
      new RegExp(`^BLOB_DAMAGED version fashion-mlp:1: the blob ${cut} has 100 bytes with the digest `),
    ),
    expect.stringMatching(
      new RegExp(`^BLOB_DAMAGED version penguins:1: the blob ${flipped} has ${length} bytes with `),
    ),
    unrestorable,
    `BLOB_MISSING version spam-filter:2: the blob ${lost} does not exist`,
    `BLOB_UNUSED sha256/${unused.slice(0, 2)}/${unused.slice(2)}: nothing refers to it: 9 bytes`,
    'FILE_LEFT_OVER aside/0123: is no blob: 4 bytes',
    'FILE_LEFT_OVER sha256/ab-note.txt: is no blob: 4 bytes',
  ]);
  expect(left).toEqual([unrestorable]);
  expect(await check()).toEqual([unrestorable]);
  // Without a server, nothing can need it.
  expect(await folder.has(young, 11)).toBe(false);
});

async function flipByte(file: string): Promise<void> {
  const handle = await open(file, 'r+');
  const byte = Buffer.alloc(1);
  await handle.read(byte, 0, 1, 50);
  await handle.write(Buffer.from([byte.readUInt8() ^ 1]), 0, 1, 50);
  await handle.close();
}

test('keys that another master key has encrypted, and predictions of another file of keys, are named', async () => {
  const predict = 'mutation { predict(input: { model: "spam-filter", input: { text: "a" } }) { prediction { id } } }';
  const run = async () => {
    const app = await startTestApp({ dataDir, modelStore: STORE });
    await app.query(predict);
    await app.app.stop();
  };
  const [keys, masterKey] = ['keys.db', 'master.key'].map((name) => path.join(dataDir, name)) as [string, string];
  await run();
  const own = await check();
  const otherKey = await check(randomBytes(32).toString('base64'));
  const sameKey = await check((await readFile(masterKey, 'utf8')).trim());
  const kept = await readFile(masterKey);
  await rm(masterKey);
  const noKey = await check();
  await writeFile(masterKey, kept);
  change('keys.db', 'update data_key set wrapped = randomblob(length(wrapped)) where id = 1');
  const damaged = await check();
  // As a server that was started without the keys of its backup.
  await rm(keys);
  await run();
  const others = await check();

  expect([own, sameKey]).toEqual([[], []]);
  expect(otherKey).toEqual([
    'KEYS_UNREADABLE keys.db: 2 of 2 data keys are encrypted with another master key than that of MASTER_KEY',
  ]);
  expect(noKey).toEqual([
    `KEYS_UNREADABLE keys.db: 2 of 2 data keys are encrypted with another master key than that of ${masterKey}`,
  ]);
  expect(damaged).toEqual(['KEYS_UNREADABLE keys.db: 1 of 2 data keys are not what was stored']);
  expect(others).toEqual([
    'KEYS_UNREADABLE keys.db: predictions of 1 data keys are encrypted with those of another keys.db',
  ]);
});

const fsck = (...args: string[]) => runCommand('fsck', args, { DATA_DIR: dataDir, MODEL_STORE: STORE });

test('beside a server that writes, the command finds nothing, and refuses to repair', async () => {
  const app = await startTestApp({ dataDir, modelStore: STORE });
  const predict = `mutation ($text: String!) {
    predict(input: { model: "spam-filter", input: { text: $text } }) { prediction { id } } }`;
  let isOver = false;
  const clients = [1, 2, 3].map(async (client) => {
    for (let i = 0; !isOver; i++) await app.query(predict, { text: `${client} ${i} ${'x'.repeat(20_000)}` });
  });
  const checked = [await fsck(), await fsck('--json')];
  const refused = await fsck('--repair');
  isOver = true;
  await Promise.all(clients);
  await app.app.stop();

  expect(checked.map(({ code, stdout }) => ({ code, stdout }))).toEqual(Array(2).fill({ code: 0, stdout: '' }));
  expect([refused.code, refused.stderr]).toEqual([2, expect.stringContaining('STORE_LOCKED')]);
});

test('the command prints each problem as a line or as JSON, and tells by its status what it found', async () => {
  change('catalog.db', "update facet_count set count = 77 where value = 'mit'");

  const [text, json, repaired, clean] = [await fsck(), await fsck('--json'), await fsck('--repair'), await fsck()];
  change('catalog.db', "insert into kysely_migration values ('999_future', '2030-01-01')");
  const newer = await fsck();
  await writeFile(path.join(dataDir, 'predictions.db'), 'not a database at all, but text');
  const [damaged, unknown] = [await fsck(), await fsck('--fast')];
  const none = await runCommand('fsck', [], { DATA_DIR: path.join(dataDir, 'nowhere') });

  expect([text.code, json.code, repaired.code, clean.code]).toEqual([1, 1, 0, 0]);
  expect(text.stdout).toMatch(/^KEPT_TABLE_WRONG table facet_count: .* \[--repair fills the table again\]\n$/);
  expect(JSON.parse(json.stdout)).toMatchObject({ code: 'KEPT_TABLE_WRONG', canRepair: true, repaired: false });
  expect(repaired.stdout).toMatch(/\[repaired: fills the table again\]\n$/);
  expect([newer.code, newer.stderr]).toEqual([2, expect.stringContaining('newer version of Modelgraph')]);
  expect([damaged.code, damaged.stderr]).toEqual([2, expect.stringContaining('predictions.db is damaged')]);
  expect([unknown.code, unknown.stderr]).toEqual([2, expect.stringContaining('usage: npm run fsck')]);
  expect([none.code, none.stderr]).toEqual([2, expect.stringContaining('there is no catalog')]);
});
