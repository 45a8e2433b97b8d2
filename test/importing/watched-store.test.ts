/** Folders that are added or changed while the server runs, without a restart. */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFile, cp, mkdtemp, readdir, rename, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { pino } from 'pino';
import { ImportProgress } from '#src/importing/import-progress.js';
import { StoreWatcher } from '#src/importing/store-watcher.js';
import type { Data } from '../support/app.js';
import { armFault, disarmFault, goOn, hasFired } from '../support/faults.js';
import { encodeModel, identity } from '../support/onnx.js';
import { RestartableApp } from '../support/restartable-app.js';
import { until } from '../support/until.js';
import { EXPORTED_WRONGLY, type RefusedFolder } from './refused-folders.js';

let server: RestartableApp;
beforeEach(async () => {
  server = await RestartableApp.create();
});
afterEach(() => server.remove());

const GRAPH = encodeModel(identity('x', 'FP32', ['N', 2]));
const YAML = 'task: tensor';
const SPECIFIC =
  'task: tabular-regression\ncolumns: [{ name: a, type: number, example: 1 }, { name: b, type: number, example: 2 }]';

const MODEL = `query ($name: String!) { model(name: $name) { task versions { nodes { number state stateReason updatedAt } } } }`;

async function versionsOf(name: string): Promise<Data[]> {
  const { model } = await server.running.query(MODEL, { name });
  return model?.versions.nodes.sort((a: Data, b: Data) => a.number - b.number) ?? [];
}

async function stateOf(name: string): Promise<string> {
  return (await versionsOf(name)).map(({ number, state }) => `${number} ${state}`).join(', ');
}

const imports = async (): Promise<Data[]> =>
  (await server.running.query('{ imports { folder stage reason model { name } } }')).imports;

const isFinished = async (folder: string) =>
  (await imports()).some((one) => one.folder === folder && one.stage === 'FINISHED');

test('a folder that is copied into the store of a running server answers, and so does its next version', async () => {
  const { query } = await server.start();
  await server.store.write('added', { 'model.yaml': YAML, '1/model.onnx': GRAPH });
  await until('version 1 is READY', async () => (await stateOf('added')) === '1 READY');
  const predict = `mutation { predict(input: { model: "added", input: { tensors: [{ name: "x", datatype: "FP32", shape: [1, 2], data: [3, 4] }] } }) {
    prediction { output { ... on Tensors { tensors { data } } } } problem { message } } }`;

  const answered = await query(predict);
  await server.store.write('added', { '2/model.onnx': GRAPH });
  await until('version 2 is READY', async () => (await stateOf('added')) === '1 READY, 2 READY');

  expect(answered.predict).toEqual({ prediction: { output: { tensors: [{ data: [3, 4] }] } }, problem: null });
  expect(server.lines.filter(({ msg }) => msg === 'importing a folder of the model store')).not.toHaveLength(0);
});

test('a folder that is renamed into the store at once is imported, and the graph says so', async () => {
  await server.start();
  await server.store.write('.adding', { 'model.yaml': YAML, '1/model.onnx': GRAPH });

  await rename(path.join(server.store.folder, '.adding'), path.join(server.store.folder, 'whole.model'));
  await until('the import has ended', () => isFinished('whole.model'));

  expect(await imports()).toEqual([
    { folder: 'whole.model', stage: 'FINISHED', reason: null, model: { name: 'whole-model' } },
  ]);
  expect(await stateOf('whole-model')).toBe('1 READY');
});

test('a FAILED version is imported again when its folder is corrected, and a READY one never changes', async () => {
  await server.store.write('graph', { 'model.yaml': YAML, '1/model.onnx': Buffer.from('no graph') });
  await server.store.write('yaml', { 'model.yaml': 'task: [', '1/model.onnx': GRAPH });
  await server.store.write('right', { 'model.yaml': YAML, '1/model.onnx': GRAPH });
  await server.start();
  const before = [await stateOf('graph'), await stateOf('yaml')];
  const [published] = await versionsOf('right');

  await server.store.write('graph', { '1/model.onnx': GRAPH });
  await server.store.write('yaml', { 'model.yaml': YAML });
  await server.store.write('right', { '1/model.onnx': encodeModel(identity('z', 'FP32', ['N', 3])) });
  await until('both are READY', async () => (await stateOf('graph')) + (await stateOf('yaml')) === '1 READY1 READY');
  await until('the changed folder was read', () => isFinished('right'));
  await until('a warning is logged', () => server.lines.some(({ model, level }) => model === 'right' && level === 40));

  expect(before).toEqual(['1 FAILED', '1 FAILED']);
  expect(await versionsOf('right')).toEqual([published]);
});

test('a data file is noticed wherever a graph may name it, and refused elsewhere', async () => {
  const graph = (location: string) =>
    encodeModel({
      inputs: [{ name: 'x', type: 'FP32', shape: ['N', 4] }],
      outputs: [{ name: 'y', type: 'FP32', shape: ['N', 4] }],
      nodes: [{ op: 'Add', inputs: ['x', 'w'], outputs: ['y'] }],
      floats: [{ name: 'w', shape: [4], data: [1, 2, 3, 4], file: { location, offset: 0 } }],
    });
  const write = (name: string, location: string) =>
    server.store.write(name, {
      'model.yaml': 'task: tensor',
      '1/onnx/model.onnx': graph(location),
      [`1/onnx/${location}`]: Buffer.alloc(8),
    });
  await write('deep', 'a/b/w.data');
  await write('deeper', 'a/b/c/w.data');
  await write('hidden', '.w.data');
  await server.start();
  const before = await stateOf('deep');

  await server.store.write('deep', { '1/onnx/a/b/w.data': Buffer.alloc(16) });
  await until('the data file is complete', async () => (await stateOf('deep')) === '1 READY');

  expect(before).toBe('1 FAILED');
  const reasonsOf = async (name: string) => (await versionsOf(name)).map(({ stateReason }) => stateReason);
  expect(await reasonsOf('deeper')).toEqual(['w.data cannot be read: it is more than 3 folders deep']);
  expect(await reasonsOf('hidden')).toEqual(['.w.data cannot be read: it is hidden, or in a hidden folder']);
});

test('a folder that cannot be read, or not be stored, says why in the graph, and is no reason to restart', async () => {
  await server.start();
  await armFault('blob.write', 'ENOSPC');
  await server.store.write('full', { 'model.yaml': YAML, '1/model.onnx': GRAPH });
  await until('the first import has ended', () => isFinished('full'));
  await server.store.write('broken', { 'model.yaml': 'taks: tensor', '1/model.onnx': GRAPH });
  await until('the second import has ended', () => isFinished('broken'));
  const [broken, full] = await imports();

  await server.store.write('full', { 'README.md': '# Full' });
  await until('the folder is imported', async () => (await stateOf('full')) === '1 READY');

  expect(await disarmFault()).toBe(true);
  expect(full).toMatchObject({ folder: 'full', reason: 'the disk is full or cannot be written' });
  expect(broken).toMatchObject({
    folder: 'broken',
    reason: expect.stringMatching(/^model\.yaml: unknown key "taks"; did you mean task\?/),
  });
});

test('an import names the versions that failed, with their reasons, also when others are READY', async () => {
  const damaged = Buffer.from('no graph');
  await server.store.write('mixed', { 'model.yaml': YAML, '1/model.onnx': GRAPH, '2/model.onnx': damaged });
  await server.start();
  const [atStart] = await imports();

  for (const number of [3, 4, 5]) await server.store.write('mixed', { [`${number}/model.onnx`]: damaged });
  await until('version 5 is FAILED', async () => (await stateOf('mixed')).endsWith('5 FAILED'));
  await until('the import has ended', () => isFinished('mixed'));
  const [again] = await imports();

  const reason = String((await versionsOf('mixed'))[1]?.stateReason);
  expect(atStart).toMatchObject({ folder: 'mixed', stage: 'FINISHED', reason: `version 2 failed: ${reason}` });
  expect(again?.reason).toBe(`${[5, 4, 3].map((number) => `version ${number} failed: ${reason}`).join('; ')}; …`);
});

test('an import that fails for a reason outside of the folder has ended, and says that it is tried again', async () => {
  await server.start();
  await armFault('blob.write', 'EACCES');
  await server.store.write('unlucky', { 'model.yaml': YAML, '1/model.onnx': GRAPH });

  await until('the import has ended', () => isFinished('unlucky'));

  expect((await imports())[0]).toMatchObject({
    reason: expect.stringMatching(/^version 1: unexpected error: EACCES .*; the import is retried$/),
  });
});

test('a folder whose model name is taken says so, at the start and later', async () => {
  await server.store.write('same-name', { 'model.yaml': YAML, '1/model.onnx': GRAPH });
  await server.store.write('same.name', { 'model.yaml': YAML, '1/model.onnx': GRAPH });
  await server.start();
  const atStart = (await imports()).find(({ folder }) => folder === 'same.name');

  await server.store.write('same_name', { 'model.yaml': YAML, '1/model.onnx': GRAPH });
  await until('the import has ended', () => isFinished('same_name'));

  expect(atStart).toMatchObject({ stage: 'FINISHED', reason: sameName('same.name') });
  expect((await imports())[0]).toMatchObject({ reason: sameName('same_name') });
});

const sameName = (folder: string) =>
  `the folders "same-name" and "${folder}" have the same model name; only the first is imported`;

test('the second of two folders with the same model name is imported when the first is deleted', async () => {
  await server.store.write('same-name', { 'model.yaml': YAML, '1/model.onnx': Buffer.from('no graph') });
  await server.store.write('same.name', { 'model.yaml': YAML, '1/model.onnx': GRAPH });
  await server.start();
  const before = await stateOf('same-name');

  await rm(path.join(server.store.folder, 'same-name'), { recursive: true });
  await until('the second folder is imported', async () => (await stateOf('same-name')) === '1 READY');

  expect(before).toBe('1 FAILED');
});

test('a folder whose files keep changing says why it waits', async () => {
  await server.start();
  const log = path.join(server.store.folder, 'logging/train.log');
  await server.store.write('logging', { 'model.yaml': YAML, '1/model.onnx': GRAPH, 'train.log': '' });

  await until('there is a reason', async () => {
    await appendFile(log, 'step\n');
    return (await imports()).some(({ folder, reason }) => folder === 'logging' && reason !== null);
  });
  const [waiting] = await imports();
  await until('it is imported when it has settled', async () => (await stateOf('logging')) === '1 READY');

  expect(waiting).toMatchObject({
    stage: 'WAITING',
    reason: 'the files of the folder keep changing; it is imported when they have not changed for a second',
  });
});

test('the next folder is imported as soon as one is done, not when the store is looked at again', async () => {
  const names = Array.from({ length: 12 }, (_, i) => `folder-${i}`);
  const imported: string[] = [];
  const done = Promise.withResolvers<void>();
  const watcher = new StoreWatcher({
    store: server.store.folder,
    log: pino({ level: 'silent' }),
    progress: new ImportProgress(),
    importFolder: async (name) => {
      // The next look finds no folder.
      if (imported.push(name) === 1) await rename(server.store.folder, `${server.store.folder}-gone`);
      if (imported.length === names.length) done.resolve();
      return { mustRetry: false };
    },
  });
  await watcher.open();
  for (const name of names) await server.store.write(name, { 'model.yaml': YAML });
  watcher.start([]);

  await done.promise;
  await watcher.stop();
  await rename(`${server.store.folder}-gone`, server.store.folder);

  expect(imported.toSorted()).toEqual(names.toSorted());
});

test('a change among the recipes of optional models is no import', async () => {
  await server.start();
  await server.store.write('optional/large', { 'convert.py': 'print()' });
  await until('the change was seen', () => server.lines.some(({ folder }) => folder === 'optional'));
  await server.store.write('added', { 'model.yaml': YAML, '1/model.onnx': GRAPH });
  await until('the next import has ended', () => isFinished('added'));

  expect((await imports()).map(({ folder }) => folder)).toEqual(['added']);
});

test('a dataset that cannot be stored says why', async () => {
  await server.start({}, 'debug');
  // Its statements would fail instead.
  await until('the sweep has ended', () => server.lines.some(({ msg }) => msg === 'the sweeper has run'));
  await armFault('sqlite.write.query', 'SQLITE_FULL');
  await server.store.write('datasets/numbers', { 'dataset.yaml': 'title: Numbers\ntask: tensor' });

  await until('the import has ended', () => isFinished('datasets'));

  expect((await imports())[0]).toMatchObject({ reason: 'the disk is full or cannot be written' });
});

test('a dataset that is added is registered', async () => {
  await server.start();

  const files = { 'dataset.yaml': 'title: Numbers\ntask: tensor\nfile: data.jsonl', 'data.jsonl': '{"x":1}\n' };
  await server.store.write('datasets/numbers', files);

  await until('the dataset is registered', async () => {
    const { dataset } = await server.running.query('{ dataset(name: "numbers") { rowCount } }');
    return dataset?.rowCount === 1;
  });
});

// ── npm run models:check ──

interface Checked {
  readonly status: number;
  readonly out: string;
  readonly err: string;
}

/** Runs the command on a folder of its own. */
async function check(files: Parameters<typeof server.store.write>[1], ...options: string[]): Promise<Checked> {
  await server.store.write('my-model', files);
  return checkFolder('my-model', ...options);
}

function checkFolder(name: string, ...options: string[]): Promise<Checked> {
  const command = ['dist/check-model.js', path.join(server.store.folder, name), ...options];
  const env = { ...process.env, NODE_OPTIONS: '', EXECUTION_PROVIDERS: 'cpu' };
  const run = promisify(execFile)(process.execPath, command, { env });
  return run.then(
    ({ stdout: out, stderr: err }) => ({ status: 0, out, err }),
    ({ code, stdout: out, stderr: err }) => ({ status: code, out, err }),
  );
}

test('models:check reports as JSON what an import finds, without a server, and leaves nothing behind', async () => {
  const cases = [{ input: { row: { a: 1, b: 2 } }, expect: { value: 1 } }];
  const golden = JSON.stringify({ source: 'NumPy', tolerance: 1e-6, cases });
  const sum = encodeModel({
    inputs: [{ name: 'x', type: 'FP32', shape: ['N', 2] }],
    outputs: [{ name: 'y', type: 'FP32', shape: ['N', 1] }],
    nodes: [{ op: 'ReduceMin', inputs: ['x'], outputs: ['y'], attributes: [{ name: 'axes', ints: [1] }] }],
  });

  const { status, out, err } = await check(
    { 'model.yaml': SPECIFIC, '1/model.onnx': sum, '1/golden.json': golden, '2/model.onnx': Buffer.from('no') },
    '--json',
  );

  expect({ status, err }).toEqual({ status: 1, err: '' });
  expect(JSON.parse(out)).toMatchObject({
    model: 'my-model',
    task: 'TABULAR_REGRESSION',
    reason: null,
    versions: [
      {
        number: 1,
        state: 'READY',
        reason: null,
        verification: { cases: 1, source: 'NumPy' },
        maxBatch: 128,
        signature: { inputKind: 'ROW', columns: [{ name: 'a' }, { name: 'b' }] },
      },
      {
        number: 2,
        state: 'FAILED',
        reason: expect.stringMatching(/the file is not a complete ONNX file|has no graph/),
      },
    ],
  });
});

test('models:check prints text, and exits with 0 if the model can be published', async () => {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'modelgraph-checked-'));
  await cp('test/importing/goldens/data-files/mlp', path.join(folder, 'mlp'), { recursive: true });
  const env = { ...process.env, NODE_OPTIONS: '', EXECUTION_PROVIDERS: 'cpu' };

  const { stdout } = await promisify(execFile)(process.execPath, ['dist/check-model.js', path.join(folder, 'mlp')], {
    env,
  });
  await rm(folder, { recursive: true });

  expect(stdout).toMatch(/^mlp \(TENSOR\): mlp\nversion 1: READY\n {2}size: \d+ bytes, opset \d+, pytorch 2/);
  expect(stdout).toMatch(/ {2}data file: model\.onnx\.data, \d+ bytes\n/);
  expect(stdout).toMatch(/ {2}golden cases: .*torch 2/);
});

test('models:check prints the type of the answer, its targets, and that nothing was compared', async () => {
  const graph = encodeModel(identity('x', 'FP32', ['N', 2]));
  const targets = 'targets: [{ name: load, unit: kW }, heat]';

  const { out } = await check({ 'model.yaml': `${SPECIFIC}\n${targets}`, '1/model.onnx': graph });

  expect(out).toContain('\n  answer: Values of load (kW), heat\n');
  expect(out).toContain('\n  golden cases: none; add golden.json');
});

test('models:check prints a reason once', async () => {
  const unreadable = await check({ 'model.yaml': 'task: image-tagging' });
  const failed = await check({ 'model.yaml': YAML, '1/model.onnx': Buffer.from('no graph') });

  expect(unreadable.out.match(/image-tagging/g)).toHaveLength(1);
  expect(failed.out.split('\n').filter((line) => /ONNX file|no graph/.test(line))).toHaveLength(1);
});

test('models:check says how it is used, and why a folder cannot be read', async () => {
  const unreadable = await check({ 'model.yaml': 'taks: tensor' });
  const unknown = await check({}, '--jsno');

  expect(unreadable).toMatchObject({
    status: 1,
    out: expect.stringMatching(/cannot be imported: model\.yaml: .*taks/),
  });
  expect(unknown).toMatchObject({ status: 2, err: expect.stringMatching(/^usage: npm run models:check -- <folder/) });
});

test('models:check says that the disk is full', async () => {
  await armFault('blob.write', 'ENOSPC');

  const { status, out } = await check({ 'model.yaml': YAML, '1/model.onnx': GRAPH });

  expect(status).toBe(1);
  expect(out).toMatch(/cannot be imported: the disk is full or cannot be written/);
});

/** One of all that an import refuses, because each check starts processes. */
const REFUSED = EXPORTED_WRONGLY.slice(0, 1) as RefusedFolder[];

test.each(REFUSED)(
  'models:check refuses $name as the server does, as text and as JSON',
  async ({ name, files, reason }) => {
    await server.store.write(name, files);
    const checked = (...options: string[]) => checkFolder(name, ...options);

    const [text, json] = [await checked(), await checked('--json')];

    const report = JSON.parse(json.out);
    const said: string = report.reason ?? report.versions[0].reason;
    expect([text.status, json.status]).toEqual([1, 1]);
    if (typeof reason === 'string') expect(said).toContain(reason);
    else expect(said).toMatch(reason);
    expect(text.out).toContain(said);
  },
);

test('a published version whose settings of images change to their defaults stays as it is, and the import says so', async () => {
  await server.start();
  const graph = encodeModel({
    inputs: [{ name: 'x', type: 'FP32', shape: ['N', 3, 8, 8] }],
    outputs: [{ name: 'y', type: 'FP32', shape: ['N', 192] }],
    nodes: [{ op: 'Flatten', inputs: ['x'], outputs: ['y'] }],
  });
  const yaml = 'task: image-feature-extraction\noutput: { vector: y }\nimage: { color: rgb }';
  await server.store.write('pixels', { 'model.yaml': yaml, '1/model.onnx': graph });
  await until('version 1 is READY', async () => (await stateOf('pixels')) === '1 READY');
  const [before] = await versionsOf('pixels');

  await server.store.write('pixels', { 'model.yaml': yaml.replace('rgb', 'rgb, resample: bilinear, fit: fill') });
  await until('the change is noticed', async () =>
    (await imports()).some(({ folder, reason }) => folder === 'pixels' && reason !== null),
  );

  expect((await imports()).find(({ folder }) => folder === 'pixels')).toMatchObject({
    stage: 'FINISHED',
    reason:
      'the files of version 1, which is published and kept, differ from those that were imported: put the changed files into 2/',
  });
  expect(await versionsOf('pixels')).toEqual([before]);
});

test.each([
  ['SIGINT', 130],
  ['SIGTERM', 143],
] as const)('models:check that is ended by %s leaves nothing behind', async (signal, status) => {
  await server.store.write('my-model', { 'model.yaml': YAML, '1/model.onnx': GRAPH });
  await server.store.write('.tmp', { 'none.txt': '' });
  const temporary = path.join(server.store.folder, '.tmp');
  await armFault('worker.examined', 'pause');
  const child = spawn(process.execPath, ['dist/check-model.js', path.join(server.store.folder, 'my-model')], {
    env: { ...process.env, NODE_OPTIONS: '', EXECUTION_PROVIDERS: 'cpu', TMPDIR: temporary },
  });
  const exit = once(child, 'exit');
  await until('the probe is paused', hasFired);
  const during = await readdir(temporary);

  child.kill(signal);
  const [code] = await exit;
  await goOn();

  expect(during).toContainEqual(expect.stringMatching(/^modelgraph-check-/));
  expect(code).toBe(status);
  expect(await readdir(temporary)).toEqual(['none.txt']);
});
