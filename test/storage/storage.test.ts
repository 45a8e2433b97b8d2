/** Acknowledged writes are on the disk, each transaction completely or not at all. */
import { mkdtemp, readdir, rm, utimes, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { BlobFolder } from '#src/storage/blobs.js';
import { type Databases, openDatabases } from '#src/storage/database.js';
import { GroupCommit } from '#src/storage/group-commit.js';

let folder: string;
let databases: Databases;
beforeEach(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'modelgraph-storage-'));
  databases = await openDatabases(folder);
});
afterEach(async () => {
  await databases.close();
  await rm(folder, { recursive: true, force: true });
});

const INSERT =
  'insert into idempotency (principal_id, key, prediction_id, request_sha256, created_at) values (?, ?, ?, ?, ?)';
const row = (key: string) => ({ sql: INSERT, row: ['p', key, 'id', 'digest', 1] });

async function keys(): Promise<string[]> {
  const rows = await databases.predictionDb.selectFrom('idempotency').select('key').orderBy('key').execute();
  return rows.map(({ key }) => key);
}

test('many appends share one commit', async () => {
  const commits = new GroupCommit(databases.predictionsFile);
  const before = databases.predictionsFile.statementCount;

  await Promise.all(Array.from({ length: 100 }, (_, i) => commits.append([row(`k${i}`)])));

  expect(await keys()).toHaveLength(100);
  expect(databases.predictionsFile.statementCount - before).toBeLessThanOrEqual(3);
});

test('a commit has at most 512 rows, unless one append has more', async () => {
  const commits = new GroupCommit(databases.predictionsFile);
  const before = databases.predictionsFile.statementCount;
  const rows = (name: string, count: number) => Array.from({ length: count }, (_, i) => row(`${name}${i}`));

  await Promise.all([commits.append(rows('a', 300)), commits.append(rows('b', 212)), commits.append(rows('c', 1))]);
  expect(databases.predictionsFile.statementCount - before).toBe(2);
  await commits.append(rows('d', 600));

  expect(databases.predictionsFile.statementCount - before).toBe(3);
  expect(await keys()).toHaveLength(1_113);
});

test('a commit that fails writes nothing, and the next one succeeds', async () => {
  const commits = new GroupCommit(databases.predictionsFile);

  await expect(commits.append([row('a'), row('a')])).rejects.toMatchObject({ code: 'ERR_SQLITE_ERROR' });
  await commits.append([row('b')]);

  expect(await keys()).toEqual(['b']);
});

test('a request that cannot be cloned is rejected alone, and the others receive their own rows', async () => {
  const read = (value: unknown) => databases.catalogFile.read('select ? as x', [value]);
  const ask = (value: unknown) =>
    read(value).then(
      ({ rows }) => rows[0]?.['x'],
      ({ name }: Error) => name,
    );

  expect(await Promise.all([ask(1), ask(() => 0), ask(2), ask(() => 0), ask(3)])).toEqual([
    1,
    'DataCloneError',
    2,
    'DataCloneError',
    3,
  ]);
});

test('values that JSON cannot hold, and long texts, leave a reader unchanged', async () => {
  const long = 'x"\u0000'.repeat(1_000);
  const { rows } = await databases.catalogFile.read(
    "select 1 as number, 0.5 as fraction, null as missing, '\u2028é😀' as text union all select 9e999, -9e999, x'00ff', ?",
    [long],
  );

  expect(rows).toEqual([
    { number: 1, fraction: 0.5, missing: null, text: '\u2028é😀' },
    { number: Infinity, fraction: -Infinity, missing: Uint8Array.of(0, 255), text: long },
  ]);
});

test('a transaction that throws writes nothing, and other writers wait for its end', async () => {
  const insert = (key: string) => ({ principal_id: 'p', key, prediction_id: 'i', request_sha256: 'd', created_at: 1 });
  const failed = databases.predictionDb.transaction().execute(async (trx) => {
    await trx.insertInto('idempotency').values(insert('lost')).execute();
    throw new Error('changed my mind');
  });
  const other = databases.predictionDb.insertInto('idempotency').values(insert('kept')).execute();

  await expect(failed).rejects.toThrow('changed my mind');
  await other;

  expect(await keys()).toEqual(['kept']);
});

test('reopening migrates nothing and loses nothing', async () => {
  await new GroupCommit(databases.predictionsFile).append([row('a')]);
  await databases.close();

  databases = await openDatabases(folder);

  expect(await keys()).toEqual(['a']);
});

test('every connection has synchronous=FULL', async () => {
  const { rows } = await databases.predictionsFile.read('pragma synchronous', []);

  expect(rows).toEqual([{ synchronous: 2 }]);
});

test('a blob is stored once under its digest, completely', async () => {
  const blobs = new BlobFolder(path.join(folder, 'blobs'));
  await blobs.open();

  const [first, second] = await Promise.all([blobs.put('hello'), blobs.put('hello')]);

  expect(first).toBe('2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824');
  expect(second).toBe(first);
  expect((await blobs.get(first)).toString()).toBe('hello');
  expect(await readdir(path.dirname(blobs.pathOf(first)))).toHaveLength(1);
});

test('only a digest becomes a path', () => {
  const blobs = new BlobFolder(folder);

  expect(() => blobs.pathOf('../../etc/passwd')).toThrow('not a SHA-256 digest');
});

test('an unused blob is kept while it is young, and deleted when it is old', async () => {
  const blobs = new BlobFolder(path.join(folder, 'blobs'));
  await blobs.open();
  const digest = await blobs.put('hello');
  await utimes(blobs.pathOf(digest), 1, 1);

  await blobs.deleteUnused(digest, 500);
  await expect(blobs.get(digest)).resolves.toBeDefined();
  await blobs.deleteUnused(digest, 2_000);

  await expect(blobs.get(digest)).rejects.toThrow('ENOENT');
});

test('a damaged database file is reported and not overwritten', async () => {
  const other = await mkdtemp(path.join(os.tmpdir(), 'modelgraph-damaged-'));
  await writeFile(path.join(other, 'catalog.db'), 'this is no database, but somebody may miss it'.repeat(100));

  await expect(openDatabases(other)).rejects.toThrow(/not a database/);

  await rm(other, { recursive: true, force: true });
});
