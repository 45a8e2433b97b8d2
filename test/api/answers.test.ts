/** How large an answer may be, what is read for it, and how often it is computed. */
import { request } from 'node:http';
import { BlobFolder } from '#src/storage/blobs.js';
import { newId } from '#src/storage/ids.js';
import { type Data, startTestApp, type TestApp } from '../support/app.js';
import { createStore } from '../support/model-store.js';
import { encodeModel } from '../support/onnx.js';
import { until } from '../support/until.js';

const MIB = 1024 * 1024;

let app: TestApp;
beforeAll(async () => {
  app = await startTestApp({ isAlone: true, defaultDeadlineMs: 600_000 });
});
afterAll(() => app.stop());

interface Answered {
  readonly bytes: number;
  readonly data: Data;
  readonly errors: readonly { message: string; path: (string | number)[]; extensions: Record<string, Data> }[];
}

async function send(query: string, variables: Record<string, unknown> = {}, url = app.url): Promise<Answered> {
  const response = await fetch(`${url}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ query, variables }),
  });
  const text = await response.text();
  if (response.status !== 200) throw new Error(text.slice(0, 500));
  const { data, errors = [] } = JSON.parse(text);
  return { bytes: Buffer.byteLength(text), data, errors };
}

/** The operation `{ <before> a0: <field> … a<count - 1>: <field> <after> }`. */
function aliases(count: number, field: string | ((i: number) => string)): string {
  return Array.from({ length: count }, (_, i) => `a${i}: ${typeof field === 'string' ? field : field(i)}`).join(' ');
}

/** Stores a prediction without running a model. Returns its id. */
async function store(
  {
    answer,
    input = '{"text":"x"}',
    inputSha256 = null,
  }: { answer: unknown; input?: string | null; inputSha256?: string | null },
  target = app,
): Promise<string> {
  const { catalogDb, predictionDb } = target.app.databases;
  const version = await catalogDb
    .selectFrom('version')
    .innerJoin('model', 'model.id', 'version.model_id')
    .select('version.id')
    .where('model.name', '=', 'spam-filter')
    .executeTakeFirstOrThrow();
  const { principal_id } = await principalRow(target);
  const id = newId('Prediction');
  const row = {
    id,
    version_id: version.id,
    principal_id,
    created_at: Date.now(),
    input,
    input_sha256: inputSha256,
    answer: typeof answer === 'string' ? answer : JSON.stringify(answer),
    label: null,
    timing: '{"queueMs":1,"prepareMs":1,"inferMs":1,"finishMs":1,"totalMs":4,"batchSize":1}',
    runtime: '{"executionProvider":"cpu","device":"cpu","artifactSha256":"00","variant":null}',
    truncated: 0,
  };
  await predictionDb.insertInto('prediction').values(row).execute();
  return id;
}

const PREDICT = `mutation ($input: PredictInput!) { predict(input: $input) { prediction { id } problem { message } } }`;

async function principalRow(target: TestApp): Promise<{ principal_id: string }> {
  const query = target.app.databases.predictionDb.selectFrom('prediction').select('principal_id').limit(1);
  const found = await query.executeTakeFirst();
  if (found) return found;
  await target.query(PREDICT, { input: { model: 'spam-filter', input: { text: 'first' } } });
  return query.executeTakeFirstOrThrow();
}

function blobs(target = app): BlobFolder {
  return new BlobFolder(`${target.dataDir}/blobs`);
}

async function photo(bytes: number, target = app): Promise<string> {
  const json = JSON.stringify({ image: { base64: 'A'.repeat(bytes) } });
  const inputSha256 = await blobs(target).put(json);
  return store({ answer: { kind: 'classification', label: 'ham', scores: [1, 0] }, input: null, inputSha256 }, target);
}

const packed = (datatype: string, array: { buffer: ArrayBufferLike }) => ({
  packed: datatype,
  base64: Buffer.from(array.buffer as ArrayBuffer).toString('base64'),
});

/** The answer of a token classification in which every character of the text is a span. */
function tokens(text: string): unknown {
  const positions = Array.from(text, (_, i) => i);
  const columns = {
    labels: packed(
      'UINT16',
      Uint16Array.from(positions, () => 0),
    ),
    scores: packed(
      'FP32',
      Float32Array.from(positions, () => 0.123),
    ),
    starts: packed('UINT32', Uint32Array.from(positions)),
    ends: packed(
      'UINT32',
      Uint32Array.from(positions, (i) => i + 1),
    ),
  };
  const spans = Object.fromEntries(['NONE', 'SIMPLE', 'FIRST', 'AVERAGE', 'MAX'].map((name) => [name, columns]));
  return { kind: 'tokens', text, labels: ['PER'], spans };
}

const many = (length: number, scoreOf = (i: number) => i / length) => ({
  kind: 'classification',
  label: 'label 0',
  scores: Array.from({ length }, (_, i) => scoreOf(i)),
  labels: Array.from({ length }, (_, i) => `label ${i}`),
});

/** Counts the calls of a method while `work` runs. */
async function calls<T extends object>(
  owner: T,
  name: keyof T & string,
  work: () => Promise<unknown>,
): Promise<number> {
  const method = owner[name] as (...args: unknown[]) => unknown;
  let count = 0;
  Object.defineProperty(owner, name, {
    configurable: true,
    writable: true,
    value(this: unknown, ...args: unknown[]) {
      count++;
      return method.apply(this, args);
    },
  });
  await work().finally(() => Object.defineProperty(owner, name, { configurable: true, writable: true, value: method }));
  return count;
}

test('a page of large inputs holds as many as fit, and one error for the others', async () => {
  const ids: string[] = [];
  for (let i = 0; i < 6; i++) ids.push(await photo(5 * MIB));

  const { bytes, data, errors } = await send('{ predictions(first: 6) { nodes { id input } } }');

  expect(bytes).toBeLessThan(16 * MIB);
  expect(data.predictions.nodes.map((node: Data) => node.id)).toEqual(ids.toReversed());
  expect(data.predictions.nodes.filter((node: Data) => node.input?.image.base64.length === 5 * MIB)).toHaveLength(3);
  expect(errors).toHaveLength(1);
  // The sizes of the inputs are read from the disk, in any order.
  const place = errors[0]?.path?.[2] as number;
  expect(data.predictions.nodes[place].input).toBeNull();
  expect(errors[0]).toMatchObject({
    message: expect.stringContaining('3 fields were left out'),
    path: ['predictions', 'nodes', place, 'input'],
    extensions: { code: 'RESPONSE_TOO_LARGE', leftOut: 3 },
  });
});

test('fifty aliases of a large input read it once, and the answer holds the first', async () => {
  const id = await photo(11 * MIB);
  let answered: Answered | undefined;

  const reads = await calls(BlobFolder.prototype, 'get', async () => {
    answered = await send(`query ($id: ID!) { prediction(id: $id) { ${aliases(50, 'input')} id } }`, { id });
  });

  expect(reads).toBe(1);
  expect(answered?.bytes).toBeLessThan(16 * MIB);
  expect(answered?.data.prediction).toMatchObject({ id, a1: null, a49: null });
  expect(answered?.data.prediction.a0.image.base64).toHaveLength(11 * MIB);
  expect(answered?.errors).toMatchObject([{ path: ['prediction', 'a1'], extensions: { leftOut: 49 } }]);
});

test('an input that is larger than the budget is not read', async () => {
  const id = await photo(17 * MIB);

  const reads = await calls(BlobFolder.prototype, 'get', async () => {
    const { data, errors } = await send('query ($id: ID!) { node(id: $id) { id ... on Prediction { input } } }', {
      id,
    });
    expect(data.node).toEqual({ id, input: null });
    expect(errors).toMatchObject([{ path: ['node', 'input'], extensions: { code: 'RESPONSE_TOO_LARGE' } }]);
  });

  expect(reads).toBe(0);
});

test('inputs of every kind are returned as they were sent', async () => {
  const quoted = { text: 'a "quoted" \u0001 “text” \u2028 json-text-0' };
  const { predict } = await app.query(
    'mutation ($input: PredictInput!) { predict(input: $input) { prediction { id input } } }',
    { input: { model: 'spam-filter', input: quoted } },
  );
  const large = JSON.stringify({ text: 'é'.repeat(20_000) });
  const id = await store({ answer: many(2), input: null, inputSha256: await blobs().put(large) });

  const { data } = await send('query ($ids: [ID!]!) { nodes(ids: $ids) { ... on Prediction { a: input b: input } } }', {
    ids: [predict.prediction.id, id],
  });

  expect(predict.prediction.input).toEqual(quoted);
  expect(data.nodes[0]).toEqual({ a: quoted, b: quoted });
  expect(data.nodes[1]).toEqual({ a: JSON.parse(large), b: JSON.parse(large) });
});

test('a list of predictions reads neither answers nor inputs that are not selected', async () => {
  const id = await store({ answer: 'this is not JSON', input: 'neither is this' });

  const listed = await send(
    '{ predictions(first: 1) { nodes { id createdAt recorded truncated timing { totalMs } runtime { device } } } }',
  );
  const one = await send('query ($id: ID!) { prediction(id: $id) { id } }', { id });
  await app.app.databases.predictionDb.deleteFrom('prediction').where('id', '=', id).execute();

  expect(listed.errors).toEqual([]);
  expect(listed.data.predictions.nodes).toMatchObject([
    { id, recorded: true, truncated: false, timing: { totalMs: 4 } },
  ]);
  expect(one.data.prediction).toEqual({ id });
});

test('an answer is read and decoded once, however many of its fields are selected', async () => {
  const id = await store({ answer: many(1000) });
  const selection = '... on Classification { label score classes(first: 3) { label score } }';
  const file = app.app.databases.predictionsFile;
  const before = file.statementCount;

  const { data } = await send(
    `query ($id: ID!) { prediction(id: $id) { ${aliases(40, `output { ${selection} }`)} } }`,
    { id },
  );

  expect(data.prediction.a0.classes.map(({ label }: Data) => label)).toEqual(['label 999', 'label 998', 'label 997']);
  expect(data.prediction.a39).toEqual(data.prediction.a0);
  expect(file.statementCount - before).toBe(2);
});

test('stored answers are read until the budget is used up', async () => {
  const vector = () => ({ kind: 'embedding', vector: packed('FP32', new Float32Array(1.3 * MIB)) });
  const ids = [];
  for (let i = 0; i < 4; i++) ids.push(await store({ answer: vector() }));

  const { data, errors } = await send(
    'query ($ids: [ID!]!) { nodes(ids: $ids) { ... on Prediction { output { ... on Embedding { dimensions } } } } }',
    { ids },
  );

  expect(data.nodes.map((node: Data) => node.output?.dimensions ?? null)).toEqual([
    ...Array(2).fill(Math.floor(1.3 * MIB)),
    null,
    null,
  ]);
  expect(errors).toMatchObject([
    { path: ['nodes', 2, 'output'], extensions: { code: 'RESPONSE_TOO_LARGE', leftOut: 2 } },
  ]);
});

test('stored answers of one request are decoded and completed in turns of the event loop, not all in one', async () => {
  const ids: string[] = [];
  for (let i = 0; i < 8; i++) ids.push(await store({ answer: tokens('x'.repeat(5_000)) }));
  const original = JSON.parse;
  const decodedIn: number[] = [];
  let turn = 0;
  const count = () => {
    turn++;
    counting = setImmediate(count);
  };
  let counting = setImmediate(count);
  JSON.parse = ((text: string, reviver) => {
    if (text.startsWith('{"kind":"tokens"')) decodedIn.push(turn);
    return original(text, reviver);
  }) as typeof original;

  const { data, errors } = await send(
    'query ($ids: [ID!]!) { nodes(ids: $ids) { ... on Prediction { output { ... on Tokens { items { start } } } } } }',
    { ids },
  );
  JSON.parse = original;
  clearImmediate(counting);

  expect(errors).toEqual([]);
  expect(data.nodes.map((node: Data) => node.output.items.length)).toEqual(Array(8).fill(5_000));
  expect(new Set(decodedIn).size).toBe(8);
});

test('45 aliases of the spans of a text of 100,000 characters give one error and a bounded answer', async () => {
  const id = await store({ answer: tokens('x'.repeat(100_000)) });
  const items = (i: number) => `items(aggregation: ${['NONE', 'SIMPLE', 'MAX'][i % 3]}) { label word start }`;

  const { bytes, data, errors } = await send(
    `query ($id: ID!) { prediction(id: $id) { id output { ... on Tokens { ${aliases(45, items)} } } } }`,
    { id },
  );

  expect(bytes).toBeLessThan(16 * MIB);
  expect(data.prediction).toEqual({ id, output: null });
  expect(errors).toMatchObject([
    { path: ['prediction', 'output', expect.stringMatching(/^a\d+$/)], extensions: { code: 'RESPONSE_TOO_LARGE' } },
  ]);
});

test('all spans of a text of 100,000 characters are returned with all their fields', async () => {
  const id = await store({ answer: tokens('x'.repeat(100_000)) });

  const { data, errors } = await send(
    'query ($id: ID!) { prediction(id: $id) { output { ... on Tokens { items { label score word start end } } } } }',
    { id },
  );

  expect(errors).toEqual([]);
  expect(data.prediction.output.items).toHaveLength(100_000);
});

test('classes with different arguments are chosen from one sorted list', async () => {
  const id = await store({ answer: many(100_000) });
  const field = (i: number) => `classes(first: ${i + 1}, minScore: ${0.5 + i / 1000}) { label }`;
  const sorts = await calls(Uint32Array.prototype, 'sort', async () => {
    const { data, errors } = await send(
      `query ($id: ID!) { prediction(id: $id) { output { ... on Classification { ${aliases(45, field)}
        few: classes(first: 100, minScore: 0.9999) { score } none: classes(first: 5, minScore: 2) { score } } } } }`,
      { id },
    );
    expect(errors).toEqual([]);
    const { output } = data.prediction;
    expect(output.a44.map(({ label }: Data) => label)).toEqual(
      Array.from({ length: 45 }, (_, i) => `label ${99_999 - i}`),
    );
    expect([output.few.length, output.none.length]).toEqual([10, 0]);
  });

  expect(sorts).toBe(1);
});

test('aliases of a vector round it once', async () => {
  const id = await store({
    answer: { kind: 'embedding', vector: packed('FP32', Float32Array.from({ length: 384 }, Math.sin)) },
  });

  const roundings = await calls(Number.prototype, 'toPrecision', async () => {
    const { data } = await send(
      `query ($id: ID!) { prediction(id: $id) { output { ... on Embedding { ${aliases(50, 'vector')} } } } }`,
      { id },
    );
    expect(data.prediction.output.a49).toEqual(data.prediction.output.a0);
  });

  expect(roundings).toBe(384);
});

test('the tensors of predictMany under many aliases stay within the budget, and the ids are returned', async () => {
  const models = await createStore();
  const graph = {
    inputs: [{ name: 'x', type: 'FP32' as const, shape: ['N', 4096] }],
    outputs: [{ name: 'y', type: 'FP32' as const, shape: ['N', 4096] }],
    nodes: [{ op: 'Identity', inputs: ['x'], outputs: ['y'] }],
  };
  await models.write('same', { '1/model.onnx': encodeModel(graph) });
  const live = await startTestApp({ isAlone: true, modelStore: models.folder, defaultDeadlineMs: 600_000 });
  const base64 = Buffer.alloc(4 * 4096).toString('base64');
  const inputs = Array.from({ length: 100 }, () => ({
    tensors: [{ name: 'x', datatype: 'FP32', shape: [1, 4096], base64 }],
  }));

  const { bytes, data, errors } = await send(
    `mutation ($input: PredictManyInput!) { predictMany(input: $input) { results {
      prediction { id output { ... on Tensors { tensors { ${aliases(15, 'base64')} } } } } problem { code } } } }`,
    { input: { model: 'same', inputs, record: false } },
    live.url,
  );
  await live.stop();
  await models.remove();

  const { results } = data.predictMany;
  expect(bytes).toBeLessThan(16 * MIB);
  expect(results.every(({ prediction }: Data) => prediction?.id)).toBe(true);
  expect(results[0].prediction.output.tensors[0].a14).toBe(base64);
  expect(results[99].prediction.output).toBeNull();
  expect(errors).toMatchObject([{ extensions: { code: 'RESPONSE_TOO_LARGE' } }]);
});

test('the data of a tensor is reserved before it is listed', async () => {
  const tensor = (name: string, length: number) => ({
    name,
    datatype: 'FP32',
    shape: [length],
    data: packed('FP32', new Float32Array(length)),
  });
  const id = await store({ answer: { kind: 'tensors', tensors: [tensor('small', 10), tensor('large', 900_000)] } });

  const { data, errors } = await send(
    'query ($id: ID!) { prediction(id: $id) { output { ... on Tensors { tensors { name data base64 } } } } }',
    { id },
  );

  const [small, large] = data.prediction.output.tensors;
  expect(small.data).toEqual(Array(10).fill(0));
  expect(large).toMatchObject({ name: 'large', data: null, base64: expect.any(String) });
  expect(errors).toMatchObject([{ path: ['prediction', 'output', 'tensors', 1, 'data'], extensions: { leftOut: 1 } }]);
});

test('aliases in a mutation are separate operations, and their answers are not shared', async () => {
  const input = { model: 'spam-filter', input: { text: 'twice' }, record: false };

  const { data } = await send(
    `mutation ($input: PredictInput!) { a: predict(input: $input) { prediction { id } } b: predict(input: $input) { prediction { id } } }`,
    { input },
  );

  expect(data.a.prediction.id).not.toBe(data.b.prediction.id);
});

test('a field of the same object is resolved again for the next mutation, which may have changed it', async () => {
  const input = { model: 'spam-filter', input: { text: 'again' }, record: false };
  const alias = { model: 'spam-filter', alias: 'between', version: 'spam-filter:2' };

  const { data } = await send(
    `mutation ($input: PredictInput!, $alias: SetAliasInput!) {
      before: predict(input: $input) { prediction { predictedBy { aliasNames } } }
      set: setAlias(input: $alias) { problem { message } }
      after: predict(input: $input) { prediction { predictedBy { aliasNames } } }
    }`,
    { input, alias },
  );

  expect(data.set.problem).toBeNull();
  expect(data.before.prediction.predictedBy.aliasNames).not.toContain('between');
  expect(data.after.prediction.predictedBy.aliasNames).toContain('between');
});

test('the large texts of the catalog are not read unless they are selected, and count if they are', async () => {
  const { catalogDb } = app.app.databases;
  const markdown = 'x'.repeat(MIB);
  await catalogDb
    .updateTable('model')
    .set({ card: JSON.stringify({ markdown }) })
    .where('name', '=', 'penguins')
    .execute();
  await catalogDb
    .updateTable('dataset')
    .set({ columns: 'not JSON', preview: 'not JSON' })
    .where('name', '=', 'penguins-test')
    .execute();

  const cards = await send(`{ model(name: "penguins") { name ${aliases(50, 'card { markdown }')} } }`);
  const names = await send(
    '{ datasets(first: 100) { nodes { name } } models(first: 100) { nodes { name versions { nodes { ref } } } } }',
  );

  expect(cards.data.model).toBeNull();
  expect(cards.errors).toMatchObject([
    { path: ['model', 'a15', 'markdown'], extensions: { code: 'RESPONSE_TOO_LARGE' } },
  ]);
  expect(names.errors).toEqual([]);
  expect(names.data.datasets.nodes).toContainEqual({ name: 'penguins-test' });
});

test('a version with many labels and a large example is listed without them', async () => {
  const { catalogDb } = app.app.databases;
  const row = await catalogDb
    .selectFrom('version')
    .innerJoin('model', 'model.id', 'version.model_id')
    .select(['version.id', 'spec'])
    .where('model.name', '=', 'penguin-mass')
    .executeTakeFirstOrThrow();
  const labels = Array.from({ length: 10_000 }, (_, i) => `label ${i}`);
  const spec = JSON.stringify({ ...JSON.parse(row.spec as string), labels, example: { text: 'y'.repeat(2 * MIB) } });
  await catalogDb.updateTable('version').set({ spec }).where('id', '=', row.id).execute();

  const { data, bytes, errors } = await send(
    `{ version(ref: "penguin-mass") { ref serving { maxBatch } signature { ${aliases(45, 'labels')} } e: signature { example } } }`,
  );
  const parsed = await calls(JSON, 'parse', async () => {
    await send('{ version(ref: "penguin-mass") { ref } }');
  });
  await catalogDb.updateTable('version').set({ spec: row.spec }).where('id', '=', row.id).execute();

  expect(errors).toEqual([]);
  expect(data.version.signature.a44).toHaveLength(10_000);
  expect(data.version.e.example.text).toHaveLength(2 * MIB);
  expect(bytes).toBeGreaterThan(2 * MIB);
  // The bodies of the request and of the response, the rows of two statements, the tags, the verification, and possibly whether
  // the file of the keys has changed.
  expect(parsed).toBeLessThanOrEqual(7);
});

describe('with a small budget for all answers', () => {
  let small: TestApp;
  beforeAll(async () => {
    small = await startTestApp({ isAlone: true, maxResponseBytes: 16 * MIB, maxResponseBytesInFlight: 32 * MIB });
  });
  afterAll(() => small.stop());

  test('an answer that does not fit beside the others is refused, and succeeds when they have been sent', async () => {
    // More than the sockets buffer.
    const id = await photo(15 * MIB, small);
    const query = `query ($id: ID!) { prediction(id: $id) { id input } }`;
    const body = JSON.stringify({ query, variables: { id } });
    // A client that reads nothing: the answer stays in flight.
    const held = request(`${small.url}/graphql`, { method: 'POST', headers: { 'content-type': 'application/json' } });
    const began = new Promise<void>((resolve) => held.on('response', (response) => resolve(void response.pause())));
    held.end(body);
    await began;

    const refused = await send(query, { id }, small.url);
    held.destroy();
    let later: Answered | undefined;
    await until('the connection has closed', async () => {
      later = await send(query, { id }, small.url);
      return later.errors.length === 0;
    });

    expect(refused.bytes).toBeLessThan(MIB);
    expect(refused.data.prediction).toEqual({ id, input: null });
    expect(refused.errors).toMatchObject([
      { path: ['prediction', 'input'], extensions: { code: 'OVERLOADED', retryable: true, retryAfterMs: 1_000 } },
    ]);
    expect(later?.data.prediction.input.image.base64).toHaveLength(15 * MIB);
  });

  test('a hundred answers after each other give back what they reserved', async () => {
    const id = await photo(1.2 * MIB, small);
    for (let i = 0; i < 100; i++) {
      const { errors } = await send('query ($id: ID!) { prediction(id: $id) { input } }', { id }, small.url);
      expect(errors).toEqual([]);
    }
  });

  test('the limits query has the limit', async () => {
    const { limits } = await small.query('{ limits { maxResponseBytes } }');

    expect(limits).toEqual({ maxResponseBytes: 16 * MIB });
  });
});
