/**
 * What an account sees does not change by one byte when the private data of another account do: the same requests are sent
 * while the other account has private models, datasets, predictions and keys, while it has others, and while it has none. Load
 * figures are left out.
 */
import 'reflect-metadata';
import { readFile } from 'node:fs/promises';
import { buildSchema } from 'graphql';
import { SYSTEM } from '#src/access/principal.js';
import { moveAlias } from '#src/catalog/alias.queries.js';
import { addVersion, saveDataset, saveModel } from '#src/catalog/registration.queries.js';
import { insertEvaluation } from '#src/evaluation/evaluation.queries.js';
import { newId } from '#src/storage/ids.js';
import { neutral } from '../endurance/both-ways.ts';
import { growDocument, type Harvest, type Operation } from '../endurance/fuzz/grammar.ts';
import { readOperations } from '../endurance/fuzz/material.ts';
import { type Data, startTestApp, type TestApp } from '../support/app.js';
import { metricOf } from '../support/large-catalog.js';
import { seeded } from '../support/seeded-random.js';

const GENERATED = 150;
const SEED = 20_261_127;

let app: TestApp;
let alpha: string;
let beta: string;
let betaAdmin: string;
beforeAll(async () => {
  app = await startTestApp();
  const admin = await create({ name: 'admin', account: 'team', roles: ['ADMIN'] }, null);
  betaAdmin = await create({ name: 'boss', account: 'beta', roles: ['ADMIN'] }, admin);
  alpha = await create({ name: 'a', account: 'alpha', roles: ['PREDICTOR', 'PUBLISHER', 'EVALUATOR'] }, admin);
  beta = await create({ name: 'b', account: 'beta', roles: ['PREDICTOR'] }, admin);
  const own = { visibility: 'private', account: 'alpha' } as const;
  await app.app.databases.catalogDb.updateTable('model').set(own).where('name', '=', 'penguins').execute();
  await predict(alpha, 'penguins', { row: { beak_length: 40 } });
  await predict(alpha, 'spam-filter', { text: 'hello' });
});
afterAll(() => app.stop());

interface Sent {
  readonly status: number;
  readonly headers: readonly (readonly [string, string])[];
  readonly text: string;
}

async function send(key: string | null, body: object): Promise<Sent> {
  const response = await fetch(`${app.url}/graphql`, {
    method: 'POST',
    headers: {
      'accept-encoding': 'identity',
      'content-type': 'application/json',
      ...(key && { authorization: `Bearer ${key}` }),
    },
    body: JSON.stringify(body),
  });
  const headers = [...response.headers].filter(([name]) => name !== 'date' && name !== 'x-request-id');
  return { status: response.status, headers, text: await response.text() };
}

async function query(key: string | null, text: string, variables: object = {}): Promise<Data> {
  const { data, errors } = JSON.parse((await send(key, { query: text, variables })).text);
  if (errors) throw new Error(JSON.stringify(errors));
  return data;
}

async function create(input: object, by: string | null): Promise<string> {
  const text = 'mutation ($input: CreateApiKeyInput!) { createApiKey(input: $input) { secret } }';
  return (await query(by, text, { input })).createApiKey.secret;
}

const PREDICT =
  'mutation ($input: PredictInput!) { predict(input: $input) { prediction { id } problem { code message } } }';
const predict = (key: string, model: string, input: object) => query(key, PREDICT, { input: { model, input } });

/** A private model of the account beta with the graph of a public one, two versions, an alias and evaluations. */
async function addModel(name: string, words: string): Promise<void> {
  const db = app.app.databases.catalogDb;
  const [version] = await db
    .selectFrom('version')
    .innerJoin('model', 'model.id', 'version.model_id')
    .selectAll('version')
    .where('model.name', '=', 'spam-filter')
    .execute();
  const dataset = await db
    .selectFrom('dataset')
    .select('id')
    .where('name', '=', 'spamassassin-test')
    .executeTakeFirst();
  const { id: _, created_at, updated_at, ...source } = version as NonNullable<typeof version>;
  const text = { name, title: words, summary: words, card: JSON.stringify({ markdown: `# ${words}\n\n${words}` }) };
  const rest = { task: 'TEXT_CLASSIFICATION', owner: 'Nobody Else', account: 'beta', license: 'secret-1.0' };
  const model = { ...text, ...rest, retention_days: null, tags: ['text', 'only-of-beta'] };
  const ids = await db.transaction().execute(async (trx) => {
    // A model that was public before would have been part of what is public.
    const times = { created_at: 2, updated_at: 2 };
    const { tags: __, ...row } = model;
    const fresh = {
      id: newId('Model'),
      visibility: 'private' as const,
      origin: 'store' as const,
      search_id: null,
      ...NO_DEFAULT,
      ...times,
    };
    await trx
      .insertInto('model')
      .values({ ...row, ...fresh })
      .execute();
    const model_id = await saveModel(trx, model, 2);
    const made = [1, 2].map((number) => ({ ...source, model_id, number, source_sha256: `${name}-${number}` }));
    const versions: string[] = [];
    for (const one of made) versions.push(await addVersion(trx, one, ['spamassassin-train'], 2));
    const move = { modelId: model_id, alias: 'champion', versionId: versions[0] as string };
    await moveAlias(trx, { ...move, author: SYSTEM, reason: null, restores: null }, 3);
    return versions;
  });
  for (const version_id of ids) {
    const of = { version_id, dataset_id: dataset?.id as string, origin: 'IMPORTED' as const, evaluated_rows: 3 };
    await insertEvaluation(db, of, [metricOf(0.99)], 4);
  }
}

const NO_DEFAULT = { default_version_id: null, default_framework: null, default_bytes: null };

async function addDataset(name: string): Promise<void> {
  const db = app.app.databases.catalogDb;
  const found = await db
    .selectFrom('dataset')
    .selectAll()
    .where('name', '=', 'penguins-test')
    .executeTakeFirstOrThrow();
  const { id: _, visibility, created_at, updated_at, ...dataset } = found;
  await db.transaction().execute((trx) => saveDataset(trx, { ...dataset, name, sha256: null }, 2));
  await db.updateTable('dataset').set({ visibility: 'private' }).where('name', '=', name).execute();
}

/** Everything that the account beta does in private, through the API where it can. */
async function workAsBeta(names: readonly string[], words: string): Promise<void> {
  for (const name of names) await addModel(name, words);
  await addDataset(`secret-${names[0]}`);
  const alias = `mutation { setAlias(input: { model: "${names[0]}", alias: "next", version: "${names[0]}:2" }) { problem { code } } }`;
  await query(betaAdmin, alias);
  for (const name of names) await predict(beta, name, { text: `${words} of beta` });
  await predict(beta, 'spam-filter', { text: 'free money' });
  await create({ name: 'more', account: 'beta', roles: ['VIEWER'] }, betaAdmin);
}

async function removeBeta(): Promise<void> {
  await app.app.databases.catalogDb.transaction().execute(async (trx) => {
    const models = trx.selectFrom('model').select('id').where('account', '=', 'beta');
    const versions = trx.selectFrom('version').select('id').where('model_id', 'in', models);
    const evaluations = trx.selectFrom('evaluation').select('id').where('version_id', 'in', versions);
    await trx.updateTable('model').set({ default_version_id: null }).where('account', '=', 'beta').execute();
    await trx.deleteFrom('metric').where('evaluation_id', 'in', evaluations).execute();
    await trx.deleteFrom('evaluation').where('version_id', 'in', versions).execute();
    await trx.deleteFrom('alias').where('model_id', 'in', models).execute();
    await trx.deleteFrom('version_dataset').where('version_id', 'in', versions).execute();
    await trx.deleteFrom('version').where('model_id', 'in', models).execute();
    await trx.deleteFrom('model_tag').where('model_id', 'in', models).execute();
    await trx.deleteFrom('model').where('account', '=', 'beta').execute();
    await trx.deleteFrom('dataset').where('name', 'like', 'secret-%').execute();
  });
}

/** Ids, cursors and names of everything there is, so that the account alpha can guess those of the account beta. */
async function harvest(): Promise<Harvest> {
  const text = `{
    models(first: 100) { edges { cursor node { id name tags owner license version { id ref evaluations { edges { cursor node { id } } } } } } }
    search: models(search: "text") { edges { cursor } }
    datasets { edges { cursor node { id name } } }
    predictions { edges { cursor node { id } } }
  }`;
  const homes = { ids: new Set<string>(), cursors: new Set<string>(), names: new Set<string>() };
  for (const key of [betaAdmin, beta, alpha])
    JSON.stringify(await query(key, text), (name, value) => {
      const home = name === 'id' ? homes.ids : name === 'cursor' ? homes.cursors : homes.names;
      if (typeof value === 'string') home.add(value);
      return value;
    });
  return { ids: [...homes.ids], cursors: [...homes.cursors], names: [...homes.names] };
}

/** What is measured, counted or changed for all callers together, and what says when it was measured. */
const LOAD = /\b(serving|engine|imports|latency|queueDepth|live|evaluate|recommendEvaluations|setGate)\b/;

async function requests(known: Harvest): Promise<Operation[]> {
  const schema = buildSchema(await readFile('schema/schema.graphql', 'utf8'));
  const shipped = (await readOperations()).map(({ query: text, variables }) => ({
    query: text,
    variables: JSON.parse(JSON.stringify(variables), (_, value) =>
      value?.model && (value.input || value.inputs || value.rows) ? { ...value, record: false } : value,
    ),
  }));
  const generated = Array.from({ length: GENERATED }, (_, i) => growDocument(seeded(SEED + i), schema, known));
  return [...shipped, ...byHand(known), ...generated.filter(({ query: text }) => !text.startsWith('mutation'))].filter(
    ({ query: text }) => !LOAD.test(text),
  );
}

function byHand({ ids, names }: Harvest): Operation[] {
  const searches = ['text', 'spam', 'messages', 'secret words', 'mail', 'se', 'filter'].map(
    (search) =>
      `{ models(search: "${search}", first: 3) { totalCount totalCountCapped edges { cursor node { name } } facets { field buckets { value count } } } }`,
  );
  const ofNames = names.flatMap((name) => [
    `mutation { predict(input: { model: "${name}", input: { text: "a" }, record: false }) { problem { code message ... on NotFound { didYouMean } } } }`,
    `{ model(name: "${name}") { id } version(ref: "${name}:1") { id } dataset(name: "${name}") { id } }`,
    `{ predictions(filter: { model: "${name}" }) { totalCount } }`,
    `mutation { setAlias(input: { model: "${name}", alias: "x", version: "${name}:1" }) { problem { code message } } }`,
  ]);
  const ofIds = ids.map((id) => `{ node(id: "${id}") { id __typename } }`);
  const lists = [
    '{ models(first: 100) { totalCount nodes { name tags updatedAt versions { totalCount } } facets { field buckets { value count } } } }',
    '{ models(orderBy: { field: UPDATED_AT, direction: DESC }, first: 5) { edges { cursor } pageInfo { hasNextPage endCursor } } }',
    '{ models(filter: { metric: { metric: "accuracy", min: 0.5 } }) { totalCount nodes { name } } }',
    '{ models(filter: { tags: ["text"], owners: ["Nobody Else"] }) { totalCount facets { field buckets { value count } } } }',
    '{ datasets(first: 100) { totalCount nodes { name trainedVersions { totalCount nodes { ref } } evaluations { totalCount nodes { id } } } } }',
    '{ predictions { totalCount nodes { id input } } version(ref: "spam-filter") { predictions { totalCount } evaluations { totalCount } } }',
    '{ viewer { account roles key { name } } limits { maxCost } }',
  ];
  return [...searches, ...ofNames, ...ofIds, ...lists].map((text) => ({ query: text, variables: {} }));
}

async function answersOf(operations: readonly Operation[]): Promise<string[]> {
  const answers: string[] = [];
  for (const operation of operations) {
    const { status, headers, text } = await send(alpha, operation);
    const isExact = !operation.query.includes('mutation');
    answers.push(`${status} ${isExact ? JSON.stringify(headers) : ''} ${isExact ? text : neutral(text)}`);
  }
  return answers;
}

test('what an account sees does not change when the private data of another account change', async () => {
  await workAsBeta(['spam-filters', 'spam-filter-secret', 'penguin'], 'Secret words about text, spam and messages');
  const operations = await requests(await harvest());

  const withFirst = await answersOf(operations);
  await removeBeta();
  const without = await answersOf(operations);
  await workAsBeta(['spam-fighter', 'text'], 'Messages and mail, mail, mail');
  const withOthers = await answersOf(operations);
  const found = await query(beta, '{ models(search: "mail") { totalCount nodes { name } } }');

  const differing = operations.flatMap(({ query: text }, i) =>
    without[i] === withFirst[i] && without[i] === withOthers[i]
      ? []
      : [{ text, without: without[i], withFirst: withFirst[i], withOthers: withOthers[i] }],
  );
  expect(differing.slice(0, 5)).toEqual([]);
  expect(found.models.totalCount).toBe(4);
  expect(found.models.nodes.slice(0, 2)).toEqual([{ name: 'spam-fighter' }, { name: 'text' }]);
  expect(operations.length).toBeGreaterThan(200);
  expect(without.filter((answer) => answer.startsWith('200')).length).toBeGreaterThan(150);
});
