/** Folders that would end the server, or keep it busy: each fails alone, and says why. */
import { readFile, rm, symlink, truncate, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import { ManifestError } from '#src/errors.js';
import { findVersionFolders, readContents } from '#src/importing/version-files.js';
import type { Data } from '../support/app.js';
import { armFault, goOn, hasFired } from '../support/faults.js';
import { writeManyFolders } from '../support/many-folders.js';
import { encodeModel, type Initializer, identity } from '../support/onnx.js';
import { RestartableApp } from '../support/restartable-app.js';
import { until } from '../support/until.js';

let server: RestartableApp;
beforeEach(async () => {
  server = await RestartableApp.create();
});
afterEach(() => server.remove());

const GRAPH = encodeModel(identity('x', 'FP32', ['N', 2]));
const YAML = 'task: tensor';
const DEEP = `${'['.repeat(20_000)}${']'.repeat(20_000)}`;
const KB = 2 ** 10;
const MB = 2 ** 20;
const TB = 2 ** 40;

const at = (...names: string[]) => path.join(server.store.folder, ...names);

async function reasons(): Promise<Record<string, string | null>> {
  const { models } = await server.running.query(
    '{ models(first: 100) { nodes { name versions { nodes { state stateReason } } } } }',
  );
  return Object.fromEntries(
    models.nodes.map(({ name, versions }: Data) => [name, versions.nodes[0]?.stateReason ?? versions.nodes[0]?.state]),
  );
}

const reasonOf = async (folder: string): Promise<string | null | undefined> => {
  const { imports } = await server.running.query('{ imports { folder stage reason } }');
  return imports.find((one: Data) => one.folder === folder && one.stage === 'FINISHED')?.reason;
};

const tooDeep = (file: string) => `${file} is nested more than 100 levels deep: correct the file, or remove it`;

test('files that are nested deeply fail their own models only', async () => {
  const tokenizer = { 'tokenizer.json': '{}' };
  const files: Record<string, Record<string, string>> = {
    'config.json': {},
    'preprocessor_config.json': {},
    'tokenizer.json': {},
    'tokenizer_config.json': tokenizer,
    'golden.json': {},
    'modules.json': {},
  };
  const folders = Object.entries(files).map(([file, more]) => ({ name: file.replace(/[._]/g, '-'), file, more }));
  for (const { name, file, more } of folders)
    await server.store.write(name, {
      'model.yaml': YAML,
      '1/model.onnx': GRAPH,
      [`1/${file}`]: `{"deep":${DEEP}}`,
      ...more,
    });
  await server.store.write('modules-json', { '1/modules.json': DEEP });
  const yaml = `${YAML}\nexample: { deep: ${'['.repeat(200)}${']'.repeat(200)} }`;
  await server.store.write('yaml', { 'model.yaml': yaml, '1/model.onnx': GRAPH });
  const map = { 'special_tokens_map.json': `{"mask_token":{"content":"x","deep":${DEEP}}}`, 'tokenizer.json': '{}' };
  await server.store.write('lenient', { 'model.yaml': YAML, '1/model.onnx': GRAPH, ...map });
  await server.store.write('good', { 'model.yaml': YAML, '1/model.onnx': GRAPH });
  const row = { 'dataset.yaml': 'title: Deep\ntask: tensor\nfile: data.jsonl', 'data.jsonl': `{"deep":${DEEP}}\n` };
  await server.store.write('datasets/deep', row);

  await server.start();
  const { good, lenient, yaml: ofYaml, ...found } = await reasons();

  expect(found).toEqual(Object.fromEntries(folders.map(({ name, file }) => [name, tooDeep(file)])));
  expect({ good, ofYaml }).toEqual({ good: 'READY', ofYaml: tooDeep('model.yaml') });
  expect(lenient).toEqual(expect.any(String));
  expect(server.lines.find(({ dataset }) => dataset === 'deep')?.reason).toMatch(
    /line 1, column deep: the value is nested too deeply/,
  );
});

test('files that are too large fail their own models only, at the start and later', async () => {
  for (const file of ['golden.json', 'config.json']) {
    const name = file.replace('.', '-');
    await server.store.write(name, { 'model.yaml': YAML, '1/model.onnx': GRAPH, [`1/${file}`]: '{}' });
    await truncate(at(name, '1', file), 300 * MB);
  }
  await server.store.write('graph', { 'model.yaml': YAML, '1/model.onnx': GRAPH });
  await truncate(at('graph/1/model.onnx'), TB);
  await server.store.write('long-yaml', { 'model.yaml': `# ${'x'.repeat(512 * KB)}`, '1/model.onnx': GRAPH });
  const matter = `---\n# ${'x'.repeat(512 * KB)}\n---\n`;
  await server.store.write('long-matter', { 'README.md': matter, 'model.yaml': YAML, '1/model.onnx': GRAPH });
  await server.store.write('datasets/sparse', {
    'dataset.yaml': 'title: Sparse\ntask: tensor\nfile: data.jsonl',
    'data.jsonl': '{}\n',
  });
  await truncate(at('datasets/sparse/data.jsonl'), TB);

  await server.start();
  await server.store.write('later', { 'model.yaml': YAML, '1/model.onnx': GRAPH, 'README.md': '#' });
  await truncate(at('later/README.md'), 300 * MB);
  await until('the import has ended', async () => (await reasonOf('later')) !== undefined);

  const tooLarge = (file: string, limit: number, bytes = 300 * MB) =>
    `${file} cannot be read: it has ${bytes} bytes, and a file of this name can have at most ${limit}`;
  expect(await reasons()).toEqual({
    'golden-json': tooLarge('golden.json', 64 * MB),
    'config-json': tooLarge('config.json', 16 * MB),
    graph: expect.stringMatching(/^model\.onnx has 1099511627776 bytes, and an ONNX file can have at most 2147483647/),
    'long-yaml': tooLarge('model.yaml', 512 * KB, 512 * KB + 2),
    'long-matter': `README.md has ${512 * KB + 2} characters of YAML; at most ${512 * KB} are supported`,
    later: tooLarge('README.md', MB),
  });
  expect(await reasonOf('later')).toBe(tooLarge('README.md', MB));
  expect(server.lines.find(({ dataset }) => dataset === 'sparse')?.reason).toMatch(
    /^data\.jsonl has 1\d+ bytes; a dataset can have at most 1073741824/,
  );
});

test('a file of many values fails its own model, and the reason is short', async () => {
  const many = (begin: string, value: string, count: number, end: string) =>
    begin + `${value},`.repeat(count - 1) + value + end;
  const golden = (value: string, count: number) => many('{"source":"x","tolerance":1,"cases":[', value, count, ']}');
  const tokenizer = (count: number) => many('{"model":{"vocab":{}},"added_tokens":[', '0', count, ']}');
  const files: Record<string, Record<string, string>> = {
    'golden-values': { '1/golden.json': golden('0', 30_000_000) },
    'golden-cases': { '1/golden.json': golden('{}', 20_000) },
    'golden-faults': { '1/golden.json': golden('{}', 9_000) },
    'golden-numbers': {
      '1/golden.json': golden(`{"input":{},"expect":{"vector":${many('[', '"x"', 1_000_000, ']')}}}`, 1),
    },
    'golden-tensors': {
      '1/golden.json': golden(`{"input":{},"expect":{"tensors":{"y":${many('[', '{}', 1_000_000, ']')}}}}`, 1),
    },
    'config-values': { 'config.json': many('{"architectures":[', '0', 7_000_000, ']}') },
    'config-faults': { 'config.json': many('{"architectures":[', '0', 400_000, ']}') },
    'tokenizer-values': { 'tokenizer.json': tokenizer(30_000_000) },
    flow: { 'model.yaml': many('labels: [', '{}', 80_000, ']') },
    keys: { 'model.yaml': Array.from({ length: 20_000 }, (_, i) => `k${i}: 1`).join('\n') },
    aliases: {
      'model.yaml': `${YAML}\nlabels: &a ${many('[', 'a', 10_000, ']')}\nexample: { x: ${many('[', '*a', 50, ']')} }`,
    },
    repeated: { 'model.yaml': `${YAML}\nmaxBatch: 1\nmaxBatch: 2` },
  };
  for (const [name, more] of Object.entries(files))
    await server.store.write(name, { 'model.yaml': YAML, '1/model.onnx': GRAPH, ...more });
  await server.store.write('tokens', {
    'model.yaml': YAML,
    '1/model.onnx': GRAPH,
    'tokenizer.json': tokenizer(3_000_000),
  });

  await server.start();
  const { tokens, ...found } = await reasons();

  expect(tokens).toBe('READY');
  const tooMany = (file: string, limit: number) =>
    `${file} cannot be read: it has more than ${limit} values and keys, the most that a file of this name can have`;
  expect(found).toEqual({
    'golden-values': tooMany('golden.json', 2_000_000),
    'golden-cases': 'golden.json: cases: Too big: expected array to have <=10000 items',
    'golden-faults': expect.stringMatching(/^golden\.json: cases\.0\.input: .*cases\.9\.expect: [^;]*$/),
    'golden-numbers': expect.stringMatching(/^golden\.json: cases\.0\.expect\.vector\.0: .*vector\.19: [^;]*$/),
    'golden-tensors': expect.stringMatching(/^golden\.json: cases\.0\.expect\.tensors\.y\.0: .*y\.19: [^;]*$/),
    'config-values': tooMany('config.json', 500_000),
    'config-faults': expect.stringMatching(/^config\.json: architectures\.0: .*architectures\.19: [^;]*$/),
    'tokenizer-values': tooMany('tokenizer.json', 4_000_000),
    flow: expect.stringMatching(/^model\.yaml: labels\.0: is \{\}, but .*labels\.19: [^;]*$/),
    keys: expect.stringMatching(/^model\.yaml: unknown key "k0"/),
    aliases: 'model.yaml has more than 200000 values, with those that its aliases repeat',
    repeated: 'model.yaml is not valid YAML: the key "maxBatch" occurs twice, again in line 3',
  });
  expect(Math.max(...Object.values(found).map((reason) => reason?.length ?? 0))).toBeLessThanOrEqual(4_001);
});

test('a reason ends between characters', () => {
  const { message } = new ManifestError(`${'x'.repeat(3_999)}😀${'y'.repeat(100)}`);

  expect(message).toBe(`${'x'.repeat(3_999)}…`);
});

test('a folder that is deleted while the server starts is not listed, and the others are imported', async () => {
  await writeManyFolders(server.store.folder, 12);
  await armFault('worker.examined', 'pause');
  const starting = server.start();
  await until('a probe is paused', hasFired);
  await rm(at('tiny-0011'), { recursive: true });
  await goOn();
  await starting;

  expect(Object.keys(await reasons())).toHaveLength(11);
});

test('links out of a folder are not followed, whatever the file is for, and links within it are', async () => {
  await server.store.write('.outside', { 'README.md': '# Secret', 'golden.json': '{}', 'data.jsonl': '{"x":1}\n' });
  const dataset = (file: string) => ({ 'dataset.yaml': `title: Linked\ntask: tensor\nfile: ${file}` });
  for (const name of ['card', 'golden', 'graph', 'inside'])
    await server.store.write(name, { 'model.yaml': YAML, '1/model.onnx': GRAPH });
  await server.store.write('.outside', { 'model.onnx': GRAPH });
  await server.store.write('inside', { '1/..card.md': '# Inside' });
  await rm(at('graph/1/model.onnx'));
  await symlink(at('.outside/README.md'), at('card/README.md'));
  await symlink('../../.outside/golden.json', at('golden/1/golden.json'));
  await symlink('../../.outside/model.onnx', at('graph/1/model.onnx'));
  await symlink('1/..card.md', at('inside/README.md'));
  await server.store.write('datasets/linked', dataset('data.jsonl'));
  await symlink('../../.outside/data.jsonl', at('datasets/linked/data.jsonl'));
  await server.store.write('datasets/above', dataset('../../.outside/data.jsonl'));

  await server.start();

  const outside = (file: string) =>
    `${file} cannot be read: it is a link to a file outside of the folder; copy the file itself (of a repository in the cache of the Hugging Face Hub: hf download <repository> --local-dir <folder>)`;
  expect(await reasons()).toMatchObject({
    card: outside('README.md'),
    golden: outside('golden.json'),
    graph: outside('model.onnx'),
    inside: 'READY',
  });
  const { datasets, model } = await server.running.query(
    '{ datasets { nodes { name } } model(name: "inside") { title } }',
  );
  expect(datasets.nodes).toEqual([]);
  expect(model.title).toBe('Inside');
  const logged = server.lines.filter(({ dataset }) => dataset !== undefined).map(({ reason }) => reason);
  expect(logged).toEqual([outside('data.jsonl'), outside('data.jsonl')]);
});

test('a sparse graph, and a graph under many names, are refused unread', async () => {
  await server.store.write('sparse', { 'model.yaml': YAML, '1/model.onnx': GRAPH });
  await truncate(at('sparse/1/model.onnx'), 0);
  await truncate(at('sparse/1/model.onnx'), 2 ** 31 - 1);
  await server.store.write('names', { 'model.yaml': YAML, '1/model.onnx': GRAPH });
  for (let i = 0; i < 21; i++) await symlink('model.onnx', at(`names/1/model_v${i}.onnx`));
  await server.start();
  const before = await bytesRead();
  const reading = [await findVersionFolders(at('sparse')), await findVersionFolders(at('names'))].flat();
  await Promise.all(reading.map((version) => readContents(version).catch(() => null)));
  const read = (await bytesRead()) - before;

  expect(await reasons()).toEqual({
    sparse: 'model.onnx cannot be read: there is no graph in it; copy the file again, or export the model again',
    names: 'there are 22 graphs, and a version can have at most 21: remove variants, or put them into other models',
  });
  expect(read).toBeLessThan(MB);
});

test('a graph is read once, however many variants are links to it', async () => {
  const large: Initializer = { name: 'large', shape: [MB], data: new Float32Array(MB) };
  await server.store.write('links', {
    '1/model.onnx': encodeModel({ ...identity('x', 'FP32', ['N', 2]), floats: [large] }),
  });
  for (let i = 0; i < 20; i++) await symlink('model.onnx', at(`links/1/model_v${i}.onnx`));
  const [version] = await findVersionFolders(at('links'));
  const before = await bytesRead();
  const contents = version && (await readContents(version));
  const read = (await bytesRead()) - before;

  expect(contents?.graphs).toHaveLength(21);
  expect(read).toBeLessThan(2 * 4 * MB);
});

test('a dataset that unpacks to too many bytes or rows is refused, and the server starts', async () => {
  const dataset = { 'dataset.yaml': 'title: Large\ntask: tensor\nfile: data.jsonl.gz' };
  const rows = gzipSync('{"a":1}\n'.repeat(100));
  const lines = gzipSync(Buffer.alloc(4_000_000, '\n'));
  const text = gzipSync(Buffer.concat([Buffer.alloc(8 * MB - 1, ' '), Buffer.from('\n')]));
  const bytes = Buffer.concat([rows, ...Array.from({ length: 128 }, () => text)]);
  await server.store.write('datasets/lines', { ...dataset, 'data.jsonl.gz': Buffer.concat([rows, lines]) });
  await server.store.write('datasets/bytes', { ...dataset, 'data.jsonl.gz': bytes });

  await server.start();
  const logged = new Map(server.lines.map(({ dataset, reason }) => [dataset, reason]));

  expect(logged.get('lines')).toBe('data.jsonl.gz, line 4000001: there are too many lines; expected at most 4000000');
  expect(logged.get('bytes')).toMatch(
    /^data\.jsonl\.gz, the dataset is too large; expected at most 1073741824 bytes, unpacked/,
  );
});

// ── data files ──

const W: Initializer = { name: 'w', shape: [4], data: [1, 2, 3, 4], file: { location: 'w.data', offset: 0 } };
const OTHER_DATA = Buffer.from(Float32Array.of(4, 3, 2, 1).buffer);
const DATA = Buffer.from(Float32Array.of(1, 2, 3, 4).buffer);
const EXAMPLE = 'task: tensor\nexample: { tensors: [{ name: x, datatype: FP32, shape: [1, 4], data: [1, 1, 1, 1] }] }';

/** y = x + w0 + w1 … */
function adding(...weights: Initializer[]): Buffer {
  return encodeModel({
    inputs: [{ name: 'x', type: 'FP32', shape: ['N', 4] }],
    outputs: [{ name: 'y', type: 'FP32', shape: ['N', 4] }],
    nodes: weights.map(({ name }, i) => ({
      op: 'Add',
      inputs: [i === 0 ? 'x' : `y${i - 1}`, name],
      outputs: [i === weights.length - 1 ? 'y' : `y${i}`],
    })),
    floats: weights,
  });
}

test('data files that are far larger than their tensors, or than the memory, are refused unread', async () => {
  for (const name of ['a', 'b', 'c', 'd']) {
    await server.store.write(name, { 'model.yaml': EXAMPLE, '1/model.onnx': adding(W), '1/w.data': DATA });
    await truncate(at(name, '1/w.data'), TB);
  }
  const claimed: Initializer = { ...W, file: { location: 'w.data', offset: 0, length: 2 ** 42 } };
  await server.store.write('claimed', { 'model.yaml': EXAMPLE, '1/model.onnx': adding(claimed), '1/w.data': DATA });
  await truncate(at('claimed/1/w.data'), 2 ** 42);
  await server.store.write('good', { 'model.yaml': EXAMPLE, '1/model.onnx': adding(W), '1/w.data': DATA });

  await server.start();
  const { good, claimed: ofMemory, ...sparse } = await reasons();

  expect(good).toBe('READY');
  expect(ofMemory).toMatch(
    /^the data files of model\.onnx have 4398046511104 bytes, and this machine has a memory of \d+/,
  );
  expect(new Set(Object.values(sparse))).toEqual(
    new Set([
      'the data files of model.onnx have 1099511627776 bytes, of which its tensors use 16: export it with data files of its own',
    ]),
  );
});

test('a data file is read once, however many names and graphs refer to it', async () => {
  const size = 4 * MB;
  const names = Array.from({ length: 50 }, (_, i) => `${'./'.repeat(i)}w.data`);
  const weights = names.map((location, i): Initializer => ({ ...W, name: `w${i}`, file: { location, offset: 0 } }));
  const graph = adding(...weights);
  await server.store.write('many', {
    'model.yaml': EXAMPLE,
    '1/model.onnx': graph,
    '1/model_fp16.onnx': graph,
    '1/w.data': Buffer.concat([DATA, Buffer.alloc(size)]),
  });
  const [version] = await findVersionFolders(at('many'));
  const before = await bytesRead();
  if (version) await readContents(version);
  const read = (await bytesRead()) - before;

  await server.start();

  expect(await reasons()).toEqual({ many: 'READY' });
  const { version: stored } = await server.running.query('{ version(ref: "many") { artifact { sizeBytes } } }');
  expect(stored.artifact.sizeBytes).toBe(graph.length + DATA.length + size);
  expect(read).toBeGreaterThan(size);
  expect(read).toBeLessThan(3 * size);
});

/** By this process. */
async function bytesRead(): Promise<number> {
  return Number(/rchar: (\d+)/.exec(await readFile('/proc/self/io', 'utf8'))?.[1]);
}

test('a file that differs while it is copied, and is then as before, fails no version for good', async () => {
  const changing = adding({ ...W, file: { location: 'b.data', offset: 0 } });
  await server.start();
  await armFault('worker.examined', 'pause');
  await server.store.write('changed', {
    'model.yaml': EXAMPLE,
    '1/model.onnx': adding(W),
    '1/w.data': DATA,
    '1/model_b.onnx': changing,
    '1/b.data': OTHER_DATA,
  });
  await until('the first graph is probed', hasFired);
  await writeFile(at('changed/1/b.data'), Buffer.alloc(DATA.length));
  await goOn();
  await until('the version has failed', async () => (await reasons())['changed'] !== undefined);
  const failed = (await reasons())['changed'];

  await writeFile(at('changed/1/b.data'), OTHER_DATA);
  await until('the version is READY', async () => (await reasons())['changed'] === 'READY');

  expect(failed).toBe('b.data was changed while it was being read; the import is retried');
  const { version } = await server.running.query('{ version(ref: "changed") { variants { name reason } } }');
  expect(version.variants).toEqual([{ name: 'b', reason: null }]);
});
