/** Backups of a running server, and data folders that are made of them. */
import { appendFile, cp, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { backUp } from '#src/maintenance/backup.js';
import { checkFolder } from '#src/maintenance/check.js';
import { blobPath } from '#src/maintenance/manifest.js';
import { restore } from '#src/maintenance/restore.js';
import { NO_SETTINGS } from '#src/vault/master-keys.js';
import { STORE, startTestApp } from '../support/app.js';
import { runCommand } from '../support/command.js';
import { armFault, disarmFault } from '../support/faults.js';

/** Inputs of each client that become blobs: every test copies them. */
const MAX_LARGE = 10;

let folder: string;
let backup: string;
/** Of the predictions that were acknowledged before the backup began. */
const acknowledged: string[] = [];
let made: Awaited<ReturnType<typeof runCommand>>;

const PREDICT = `mutation ($text: String!) {
  predict(input: { model: "spam-filter", input: { text: $text } }) { prediction { id } } }`;

beforeAll(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'modelgraph-backup-'));
  backup = path.join(folder, 'backup');
  const app = await startTestApp();
  // As after a backup that was killed.
  await mkdir(path.join(folder, 'backup.partial/folder'), { recursive: true });
  await writeFile(path.join(folder, 'backup.partial/folder/catalog.db'), 'half');
  let isOver = false;
  const clients = [1, 2, 3].map(async (client) => {
    for (let i = 0; !isOver; i++) {
      const text = `${client} ${i} ${'x'.repeat(i % 2 === 0 && i < MAX_LARGE ? 20_000 : 20)}`;
      const { predict } = await app.query(PREDICT, { text });
      if (!made) acknowledged.push(predict.prediction.id);
    }
  });
  await Promise.all([1, 2, 3, 4].map((i) => app.query(PREDICT, { text: `${i} ${'y'.repeat(20_000)}` })));
  const before = acknowledged.slice();
  made = await runCommand('backup', [backup], { DATA_DIR: app.dataDir });
  acknowledged.splice(0, Infinity, ...before);
  isOver = true;
  await Promise.all(clients);
  await app.stop();
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const progress = () => {};
const restoreTo = (name: string, from = backup) => restore(from, path.join(folder, name), progress);
const restoreCommand = (from: string, to: string) => runCommand('restore', [from, path.join(folder, to)], {});

test('what was acknowledged before the backup began is in the folder that is restored, and a server starts with it', async () => {
  const { code, stdout, stderr } = await restoreCommand(backup, 'restored');
  const dataDir = path.join(folder, 'restored');
  const app = await startTestApp({ dataDir, modelStore: STORE });
  const { nodes } = await app.query('query ($ids: [ID!]!) { nodes(ids: $ids) { id } }', {
    ids: acknowledged.slice(-100),
  });
  await app.app.stop();

  expect([made.code, made.stderr]).toEqual([0, expect.not.stringContaining('missing')]);
  expect([code, stdout]).toEqual([0, expect.stringMatching(/\d+ files, \d+ bytes; the digest .*; 0 problems\n$/)]);
  expect(stderr).toContain('Before you start the server, copy keys.db and the master key');
  expect(nodes.every((node: object | null) => node !== null)).toBe(true);
  expect((await readdir(folder)).filter((name) => name.endsWith('.partial'))).toEqual([]);
});

test('a backup has the blobs that its databases refer to, and no others', async () => {
  const db = new DatabaseSync(path.join(backup, 'predictions.db'), { readOnly: true });
  const inputs = db
    .prepare('select distinct input_sha256 as digest from prediction where input_sha256 is not null')
    .all();
  db.close();
  const names = await readdir(path.join(backup, 'blobs/sha256'), { recursive: true, withFileTypes: true });
  const stored = names.filter((one) => one.isFile()).map((one) => path.basename(one.parentPath) + one.name);

  expect(inputs.length).toBeGreaterThan(3);
  expect(inputs.every(({ digest }) => stored.includes(String(digest)))).toBe(true);
  expect((await readFile(path.join(backup, 'manifest.jsonl'), 'utf8')).split('\n')).toHaveLength(stored.length + 5);
});

/** Changes a copy of the backup, which must then be refused, and leave nothing. */
const CHANGES: Readonly<Record<string, [change: (copy: string) => Promise<unknown>, message: string | RegExp]>> = {
  'a database that was changed': [
    (copy) => appendFile(path.join(copy, 'catalog.db'), 'x'),
    'catalog.db of the backup was changed',
  ],
  'a blob that is missing': [
    async (copy) => rm(path.join(copy, await firstBlob(copy))),
    /blobs\/sha256\/.* of the backup cannot be copied: ENOENT/,
  ],
  'a blob that was changed': [
    async (copy) => writeFile(path.join(copy, await firstBlob(copy)), 'another'),
    /blobs\/sha256\/.* was changed: it has 7 bytes/,
  ],
  'a blob that is a link': [
    async (copy) => {
      const blob = path.join(copy, await firstBlob(copy));
      await cp(blob, `${blob}.moved`);
      await rm(blob);
      await symlink(`${blob}.moved`, blob);
    },
    /cannot be copied: ELOOP/,
  ],
  'a manifest that was cut': [
    async (copy) => editManifest(copy, (lines) => lines.slice(0, -1)),
    'manifest.jsonl is not complete',
  ],
  'a manifest without one of its files': [
    async (copy) => editManifest(copy, (lines) => lines.toSpliced(1, 1)),
    'its last line does not fit the lines before it',
  ],
  'a path that leads out of the folder': [
    async (copy) => editManifest(copy, (lines) => lines.with(1, (lines[1] ?? '').replace('catalog.db', '../evil.db'))),
    'Line 2 of manifest.jsonl names "../evil.db", which is no file of a backup',
  ],
  'a newer format': [
    async (copy) => editManifest(copy, (lines) => lines.with(0, (lines[0] ?? '').replace('"format":1', '"format":2'))),
    'Line 1 of manifest.jsonl is not one of a backup: format',
  ],
  'no manifest': [(copy) => rm(path.join(copy, 'manifest.jsonl')), 'manifest.jsonl cannot be read'],
};

async function firstBlob(copy: string): Promise<string> {
  const manifest = await readFile(path.join(copy, 'manifest.jsonl'), 'utf8');
  return /"path":"(blobs[^"]+)"/.exec(manifest)?.[1] ?? '';
}

async function editManifest(copy: string, edit: (lines: string[]) => string[]): Promise<void> {
  const file = path.join(copy, 'manifest.jsonl');
  const lines = (await readFile(file, 'utf8')).trimEnd().split('\n');
  await writeFile(file, `${edit(lines).join('\n')}\n`);
}

test.each(Object.entries(CHANGES))('a backup with %s is refused', async (_, [change, message]) => {
  const copy = path.join(folder, 'changed');
  await cp(backup, copy, { recursive: true });
  await change(copy);
  const refused = restoreTo('refused', copy);

  await expect(refused).rejects.toThrow(message);
  await rm(copy, { recursive: true });
  expect((await readdir(folder)).filter((name) => /refused|evil/.test(name))).toEqual([]);
});

test.each([
  ['backup', 'backup.blobs', false],
  ['backup', 'backup.databases', false],
  ['backup', 'folder.filled', false],
  ['backup', 'folder.renamed', true],
  ['restore', 'restore.copied', false],
])('a %s that is killed at %s leaves nothing that looks whole, or all of it', async (command, point, isThere) => {
  const target = path.join(folder, 'killed');
  const isBackup = command === 'backup';
  await armFault(point, 'SIGKILL');
  const killed = isBackup
    ? await runCommand('backup', [target], { DATA_DIR: backup })
    : await restoreCommand(backup, 'killed');
  expect(await disarmFault()).toBe(true);
  const names = await readdir(folder);
  if (!isThere) await (isBackup ? backUp(backup, target, progress) : restoreTo('killed'));
  const problems = isBackup ? (await restoreTo('from-killed', target)).problems : await problemsOf(target);
  for (const name of ['killed', 'killed.partial', 'from-killed'])
    await rm(path.join(folder, name), { recursive: true, force: true });

  expect(killed.code).not.toBe(0);
  expect([names.includes('killed'), names.includes('killed.partial')]).toEqual([isThere, true]);
  expect(problems).toEqual([]);
});

async function problemsOf(dataDir: string): Promise<unknown[]> {
  const problems: unknown[] = [];
  for await (const problem of checkFolder(dataDir, { ...NO_SETTINGS, progress, isAlone: false }))
    problems.push(problem);
  return problems;
}

test('neither a backup nor a restored folder replaces files, and a backup is not made inside its data folder', async () => {
  const taken = path.join(folder, 'taken');
  await mkdir(taken);
  await writeFile(path.join(taken, 'note'), '');

  await symlink(taken, path.join(folder, 'linked.partial'));

  await expect(restoreTo('linked')).rejects.toThrow('linked.partial is a link, or belongs to another user');
  await expect(backUp(backup, taken, progress)).rejects.toThrow('taken exists and is not an empty folder');
  await expect(restoreTo('taken')).rejects.toThrow('taken exists and is not an empty folder');
  await expect(backUp(backup, path.join(backup, 'copy'), progress)).rejects.toThrow('is in the data folder');
  await expect(backUp(folder, path.join(folder, 'copy'), progress)).rejects.toThrow('there is no catalog');
});

test('a backup of a folder that lacks a blob is made, and tells what is missing', async () => {
  const dataDir = path.join(folder, 'lacking');
  await cp(process.env['MODELGRAPH_TEMPLATE'] as string, dataDir, { recursive: true });
  const db = new DatabaseSync(path.join(dataDir, 'catalog.db'), { readOnly: true });
  const digest = String(db.prepare('select artifact_sha256 as digest from version limit 1').get()?.['digest']);
  db.close();
  await rm(path.join(dataDir, blobPath(digest)));

  const target = path.join(folder, 'lacking-backup');
  const { code, stderr } = await runCommand('backup', [target], { DATA_DIR: dataDir });
  const { missing, problems } = await restoreTo('lacking-restored', target);

  expect([code, stderr]).toEqual([
    1,
    expect.stringMatching(`the data folder lacks the blob ${digest} of version \\S+\n`),
  ]);
  expect([missing, problems]).toEqual([1, [expect.objectContaining({ code: 'BLOB_MISSING' })]]);
});

test.each([
  ['backup', 0, 'usage: npm run backup'],
  ['restore', 1, 'usage: npm run restore'],
])('%s with %i arguments says what it expects', async (command, count, usage) => {
  expect(await runCommand(command, Array(count).fill('x'), {})).toMatchObject({
    code: 2,
    stderr: expect.stringContaining(usage),
  });
});
