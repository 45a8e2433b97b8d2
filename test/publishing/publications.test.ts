/** Publications: uploaded files become a version once they are proven, over real HTTP. */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { SYSTEM } from '#src/access/principal.js';
import { findModelsByNames } from '#src/catalog/model.queries.js';
import { RetriedImportError } from '#src/errors.js';
import type { ImportParts } from '#src/importing/import-graphs.js';
import { recordFailure } from '#src/importing/import-version.js';
import { pathProblems } from '#src/publishing/paths.js';
import { Registration } from '#src/publishing/registration.js';
import { firstIdAt } from '#src/storage/ids.js';
import { type Data, startTestApp, type TestApp } from '../support/app.js';
import { armFault, disarmFault } from '../support/faults.js';
import { createStore } from '../support/model-store.js';
import { CRASHING_DIVISION, encodeModel, type GraphSpec, identity, MEMORY_BOMB } from '../support/onnx.js';
import { type Files, PublishingClient } from '../support/publishing-client.js';
import { startServer } from '../support/server.js';
import { until } from '../support/until.js';

const PREDICT = `mutation ($model: VersionRef!, $input: ModelInput!, $key: String) {
  predict(input: { model: $model, input: $input, idempotencyKey: $key }) {
  prediction { output { ... on Classification { label classes { label score } } } } problem { code message } } }`;
const UPDATE = `mutation ($input: UpdateModelInput!) { updateModel(input: $input) {
    model { title summary owner license tags } problem { code } } }`;
const DELETE = `mutation ($input: DeleteModelInput!) { deleteModel(input: $input) { deletedId deletedPredictions
  problem { code ... on InvalidInput { problems { path message } } } } }`;
const HISTORY = `{ predictions { nodes { id predictedBy { ref } output { ... on Classification { label classes { label } } } } } }`;
const FOLDER = ['README.md', 'model.yaml', '1/model.onnx', '1/golden.json'];

let app: TestApp;
let admin: PublishingClient;
let mine: PublishingClient;
let theirs: PublishingClient;
let penguins: Files;
beforeAll(async () => {
  app = await startTestApp({ empty: true, modelStore: '/nowhere' });
  const anyone = new PublishingClient(() => app.url, null);
  admin = await anyone.withKey('ops', ['ADMIN']);
  mine = await admin.withKey('mine', ['PUBLISHER', 'PREDICTOR']);
  theirs = await admin.withKey('theirs', ['PUBLISHER', 'PREDICTOR']);
  const read = FOLDER.map(async (file) => [file, await readFile(path.join('model-store/penguins', file))]);
  penguins = Object.fromEntries(await Promise.all(read));
});
afterAll(() => app.stop());

const graph = (spec: GraphSpec): Files => ({ '1/model.onnx': encodeModel(spec) });

test('accounts take turns: one with many publications delays those of others by one at a time', async () => {
  const publishAll = async (client: PublishingClient, model: string, contents: readonly (string | Buffer)[]) => {
    await client.register(model, 'TENSOR');
    const uploads: string[] = [];
    for (const content of contents) uploads.push(await client.upload(content));
    const fields = uploads.map(
      (id, i) =>
        `p${i}: publish(input: { model: "${model}", files: { path: "1/model.onnx", upload: "${id}" } }) { publication { id } }`,
    );
    return async () => {
      const published = await client.send(`mutation { ${fields.join(' ')} }`);
      return Object.values<Data>(published).map(({ publication }) => publication.id as string);
    };
  };
  // The first one is running while the others are recorded.
  const first = encodeModel(identity('x', 'FP32', ['N', 9]));
  const all = [
    await publishAll(mine, 'turns-mine', [first, 'none', 'none', 'none']),
    await publishAll(theirs, 'turns-theirs', ['none', 'none']),
  ];
  const ids: string[] = [];
  for (const publish of all) ids.push(...(await publish()));
  for (const id of ids) await admin.ended(id);
  const ended = await app.app.databases.catalogDb
    .selectFrom('publication')
    .select('account')
    .where('id', 'in', ids)
    .orderBy('updated_at')
    .execute();

  expect(ended.map(({ account }) => account)).toEqual(['mine', 'theirs', 'mine', 'theirs', 'mine', 'mine']);
});

test('a folder of the model store is published under a new name, and answers as its golden cases say', async () => {
  const { model } = await mine.register('my-penguins', 'TABULAR_CLASSIFICATION', { title: 'Birds', tags: ['birds'] });
  const done = await mine.published('my-penguins', penguins, { aliases: ['champion'], reason: 'first' });
  const again = await mine.published('my-penguins', penguins);
  const golden = JSON.parse(String(penguins['1/golden.json'])) as Data;
  const [{ input, expect: expected }] = golden.cases;
  const answer = (await mine.send(PREDICT, { model: 'my-penguins@champion', input })).predict.prediction.output;
  const other = (await theirs.send(PREDICT, { model: 'my-penguins', input })).predict.problem;
  const log = await admin.send('{ auditLog(first: 100) { nodes { action account target reason } } }');
  const { card } = (await mine.send('{ model(name: "my-penguins") { card { markdown } } }')).model;

  expect(model).toEqual({ name: 'my-penguins', account: 'mine', title: 'Birds', tags: ['birds'] });
  expect(done).toMatchObject({ stage: 'PUBLISHED', problem: null, publishedModel: { name: 'my-penguins' } });
  expect(done.publishedVersion).toEqual({
    ref: 'my-penguins:1',
    state: 'READY',
    verification: { cases: golden.cases.length },
  });
  // The same files are the same version.
  expect(again.publishedVersion.ref).toBe('my-penguins:1');
  expect(answer.label).toBe(expected.label);
  for (const { label, score } of answer.classes) expect(score).toBeCloseTo(expected.scores[label], 5);
  expect(other.code).toBe('NOT_FOUND');
  expect(card.markdown).toContain('penguin');
  const entries = log.auditLog.nodes.filter(({ target }: Data) => /^my-penguins\b/.test(target));
  expect(entries.reverse().slice(0, 4)).toEqual([
    { action: 'registerModel', account: 'mine', target: 'my-penguins', reason: null },
    { action: 'publish', account: 'mine', target: 'my-penguins', reason: 'first' },
    { action: 'publishVersion', account: 'mine', target: 'my-penguins:1', reason: 'first' },
    { action: 'setAlias', account: 'mine', target: 'my-penguins@champion', reason: 'first' },
  ]);
});

test('a version gets its number only when it is proven: wrong golden cases and hostile graphs leave nothing', async () => {
  await mine.register('strict', 'TABULAR_CLASSIFICATION');
  await mine.register('tensors', 'TENSOR');
  const wrong = String(penguins['1/golden.json']).replace('0.5239306133901063', '0.9');
  const outside = { location: '../../catalog.db', offset: 0 };
  const weights = { name: 'w', shape: [4], data: [1, 2, 3, 4], file: outside };
  const reading: GraphSpec = {
    ...identity('x', 'FP32', ['N', 4]),
    nodes: [{ op: 'Add', inputs: ['x', 'w'], outputs: ['y'] }],
    floats: [weights],
  };
  const example = (tensor: object) => ({ manifest: { example: { tensors: [tensor] } } });
  const refused: readonly (readonly [string, Files, object, RegExp])[] = [
    ['strict', { ...penguins, '1/golden.json': wrong }, {}, /golden\.json: case 0 differs/],
    ['strict', { ...penguins, 'model.yaml': 'task: tensor' }, {}, /registered for TABULAR_CLASSIFICATION/],
    ['strict', { ...penguins, 'model.yaml': `${penguins['model.yaml']}\naccount: theirs\n` }, {}, /remove account/],
    ['tensors', { '1/model.onnx': 'no graph' }, {}, /./],
    ['tensors', { 'README.md': '# Nothing' }, {}, /there are 0 versions/],
    ['tensors', { ...graph(identity('x', 'FP32', ['N'])), '2/model.onnx': 'x' }, {}, /there are 2 versions/],
    ['tensors', graph(reading), {}, /data files are read from the version's folder only/],
    [
      'tensors',
      graph(MEMORY_BOMB),
      example({ name: 'size', datatype: 'INT64', shape: [1], data: [4_000_000_000] }),
      /memory|allocate/i,
    ],
    [
      'tensors',
      graph(CRASHING_DIVISION),
      {
        manifest: {
          example: {
            tensors: [
              { name: 'a', datatype: 'INT32', shape: [1], data: [-2_147_483_648] },
              { name: 'b', datatype: 'INT32', shape: [1], data: [-1] },
            ],
          },
        },
      },
      /./,
    ],
  ];
  for (const [model, files, more, reason] of refused) {
    const done = await mine.published(model, files, more);
    expect(done).toMatchObject({ stage: 'REFUSED', publishedVersion: null, problem: { code: 'INVALID_INPUT' } });
    expect(done.problem.problems[0].message).toMatch(reason);
    expect(done.problem.message).not.toContain(app.dataDir);
  }
  const fine = await mine.published('tensors', graph(identity('x', 'FP32', ['N'])));
  const versions = await mine.send('{ models(first: 100) { nodes { name versions { nodes { number } } } } }');
  const found = Object.fromEntries(
    versions.models.nodes.map(({ name, versions: { nodes } }: Data) => [name, nodes.length]),
  );

  expect(fine.publishedVersion.ref).toBe('tensors:1');
  expect(found).toMatchObject({ strict: 0, tensors: 1 });
  await until('the folder is removed', () => !existsSync(path.join(app.dataDir, 'publishing')));
});

test('names are unique on the server, and a taken one looks the same whoever has it', async () => {
  await mine.register('hidden', 'TENSOR');
  await mine.register('shown', 'TENSOR', { visibility: 'PUBLIC' });
  const problems = await Promise.all(['hidden', 'shown'].map((name) => theirs.register(name, 'TENSOR')));
  const bad = await mine.register('../../x', 'TENSOR', { title: ' ', tags: [''] });

  const [hidden, shown] = problems.map(({ problem }) => JSON.stringify(problem));
  expect(hidden?.replaceAll('hidden', 'shown')).toBe(shown);
  expect(problems[0]?.problem.problems).toEqual([
    { path: ['input', 'name'], code: 'WRONG_KIND', message: 'the name is taken' },
  ]);
  expect(bad.problem.problems.map(({ path: [, field] }: Data) => field)).toEqual(['name', 'title', 'tags']);
});

test('a model is described anew, and shown to others or hidden again, by its account and administrators', async () => {
  await mine.register('draft', 'TENSOR', { tags: ['old'] });
  const update = async (client: PublishingClient, input: object) =>
    (await client.send(UPDATE, { input: { model: 'draft', ...input } })).updateModel;
  const isSeen = async () => (await theirs.send('{ model(name: "draft") { name } }')).model !== null;
  const isFound = async () =>
    (await theirs.send('{ models(search: "unmistakable") { totalCount } }')).models.totalCount === 1;
  const changed = await update(mine, { title: 'Unmistakable', owner: 'Team', tags: ['new'], license: 'mit' });
  const hidden = [await isSeen(), await isFound(), (await update(theirs, { title: 'x' })).problem.code];
  await update(mine, { visibility: 'PUBLIC', reason: 'done' });
  const shown = [await isSeen(), await isFound(), (await update(theirs, { title: 'x' })).problem.code];
  await update(admin, { visibility: 'PRIVATE' });
  const { nodes } = (await admin.send('{ auditLog(target: "draft") { nodes { action account reason before after } } }'))
    .auditLog;

  expect(changed.model).toEqual({ title: 'Unmistakable', summary: null, owner: 'Team', license: 'mit', tags: ['new'] });
  expect(hidden).toEqual([false, false, 'NOT_FOUND']);
  expect(shown).toEqual([true, true, 'FORBIDDEN']);
  expect([await isSeen(), await isFound()]).toEqual([false, false]);
  expect((await update(mine, { title: '', owner: 'x'.repeat(201) })).problem.code).toBe('INVALID_INPUT');
  expect(nodes[1]).toEqual({
    action: 'updateModel',
    account: 'mine',
    reason: 'done',
    before: { visibility: 'private' },
    after: { visibility: 'public' },
  });
  expect(nodes[2].before).toEqual({ title: 'draft', owner: null, license: null, tags: ['old'] });
});

test('a version is archived by its account, runs no more, and can be taken back', async () => {
  await mine.register('twice', 'TENSOR');
  await mine.published('twice', graph(identity('x', 'FP32', ['N', 2])));
  await mine.published('twice', graph(identity('x', 'FP32', ['N', 3])), { aliases: ['live'] });
  const ARCHIVE = `mutation ($input: ArchiveVersionInput!) { archiveVersion(input: $input) {
    version { ref state } problem { code ... on InvalidInput { problems { received } } } } }`;
  const archive = async (client: PublishingClient, version: string, more: object = {}) =>
    (await client.send(ARCHIVE, { input: { version, ...more } })).archiveVersion;
  const input = { tensors: [{ name: 'x', datatype: 'FP32', shape: [1, 2], data: [1, 2] }] };
  const predict = async () => (await mine.send(PREDICT, { model: 'twice:1', input })).predict.problem?.code ?? null;

  expect(await predict()).toBeNull();
  expect((await archive(theirs, 'twice:1')).problem.code).toBe('NOT_FOUND');
  expect((await archive(mine, 'twice:2')).problem).toEqual({
    code: 'INVALID_INPUT',
    problems: [{ received: 'twice:2, which has @live' }],
  });
  const archived = await archive(mine, 'twice:1', { reason: 'old' });
  expect(archived).toEqual({ version: { ref: 'twice:1', state: 'ARCHIVED' }, problem: null });
  expect(await predict()).toBe('NOT_READY');
  expect(await archive(mine, 'twice:1')).toEqual(archived);
  expect((await archive(admin, 'twice:1', { archived: false })).version.state).toBe('READY');
  expect(await predict()).toBeNull();
  const { nodes } = (
    await admin.send('{ auditLog(target: "twice:1") { nodes { action account reason before after } } }')
  ).auditLog;
  expect(nodes.slice(0, 2).map(({ action, account, reason }: Data) => [action, account, reason])).toEqual([
    ['archiveVersion', 'ops', null],
    ['archiveVersion', 'mine', 'old'],
  ]);
  expect(nodes[1]).toMatchObject({ before: { state: 'READY' }, after: { state: 'ARCHIVED' } });
});

test('only the account of a model publishes it, with its own complete uploads', async () => {
  await mine.register('owned', 'TENSOR');
  await mine.register('open', 'TENSOR', { visibility: 'PUBLIC' });
  const upload = await mine.upload('mine only');
  const file = (id: string) => ({ files: [{ path: 'model.onnx', upload: id }] });
  const PUBLISH =
    'mutation ($input: PublishInput!) { publish(input: $input) { problem { code message ... on InvalidInput { problems { path code message } } } } }';
  const publish = async (client: PublishingClient, input: object) =>
    (await client.send(PUBLISH, { input })).publish.problem;
  const bound = await admin.withKey('mine', ['PUBLISHER'], { models: ['elsewhere'] });
  await theirs.register('others', 'TENSOR');
  const unknown = 'upload_00000000-0000-4000-8000-000000000000';
  const foreign = await publish(theirs, { model: 'others', ...file(upload) });
  const missing = await publish(theirs, { model: 'others', ...file(unknown) });

  expect((await publish(theirs, { model: 'owned', ...file(upload) })).code).toBe('NOT_FOUND');
  expect((await publish(theirs, { model: 'open', ...file(upload) })).code).toBe('FORBIDDEN');
  expect((await publish(bound, { model: 'owned', ...file(upload) })).code).toBe('FORBIDDEN');
  expect(foreign).toEqual(missing);
  expect(foreign.problems).toMatchObject([{ path: ['input', 'files', '0', 'upload'], code: 'UNKNOWN_NAME' }]);
});

test('what waits to be published with a key that is revoked is refused, and moves no alias', async () => {
  const { createApiKey } = await admin.send(
    'mutation { createApiKey(input: { account: "mine", name: "leaked", roles: [PUBLISHER] }) { apiKey { id } secret } }',
  );
  const leaked = new PublishingClient(() => app.url, createApiKey.secret);
  await mine.register('kept', 'TENSOR');
  await mine.published('kept', graph(identity('x', 'FP32', ['N', 2])), { aliases: ['champion'] });
  const before = await mine.publish('kept', graph(identity('x', 'FP32', ['N', 3])));
  const { publication } = await leaked.publish('kept', graph(identity('x', 'FP32', ['N', 4])), {
    aliases: ['champion'],
  });
  await admin.send('mutation ($id: ID!) { revokeApiKey(id: $id) { problem { code } } }', {
    id: createApiKey.apiKey.id,
  });
  const done = await mine.ended(publication.id);
  const { model } = await mine.send('{ model(name: "kept") { version { ref } } }');

  expect((await mine.ended(before.publication.id)).publishedVersion.ref).toBe('kept:2');
  expect(done).toMatchObject({ stage: 'REFUSED', publishedVersion: null });
  expect(done.problem.problems[0].message).toContain('the key that published it was revoked');
  expect(model.version.ref).toBe('kept:1');
});

test('an empty file is published like others', async () => {
  await mine.register('with-empty', 'TENSOR');
  const empty = createHash('sha256').digest('hex');
  const { createUpload } = await mine.send(
    'mutation ($input: CreateUploadInput!) { createUpload(input: $input) { upload { id } } }',
    { input: { fileName: 'empty', sizeBytes: 0, sha256: empty } },
  );
  const { id } = createUpload.upload;
  await mine.send('mutation ($id: ID!) { completeUpload(id: $id) { problem { code } } }', { id });
  const done = await mine.published('with-empty', { ...graph(identity('x', 'FP32', ['N'])), 'README.md': '' });

  expect(done).toMatchObject({ stage: 'PUBLISHED', problem: null });
});

test('an alias is not moved to a version that is archived while it loads', async () => {
  await mine.register('raced', 'TENSOR');
  await mine.published('raced', graph(identity('x', 'FP32', ['N', 2])));
  await mine.published('raced', graph(identity('x', 'FP32', ['N', 3])), { aliases: ['live'] });
  const moving = admin.send(
    'mutation { setAlias(input: { model: "raced", alias: "live", version: "raced:1" }) { problem { code } } }',
  );
  const { archiveVersion } = await mine.send(
    'mutation { archiveVersion(input: { version: "raced:1" }) { problem { code } } }',
  );
  const { setAlias } = await moving;
  const { model } = await mine.send('{ model(name: "raced") { aliases { name aliasedVersion { ref state } } } }');

  // Whichever was first.
  expect([archiveVersion.problem?.code ?? null, setAlias.problem?.code ?? null].filter(Boolean)).toHaveLength(1);
  expect(model.aliases[0].aliasedVersion.state).toBe('READY');
});

test('publications are seen by their account and administrators only', async () => {
  await mine.register('seen', 'TENSOR');
  const { id } = await mine.published('seen', graph(identity('x', 'FP32', ['N'])));
  const query = 'query ($id: ID!) { publication(id: $id) { id } node(id: $id) { id } nodes(ids: [$id]) { id } }';
  const seen = async (client: PublishingClient) =>
    JSON.stringify(await client.send(query, { id })).split(id).length - 1;

  expect([await seen(mine), await seen(admin), await seen(theirs)]).toEqual([3, 3, 0]);
});

test.each([
  ['../model.onnx'],
  ['/model.onnx'],
  ['a/../../b'],
  ['a\\b'],
  ['a\0b'],
  ['a//b'],
  ['./a'],
  ['.hidden/a'],
  ['con.txt'],
  ['a/LPT1'],
  ['C:a'],
  ['a.'],
  ['é'],
  [''],
  ['a/b/c/d/e'],
  ['x'.repeat(201)],
])('the path %j is refused', (one) => {
  expect(pathProblems([one])).toMatchObject([{ path: ['input', 'files', '0', 'path'], code: 'UNREADABLE' }]);
});

test.each([
  [['a', 'a'], 1],
  [['a', 'A'], 1],
  [['a', 'a/b'], 1],
  [['a/b', 'a'], 1],
  [['Dir/a', 'dir/b'], 1],
  [['README.md', '1/model.onnx', '1/golden.json', 'onnx/model.onnx_data', '1_Pooling/config.json'], 0],
])('the paths %j have %i clashes', (paths, count) => {
  expect(pathProblems(paths)).toHaveLength(count);
});

test('a folder of the store with the name of a registered model is not imported, and the model stays', async () => {
  await mine.register('mine-first', 'TENSOR');
  await mine.published('mine-first', graph(identity('x', 'FP32', ['N'])));
  const { dataDir } = app;
  await app.app.stop();
  const store = await createStore();
  await store.write('Mine_First', { '1/model.onnx': encodeModel(identity('other', 'FP32', ['N'])) });
  app = { ...(await startTestApp({ dataDir, modelStore: store.folder })), dataDir };
  const { imports } = await admin.send('{ imports { folder reason } }');
  const { model } = await mine.send(
    '{ model(name: "mine-first") { account version { signature { inputs { name } } } } }',
  );
  const { registerModel } = await mine.send(
    'mutation { registerModel(input: { name: "mine-first", task: TENSOR }) { problem { code } } }',
  );
  const { deleteModel } = await admin.send(DELETE, { input: { model: 'mine-first' } });
  await store.remove();

  expect(imports).toEqual([
    { folder: 'Mine_First', reason: expect.stringContaining('a registered model has this name') },
  ]);
  expect(model).toEqual({ account: 'mine', version: { signature: { inputs: [{ name: 'x' }] } } });
  expect(registerModel.problem.code).toBe('INVALID_INPUT');
  // It would be imported when the model is gone.
  expect(deleteModel).toMatchObject({ deletedId: null, problem: { code: 'INVALID_INPUT' } });
});

test('a server that is killed while it publishes goes on at the next start, and one version comes of it', async () => {
  await mine.register('killed', 'TENSOR');
  const { dataDir } = app;
  await app.app.stop();
  const env = { DATA_DIR: dataDir, MODEL_STORE: '/nowhere', WORKERS: '1' };
  let id = '';
  for (const point of ['publish.begin', 'publish.saved']) {
    await armFault(point, 'SIGKILL');
    const server = await startServer(env, { keepsStderr: true });
    app = { ...app, url: server.url };
    if (id === '') ({ id } = (await mine.publish('killed', graph(identity('x', 'FP32', ['N'])))).publication);
    await server.ended;
    expect(await disarmFault()).toBe(true);
  }
  app = { ...(await startTestApp({ dataDir, modelStore: '/nowhere' })), dataDir };
  const done = await mine.ended(id);
  const { model } = await mine.send('{ model(name: "killed") { versions { nodes { number state } } } }');

  expect(done).toMatchObject({ stage: 'PUBLISHED', publishedVersion: { ref: 'killed:1' } });
  expect(model.versions.nodes).toEqual([{ number: 1, state: 'READY' }]);
});

test('a server that is killed when it has deleted a model deletes its predictions at the next start', async () => {
  const [{ input }] = (JSON.parse(String(penguins['1/golden.json'])) as Data).cases;
  await mine.register('half-gone', 'TABULAR_CLASSIFICATION');
  await mine.published('half-gone', penguins);
  const { dataDir } = app;
  await app.app.stop();
  await armFault('model.deleted', 'SIGKILL');
  const server = await startServer({ DATA_DIR: dataDir, MODEL_STORE: '/nowhere', WORKERS: '1' }, { keepsStderr: true });
  app = { ...app, url: server.url };
  await mine.send(PREDICT, { model: 'half-gone', input });
  const before = await mine.send(HISTORY);
  await expect(admin.send(DELETE, { input: { model: 'half-gone' } })).rejects.toThrow();
  await server.ended;
  expect(await disarmFault()).toBe(true);
  app = { ...(await startTestApp({ dataDir, modelStore: '/nowhere' })), dataDir };
  await until('the predictions are deleted', async () => {
    const { predictions } = await mine.send(HISTORY);
    return predictions.nodes.length === before.predictions.nodes.length - 1;
  });

  expect(before.predictions.nodes[0].predictedBy.ref).toBe('half-gone:1');
  expect((await mine.send(HISTORY)).predictions.nodes[0].predictedBy).not.toBeNull();
});

test('a model that an administrator deletes is gone with its predictions, whoever made them', async () => {
  await mine.register('doomed', 'TABULAR_CLASSIFICATION', { visibility: 'PUBLIC' });
  await mine.published('doomed', penguins, { aliases: ['champion'] });
  const [{ input }] = (JSON.parse(String(penguins['1/golden.json'])) as Data).cases;
  const made = [];
  for (const client of [mine, theirs, admin])
    made.push(
      (await client.send(PREDICT, { model: 'doomed', input, key: client === mine ? null : 'once' })).predict.problem,
    );
  const predictions = app.app.databases.predictionDb;
  // The clock was set back since.
  const later = firstIdAt('Prediction', Date.now() + 3_600_000);
  await predictions
    .updateTable('prediction')
    .set({ id: later })
    .where('principal_id', '=', 'mine')
    .where('id', '=', (eb) =>
      eb
        .selectFrom('prediction')
        .select((max) => max.fn.max('id').as('id'))
        .where('principal_id', '=', 'mine'),
    )
    .execute();
  const own = (await mine.send(DELETE, { input: { model: 'doomed' } })).deleteModel;
  const unknown = (await admin.send(DELETE, { input: { model: 'dooomed' } })).deleteModel;
  const { deleteModel } = await admin.send(DELETE, { input: { model: 'doomed', reason: 'not used' } });
  const found = await mine.send('{ model(name: "doomed") { id } models(first: 100) { nodes { name } } }');
  const history = await theirs.send(HISTORY);
  const after = (await theirs.send(PREDICT, { model: 'doomed', input })).predict.problem;
  const log = await admin.send('{ auditLog(first: 1) { nodes { action target reason } } }');

  expect(made).toEqual([null, null, null]);
  expect(own.problem.code).toBe('FORBIDDEN');
  expect(unknown.problem.code).toBe('NOT_FOUND');
  expect(deleteModel).toEqual({ deletedId: expect.any(String), deletedPredictions: 3, problem: null });
  expect(found.model).toBeNull();
  expect(found.models.nodes).not.toContainEqual({ name: 'doomed' });
  expect(history.predictions.nodes).toEqual([]);
  expect(after.code).toBe('NOT_FOUND');
  expect(await predictions.selectFrom('idempotency').select('key').execute()).toEqual([]);
  expect(log.auditLog.nodes).toEqual([{ action: 'deleteModel', target: 'doomed', reason: 'not used' }]);
  // The name can be used again, by anybody, with the same files.
  await theirs.register('doomed', 'TABULAR_CLASSIFICATION');
  expect((await theirs.published('doomed', penguins)).publishedVersion.ref).toBe('doomed:1');
});

test('a model is served no more once it is deleted, while its predictions are being deleted', async () => {
  await mine.register('half-served', 'TENSOR');
  const db = app.app.databases.catalogDb;
  const [model] = await findModelsByNames(db, SYSTEM, ['half-served']);
  const steps: string[] = [];
  const registration = new Registration({
    db,
    modelStore: '/nowhere',
    catalog: { invalidate: () => steps.push('invalidated') },
    loadKeys: async () => {},
    purge: async () => steps.push('purged'),
  });
  await registration.delete(String(model?.id), { model: 'half-served' }, SYSTEM);

  expect(steps).toEqual(['invalidated', 'purged']);
  // The import of its folder, which may be running, is not one that ends the server.
  const importing = recordFailure({ db } as ImportParts, String(model?.id), 1, 'no reason');
  await expect(importing).rejects.toThrow(new RetriedImportError('the model was deleted meanwhile'));
});

test('a recorded answer keeps its classes when its model becomes private', async () => {
  const visibility = async () => (await mine.send('{ model(name: "hidden-later") { visibility } }')).model.visibility;
  await mine.register('hidden-later', 'TABULAR_CLASSIFICATION', { visibility: 'PUBLIC' });
  expect(await visibility()).toBe('PUBLIC');
  await mine.published('hidden-later', penguins);
  const [{ input }] = (JSON.parse(String(penguins['1/golden.json'])) as Data).cases;
  await theirs.send(PREDICT, { model: 'hidden-later', input });
  const before = (await theirs.send(HISTORY)).predictions.nodes[0];
  await mine.send(UPDATE, { input: { model: 'hidden-later', visibility: 'PRIVATE' } });
  const after = (await theirs.send(HISTORY)).predictions.nodes[0];

  expect(await visibility()).toBe('PRIVATE');
  expect(before.output.classes).toHaveLength(3);
  expect(after).toEqual({ ...before, predictedBy: null });
});
