/** Keys that are bound to models, or to aliases of models, on every way to a model and its predictions. */
import { type Data, startTestApp, type TestApp } from '../support/app.js';

let app: TestApp;
let admin: string;
beforeAll(async () => {
  app = await startTestApp();
  admin = await keyOf(null, { name: 'admin', roles: ['ADMIN'] });
  await send(admin, SET, { input: { model: 'spam-filter', alias: 'canary', version: 'spam-filter:2' } });
});
afterAll(() => app.stop());

async function send(key: string | null, query: string, variables: object = {}): Promise<Data> {
  const response = await fetch(`${app.url}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...(key && { authorization: `Bearer ${key}` }) },
    body: JSON.stringify({ query, variables }),
  });
  return response.json();
}

const CREATE =
  'mutation ($input: CreateApiKeyInput!) { createApiKey(input: $input) { secret problem { code ... on InvalidInput { problems { path } } } } }';
const SET = 'mutation ($input: SetAliasInput!) { setAlias(input: $input) { alias { name } problem { code message } } }';
const PREDICT =
  'mutation ($input: PredictInput!) { predict(input: $input) { prediction { id } problem { code message } } }';
const HISTORY = `query ($id: ID!) {
  prediction(id: $id) { id } node(id: $id) { id } nodes(ids: [$id]) { id }
  predictions { nodes { id } totalCount } ofModel: predictions(filter: { model: "spam-filter" }) { nodes { id } }
  version(ref: "spam-filter") { predictions { nodes { id } totalCount } } }`;

async function keyOf(by: string | null, input: object): Promise<string> {
  const { createApiKey } = (await send(by, CREATE, { input: { name: 'k', account: 'team', ...input } })).data;
  if (!createApiKey.secret) throw new Error(JSON.stringify(createApiKey));
  return createApiKey.secret;
}

const bound = (...models: string[]) => keyOf(admin, { roles: ['ADMIN'], models });
const predict = (key: string, model: string, more: object = {}) =>
  send(key, PREDICT, { input: { model, input: { text: 'hello' }, ...more } });

/** Null if it was done, else the code of the problem. */
async function problemOf(answer: Promise<Data>, field: string): Promise<string | null> {
  const { data, errors } = await answer;
  if (errors) throw new Error(JSON.stringify(errors));
  return data[field].problem?.code ?? null;
}

test('what a key may do with a model ends with the model, also for one that has its name later', async () => {
  const [first, second] = await Promise.all(
    ['first', 'second'].map((account) => keyOf(admin, { account, roles: ['PUBLISHER'] })),
  );
  const register = (key = '', name = 'reused') =>
    send(
      key,
      'mutation ($name: String!) { registerModel(input: { name: $name, task: TENSOR, visibility: PUBLIC }) { problem { message } } }',
      { name },
    );
  const mayRun = async (key: string) => (await problemOf(predict(key, 'reused'), 'predict')) !== 'FORBIDDEN';
  await register(first);
  await register(first, 'reused-too');
  const keys = [
    await bound('reused'),
    await bound('reused@live', 'reused', 'reused-too', 'spam-filter'),
    await bound('reused-too@live'),
  ];
  const before = await Promise.all(keys.map(mayRun));

  await send(
    admin,
    'mutation { deleteModel(input: { model: "reused", reason: "old" }) { deletedId problem { message } } }',
  );
  await register(second);
  const after = await Promise.all(keys.map(mayRun));
  const { data } = await send(
    admin,
    '{ apiKeys(first: 3) { nodes { models } } auditLog(first: 8) { nodes { action target reason before after } } }',
  );

  expect([before, after]).toEqual([
    [true, true, false],
    [false, false, false],
  ]);
  expect(await problemOf(predict(keys[1] as string, 'spam-filter'), 'predict')).toBeNull();
  expect(data.apiKeys.nodes.map((key: Data) => key.models)).toEqual([
    ['reused-too@live'],
    ['reused-too', 'spam-filter'],
    [],
  ]);
  const ended = data.auditLog.nodes.filter(
    (entry: Data) => entry.target.startsWith('API key') && entry.reason === 'old',
  );
  expect(ended.map((entry: Data) => [entry.before.models, entry.after.models])).toEqual(
    expect.arrayContaining([
      [['reused'], []],
      [
        ['reused@live', 'reused', 'reused-too', 'spam-filter'],
        ['reused-too', 'spam-filter'],
      ],
    ]),
  );
});

test('a key that is bound to an alias runs, loads and moves this alias and nothing else', async () => {
  const key = await bound('spam-filter@canary');
  const load = (version: string) =>
    problemOf(
      send(key, 'mutation ($v: VersionRef!) { load(version: $v) { problem { code } } }', { v: version }),
      'load',
    );
  const unload = (version: string) =>
    problemOf(
      send(key, 'mutation ($v: VersionRef!) { unload(version: $v) { problem { code } } }', { v: version }),
      'unload',
    );
  const many = (model: string) =>
    problemOf(
      send(
        key,
        'mutation ($model: VersionRef!) { predictMany(input: { model: $model, inputs: [{ text: "a" }] }) { problem { code } } }',
        { model },
      ),
      'predictMany',
    );
  const move = (alias: string, model = 'spam-filter') =>
    problemOf(send(key, SET, { input: { model, alias, version: `${model}:2` } }), 'setAlias');

  const others = ['spam-filter', 'spam-filter:2', 'spam-filter@champion', 'spam-embeddings'];
  for (const act of [(ref: string) => problemOf(predict(key, ref), 'predict'), many, load, unload]) {
    expect(await act('spam-filter@canary')).toBeNull();
    for (const ref of others) expect([ref, await act(ref)]).toEqual([ref, 'FORBIDDEN']);
  }
  expect(await move('canary')).toBeNull();
  expect([await move('champion'), await move('canary', 'spam-embeddings')]).toEqual(['FORBIDDEN', 'FORBIDDEN']);
});

test('a key that is bound to a model runs each version and moves each alias of it', async () => {
  const key = await bound('spam-filter');
  const refs = ['spam-filter', 'spam-filter:2', 'spam-filter@canary'];

  for (const ref of refs) expect(await problemOf(predict(key, ref), 'predict')).toBeNull();
  const moved = send(key, SET, { input: { model: 'spam-filter', alias: 'next', version: 'spam-filter:2' } });
  expect(await problemOf(moved, 'setAlias')).toBeNull();
});

test('a bound key reads the predictions of its models only, on every way', async () => {
  const { id } = (await predict(admin, 'spam-filter')).data.predict.prediction;
  const [own, alias, other] = [
    await bound('spam-filter'),
    await bound('spam-filter@canary', 'penguins'),
    await bound('spam-embeddings'),
  ];
  const [seen, seenByAlias, hidden] = await Promise.all([own, alias, other].map((key) => send(key, HISTORY, { id })));

  for (const { data } of [seen, seenByAlias] as Data[]) {
    expect(data).toMatchObject({ prediction: { id }, node: { id }, nodes: [{ id }] });
    for (const list of [data.predictions, data.ofModel, data.version.predictions])
      expect(list.nodes[0]).toEqual({ id });
  }
  expect(hidden?.data).toEqual({
    prediction: null,
    node: null,
    nodes: [null],
    predictions: { nodes: [], totalCount: 0 },
    ofModel: { nodes: [] },
    version: { predictions: { nodes: [], totalCount: 0 } },
  });
});

test('a bound key does not replay an answer of another model', async () => {
  const idempotencyKey = 'once';
  await predict(admin, 'spam-filter', { idempotencyKey });
  const key = await bound('spam-embeddings');

  expect(await problemOf(predict(key, 'spam-filter', { idempotencyKey }), 'predict')).toBe('FORBIDDEN');
});

test('a bound key deletes no predictions, which may be of models that it is not bound to', async () => {
  const key = await keyOf(admin, { roles: ['PREDICTOR'], models: ['penguins'] });
  const DELETE = 'mutation ($ids: [ID!]!) { deletePredictions(ids: $ids) { problem { code } } }';
  const { data } = await send(key, DELETE, { ids: ['prediction_0197a0c0-0000-7000-8000-000000000000'] });

  expect(data.deletePredictions.problem.code).toBe('FORBIDDEN');
});

test('a bound key makes keys that are bound as it is, or more narrowly', async () => {
  const key = await bound('spam-filter', 'penguins@champion');
  const make = (models: string[] | null) =>
    problemOf(
      send(key, CREATE, { input: { name: 'n', account: 'team', roles: ['PREDICTOR'], models } }),
      'createApiKey',
    );

  for (const models of [['spam-filter'], ['spam-filter@canary'], ['penguins@champion', 'spam-filter']])
    expect([models, await make(models)]).toEqual([models, null]);
  for (const models of [null, ['penguins'], ['penguins@canary'], ['spam-embeddings@canary']])
    expect([models, await make(models)]).toEqual([models, 'FORBIDDEN']);
});

test.each(['spam-filter@', '@canary', 'spam-filter:2', 'spam-filter@Canary', 'spam-filter@a@b', '*'])(
  'a key cannot be bound to "%s"',
  async (model) => {
    const input = { name: 'n', account: 'team', roles: ['PREDICTOR'], models: [model] };
    const { problem } = (await send(admin, CREATE, { input })).data.createApiKey;

    expect(problem).toEqual({ code: 'INVALID_INPUT', problems: [{ path: ['input', 'models'] }] });
  },
);

test('a refusal says what is missing: a role, an operation, or a key that is not publishable', async () => {
  const origins = ['https://shop.example'];
  const narrow = await keyOf(admin, { roles: ['PREDICTOR'], operations: ['predict'] });
  const viewer = await keyOf(admin, { roles: ['VIEWER'] });
  const page = await keyOf(admin, {
    kind: 'PUBLISHABLE',
    roles: ['VIEWER'],
    operations: ['engine', 'predict'],
    models: ['spam-filter'],
    origins,
  });
  const messageFor = async (key: string, query: string) => {
    const headers = {
      'content-type': 'application/json',
      authorization: `Bearer ${key}`,
      origin: origins[0] as string,
    };
    const response = await fetch(`${app.url}/graphql`, { method: 'POST', headers, body: JSON.stringify({ query }) });
    const { data, errors } = (await response.json()) as Data;
    return errors?.[0].message ?? data.predict.problem.message;
  };
  const predictX =
    'mutation { predict(input: { model: "spam-filter", input: { text: "a" } }) { problem { message } } }';
  const metrics = await fetch(`${app.url}/metrics`, {
    headers: { authorization: `Bearer ${page}`, origin: origins[0] as string },
  });

  expect(await messageFor(narrow, '{ models { totalCount } }')).toBe(
    'Query.models is for keys that list it among their operations only.',
  );
  expect(await messageFor(page, '{ models { totalCount } }')).toBe(
    'Query.models is for keys that list it among their operations only.',
  );
  expect(await messageFor(page, '{ engine { queueDepth } }')).toBe(
    'Query.engine is for keys that are not publishable only.',
  );
  expect(await messageFor(page, predictX)).toBe(
    'Mutation.predict is for callers with the role predictor or admin only.',
  );
  expect(await messageFor(viewer, '{ engine { queueDepth } }')).toBe(
    'Query.engine is for callers with the role admin only.',
  );
  expect(((await metrics.json()) as Data).errors[0].message).toBe(
    'This route is for keys that are not publishable only.',
  );
});
