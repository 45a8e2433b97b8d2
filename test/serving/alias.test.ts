/** Setting aliases: what they name, and that a version is warm before predictions through the alias reach it. */
import { rm } from 'node:fs/promises';
import path from 'node:path';
import { BlobFolder } from '#src/storage/blobs.js';
import { type Data, startTestApp, type TestApp } from '../support/app.js';
import { armFault, disarmFault, goOn, hasFired } from '../support/faults.js';
import { createStore, type TestStore } from '../support/model-store.js';
import { encodeModel, heavyModel, identity } from '../support/onnx.js';
import { until } from '../support/until.js';
import { readyWorkers } from '../support/workers.js';

const SET_ALIAS = `mutation ($input: SetAliasInput!) { setAlias(input: $input) {
  alias { name aliasedVersion { ref aliasNames serving { servingState } } }
  problem { code message ... on NotFound { didYouMean } ... on InvalidInput { problems { path code } } } } }`;
const PREDICT = `mutation ($input: PredictInput!) { predict(input: $input) {
  prediction { predictedBy { ref } } problem { code message } } }`;
const EXAMPLE = { tensors: [{ name: 'index', datatype: 'INT64', shape: [1], data: [0] }] };
const YAML = `example: ${JSON.stringify(EXAMPLE)}\nmaxBatch: 1`;

let store: TestStore;
let app: TestApp;
beforeAll(async () => {
  store = await createStore();
  // Each version has another graph, so that each has a blob of its own.
  for (let number = 1; number <= 5; number++)
    await store.write('m', { [`${number}/model.onnx`]: heavyModel(number, 100) });
  for (const variant of ['', '_int8'])
    for (const number of [1, 2])
      await store.write('forms', { [`${number}/model${variant}.onnx`]: heavyModel(10 * number + variant.length, 100) });
  await store.write('other', { '1/model.onnx': encodeModel(identity('index', 'INT64', ['N'])) });
  // One input at a time, so that a hundred of them are a queue that is worth another copy.
  for (const model of ['m', 'forms', 'other']) await store.write(model, { 'model.yaml': YAML });
  app = await startTestApp({ modelStore: store.folder, workers: 2 });
});
afterEach(() => disarmFault());
afterAll(async () => {
  await app.stop();
  await store.remove();
});

async function setAlias(model: string, alias: string, version: string): Promise<Data> {
  return (await app.query(SET_ALIAS, { input: { model, alias, version } })).setAlias;
}

/** The version that answered, or the problem. */
async function answeredBy(model: string, variant: string | null = null): Promise<string | Data> {
  const input = { model, variant, input: EXAMPLE, record: false };
  const { prediction, problem } = (await app.query(PREDICT, { input })).predict;
  return problem ?? prediction.predictedBy.ref;
}

async function unload(version: string): Promise<void> {
  await app.query('mutation ($version: VersionRef!) { unload(version: $version) { problem { code } } }', { version });
}

async function servingStateOf(ref: string): Promise<string> {
  const query = 'query ($ref: VersionRef!) { version(ref: $ref) { serving { servingState } } }';
  return (await app.query(query, { ref })).version.serving.servingState;
}

test('the alias champion marks the default version, and can be moved', async () => {
  await setAlias('other', 'champion', 'other:1');
  await setAlias('m', 'champion', 'm:2');
  expect(await answeredBy('m')).toBe('m:2');

  const { alias, problem } = await setAlias('m', 'champion', 'm:4');

  expect(problem).toBeNull();
  expect(alias).toMatchObject({ name: 'champion', aliasedVersion: { ref: 'm:4', aliasNames: ['champion'] } });
  expect(await answeredBy('m')).toBe('m:4');
});

test('an alias can only point to a version of its own model', async () => {
  expect((await setAlias('m', 'champion', 'other:1')).problem.problems).toEqual([
    { path: ['input', 'version'], code: 'UNKNOWN_NAME' },
  ]);
  expect((await setAlias('m', '1st', 'm:1')).problem.problems).toEqual([
    { path: ['input', 'alias'], code: 'UNREADABLE' },
  ]);
  expect((await setAlias('othe', 'champion', 'm:1')).problem).toMatchObject({
    code: 'NOT_FOUND',
    didYouMean: ['other'],
  });
  expect((await setAlias('m', 'champion', 'm:9')).problem.code).toBe('NOT_FOUND');
});

test('a prediction uses a moved alias immediately', async () => {
  expect(await answeredBy('m@live')).toMatchObject({ code: 'NOT_FOUND' });

  await setAlias('m', 'live', 'm:1');

  expect(await answeredBy('m@live')).toBe('m:1');
});

test('while the next version of an alias loads, predictions are answered by the present one', async () => {
  await setAlias('m', 'moving', 'm:1');
  await warmEverywhere('m:1');
  // A slow start may have loaded it, while it was the newest version.
  await unload('m:3');
  const others = ['m:1', 'm:2', 'm:4', 'm:5', 'forms:1', 'forms:2', 'other:1'];
  await until('no other version loads, whose load would pause', async () =>
    (await Promise.all(others.map(servingStateOf))).every((state) => state !== 'LOADING'),
  );
  await armFault('worker.load.begin', 'pause');

  const moved = setAlias('m', 'moving', 'm:3');
  await until('the load has begun', hasFired);
  const during = await Promise.all(Array.from({ length: 20 }, () => answeredBy('m@moving')));
  const stateDuring = await servingStateOf('m:3');
  await goOn();
  const { alias, problem } = await moved;

  expect(during).toEqual(Array(20).fill('m:1'));
  expect(stateDuring).toBe('LOADING');
  expect(problem).toBeNull();
  expect(alias.aliasedVersion).toMatchObject({ ref: 'm:3', serving: { servingState: 'WARM' } });
  expect(await answeredBy('m@moving')).toBe('m:3');
});

test('a version that becomes the default by an import is loaded before any prediction reaches it', async () => {
  await store.write('growing', { '1/model.onnx': heavyModel(31, 100), 'model.yaml': YAML });
  await until('the first version answers', async () => (await answeredBy('growing')) === 'growing:1');

  await store.write('growing', { '2/model.onnx': heavyModel(32, 100) });
  await until('the second version is imported', async () => (await versionsOf('growing')).length === 2);
  await until('it is loaded', async () => (await servingStateOf('growing:2')) === 'WARM');

  await until('it answers', async () => (await answeredBy('growing')) === 'growing:2');
});

async function versionsOf(name: string): Promise<Data[]> {
  const query = 'query ($name: String!) { model(name: $name) { versions { nodes { ref } } } }';
  return (await app.query(query, { name })).model.versions.nodes;
}

/** Loads a version into every worker, as a queue that is worth it would, so that one of them is free during a load. */
async function warmEverywhere(ref: string): Promise<void> {
  const hasCopies = async () => {
    await Promise.all(Array.from({ length: 100 }, () => answeredBy(ref)));
    const { version } = await app.query('query ($ref: VersionRef!) { version(ref: $ref) { serving { replicas } } }', {
      ref,
    });
    return version.serving.replicas === 2;
  };
  await until(`${ref} is loaded twice`, hasCopies);
  await until('no worker loads anything', () => app.app.engine.workers.every(({ loading }) => loading.size === 0));
}

test('a version that cannot be loaded does not get the alias', async () => {
  await setAlias('m', 'safe', 'm:1');
  await unload('m:5');
  const { artifact } = (await app.query('{ version(ref: "m:5") { artifact { sha256 } } }')).version;
  await rm(new BlobFolder(path.join(app.dataDir, 'blobs')).pathOf(artifact.sha256));

  const { alias, problem } = await setAlias('m', 'safe', 'm:5');

  expect(alias).toBeNull();
  expect(problem).toMatchObject({
    code: 'NOT_READY',
    message: expect.stringContaining("the version's artifact could not be loaded"),
  });
  expect(await answeredBy('m@safe')).toBe('m:1');
});

test('an alias is moved after five seconds even if its version is still loading', async () => {
  await unload('m:4');
  await armFault('worker.load.begin', 'pause');

  const { alias, problem } = await setAlias('m', 'slow', 'm:4');
  await goOn();

  expect(problem).toBeNull();
  expect(alias.aliasedVersion).toMatchObject({ ref: 'm:4', serving: { servingState: 'LOADING' } });
  expect(await answeredBy('m@slow')).toBe('m:4');
});

test('changes of an alias are made in the order in which they were requested, whichever version loads first', async () => {
  await setAlias('m', 'rolled', 'm:1');
  await answeredBy('m:1');
  await unload('m:2');
  await armFault('worker.load.begin', 'pause');

  const moved = setAlias('m', 'rolled', 'm:2');
  await until('the load has begun', hasFired);
  const rolledBack = await setAlias('m', 'rolled', 'm:1');
  await goOn();
  const { problem } = await moved;

  expect(problem).toBeNull();
  expect(rolledBack.alias.aliasedVersion.ref).toBe('m:1');
  expect(await answeredBy('m@rolled')).toBe('m:1');
});

test('variants that are in use through an alias are loaded before it moves', async () => {
  await setAlias('forms', 'live', 'forms:1');
  expect(await answeredBy('forms@live', 'int8')).toBe('forms:1');

  await setAlias('forms', 'live', 'forms:2');

  const { id } = (await app.query('{ version(ref: "forms:2") { id } }')).version;
  const loaded = readyWorkers(app.app.engine).flatMap((worker) => [...worker.loaded.keys()]);
  expect(loaded).toEqual(expect.arrayContaining([id, `${id}/int8`]));
});

const ROLLBACK = `mutation ($input: RollbackAliasInput!) { rollbackAlias(input: $input) {
  alias { aliasedVersion { ref } } problem { code message } } }`;

async function rollBack(alias: string, model = 'm'): Promise<string> {
  const { rollbackAlias } = await app.query(ROLLBACK, { input: { model, alias, reason: 'worse' } });
  return rollbackAlias.problem?.code ?? rollbackAlias.alias.aliasedVersion.ref;
}

test('rollbacks in a row go further and further back, and a new version begins again', async () => {
  for (const number of [1, 2, 3]) await setAlias('m', 'staged', `m:${number}`);

  expect(await rollBack('staged')).toBe('m:2');
  expect(await rollBack('staged')).toBe('m:1');
  expect(await rollBack('staged')).toBe('NOT_FOUND');
  await setAlias('m', 'staged', 'm:4');
  expect(await rollBack('staged')).toBe('m:1');
  expect(await rollBack('staged')).toBe('NOT_FOUND');
  expect([await rollBack('nobody'), await rollBack('staged', 'nothing')]).toEqual(['NOT_FOUND', 'NOT_FOUND']);
});

test('of rollbacks at the same time one is made, and the other ones are told', async () => {
  for (const number of [1, 2, 3]) await setAlias('m', 'contested', `m:${number}`);

  const done = await Promise.all([1, 2, 3].map(() => rollBack('contested')));

  expect(done.toSorted()).toEqual(['CONFLICT', 'CONFLICT', 'm:2']);
});

const HISTORY = `query ($alias: String, $first: Int, $after: String) { models(filter: { tags: [] }) { nodes { name
  aliasHistory(alias: $alias, first: $first, after: $after) { totalCount pageInfo { endCursor hasNextPage } nodes {
    alias isRollback aliasedVersion { ref } previousVersion { ref } changedAt changedBy reason } } } } }`;

async function history(variables: object): Promise<Data> {
  const { models } = await app.query(HISTORY, { first: 10, ...variables });
  return models.nodes.find(({ name }: Data) => name === 'm').aliasHistory;
}

test('the history of an alias has each move, newest first, with who made it and why', async () => {
  await setAlias('m', 'audited', 'm:1');
  await setAlias('m', 'audited', 'm:2');
  await setAlias('m', 'audited', 'm:2');
  await rollBack('audited');

  const { totalCount, nodes } = await history({ alias: 'audited' });

  expect(totalCount).toBe(3);
  expect(nodes).toMatchObject([
    { isRollback: true, aliasedVersion: { ref: 'm:1' }, previousVersion: { ref: 'm:2' }, reason: 'worse' },
    { isRollback: false, aliasedVersion: { ref: 'm:2' }, previousVersion: { ref: 'm:1' }, reason: null },
    { isRollback: false, aliasedVersion: { ref: 'm:1' }, previousVersion: null, changedBy: 'anonymous' },
  ]);
  const [page] = [await history({ alias: 'audited', first: 2 })];
  const next = await app.query(
    `query ($after: String) { model(name: "m") { aliasHistory(alias: "audited", after: $after) { nodes { aliasedVersion { ref } } } } }`,
    { after: page.pageInfo.endCursor },
  );
  expect(next.model.aliasHistory.nodes).toEqual([{ aliasedVersion: { ref: 'm:1' } }]);
  expect((await history({ first: 1 })).nodes[0].alias).toBe('audited');
});

test('the version of an alias at a time in the past is known', async () => {
  await setAlias('m', 'dated', 'm:1');
  await setAlias('m', 'dated', 'm:2');
  const times = (await history({ alias: 'dated' })).nodes.map(({ changedAt }: Data) => changedAt).toReversed();
  const before = new Date(Date.parse(times[0]) - 1).toISOString();

  const { model } = await app.query(
    `query ($before: DateTime!, $first: DateTime!, $second: DateTime!) { model(name: "m") {
      none: version(alias: "dated", asOf: $before) { ref }
      first: version(alias: "dated", asOf: $first) { ref }
      second: version(alias: "dated", asOf: $second) { ref } } }`,
    { before, first: times[0], second: times[1] },
  );

  const moved = times[0] === times[1] ? 'm:2' : 'm:1';
  expect(model).toEqual({ none: null, first: { ref: moved }, second: { ref: 'm:2' } });
  const { errors } = await app.send(`{ model(name: "m") { version(asOf: "${times[0]}") { ref } } }`);
  expect(errors?.[0]?.extensions?.['code']).toBe('BAD_USER_INPUT');
});
