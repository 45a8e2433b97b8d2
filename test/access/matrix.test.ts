/**
 * The authorization matrix: every root field and every kind of object, for every kind of key, on every way to it, over HTTP.
 * The verdicts are derived from the policies, so a new field or a new type with an id joins by itself.
 */
import 'reflect-metadata';
import http from 'node:http';
import { text } from 'node:stream/consumers';
import {
  type GraphQLField,
  type GraphQLInputType,
  type GraphQLSchema,
  getNamedType,
  getNullableType,
  isAbstractType,
  isEnumType,
  isInputObjectType,
  isLeafType,
  isListType,
  isObjectType,
  isRequiredArgument,
  isRequiredInputField,
} from 'graphql';
import { allows, type PolicyName } from '#src/access/policy.js';
import type { Principal } from '#src/access/principal.js';
import { ROLES, type Role } from '#src/access/roles.js';
import { createSchema } from '#src/api/schema.js';
import { type Data, startTestApp, type TestApp } from '../support/app.js';
import { createHttpServer } from '../support/http-server.js';
import { until } from '../support/until.js';

const ORIGIN = 'https://shop.example';
const OPERATIONS = ['model', 'version', 'viewer', 'node', 'nodes', 'predict'];
const schema = createSchema();

/** Who asks. The verdicts about them follow from these facts. */
interface Caller {
  readonly name: string;
  readonly key: string | null;
  readonly roles: readonly Role[];
  readonly account: string | null;
  readonly operations: readonly string[] | null;
  readonly isBoundToModels: boolean;
  readonly isPublishable: boolean;
  /** Whether the key is accepted at all. */
  readonly isAccepted: boolean;
}

const NOBODY: Caller = {
  name: 'nobody',
  key: null,
  roles: [],
  account: null,
  operations: null,
  isBoundToModels: false,
  isPublishable: false,
  isAccepted: true,
};

let app: TestApp;
let admin: string;
let callers: readonly Caller[];
let objects: readonly Subject[];
beforeAll(async () => {
  app = await startTestApp();
  admin = (await create(null, { name: 'admin', account: 'team', roles: ['ADMIN'] })).secret;
  callers = await makeCallers();
  objects = await makeObjects();
});
afterAll(() => app.stop());

const agent = new http.Agent({ keepAlive: true, maxSockets: 8 });
afterAll(() => agent.destroy());

interface Sent {
  readonly status: number;
  readonly text: string;
}

function request(path: string, method: string, key: string | null, body: object | null = null): Promise<Sent> {
  const headers = {
    ...(key && { authorization: `Bearer ${key}`, origin: ORIGIN }),
    ...(body && { 'content-type': 'application/json' }),
    'apollo-require-preflight': '1',
  };
  return new Promise((resolve, reject) => {
    const sent = http.request(`${app.url}${path}`, { method, agent, headers }, (response) =>
      text(response).then((received) => resolve({ status: response.statusCode ?? 0, text: received }), reject),
    );
    sent.on('error', reject).end(body ? JSON.stringify(body) : undefined);
  });
}

async function send(key: string | null, query: string, variables: object = {}): Promise<Data> {
  return JSON.parse((await request('/graphql', 'POST', key, { query, variables })).text);
}

async function create(by: string | null, input: object): Promise<{ id: string; secret: string }> {
  const query =
    'mutation ($input: CreateApiKeyInput!) { createApiKey(input: $input) { apiKey { id } secret problem { message ... on InvalidInput { problems { path } } } } }';
  const { data, errors } = await send(by, query, { input });
  if (!data?.createApiKey?.secret) throw new Error(JSON.stringify({ data, errors }));
  return { id: data.createApiKey.apiKey.id, secret: data.createApiKey.secret };
}

async function makeCallers(): Promise<Caller[]> {
  const made: Caller[] = [NOBODY];
  const make = async (name: string, roles: readonly Role[], more: object = {}, facts: Partial<Caller> = {}) => {
    const input = { name, account: 'team', roles: roles.map((role) => role.toUpperCase()), ...more };
    const { id, secret } = await create(admin, input);
    made.push({ ...NOBODY, name, key: secret, roles, account: 'team', ...facts });
    return id;
  };
  for (const role of ROLES) await make(role, [role]);
  await make('other account', ['predictor'], { account: 'rival' }, { account: 'rival' });
  await make('bound to a model', ['predictor'], { models: ['spam-filter'] }, { isBoundToModels: true });
  await make('bound to operations', ['admin'], { operations: OPERATIONS }, { operations: OPERATIONS });
  const page = { kind: 'PUBLISHABLE', origins: [ORIGIN], operations: OPERATIONS, models: ['spam-filter'] };
  await make('publishable', ['predictor'], page, {
    operations: OPERATIONS,
    isBoundToModels: true,
    isPublishable: true,
  });
  const ended = { isAccepted: false };
  const revoked = await make('revoked', ['admin'], {}, ended);
  await send(admin, 'mutation ($id: ID!) { revokeApiKey(id: $id) { problem { code } } }', { id: revoked });
  const expiresAt = new Date(Date.now() + 50);
  await make('expired', ['admin'], { expiresAt }, ended);
  await until('the key has expired', () => Date.now() > expiresAt.getTime());
  return made;
}

/** They erase whatever their account has, of all models. */
const FORBIDDEN_TO_KEYS_BOUND_TO_MODELS = ['deletePredictions', 'erasePredictions'];

type Verdict = 'allowed' | 'FORBIDDEN' | 'UNAUTHENTICATED';

function mayUse(caller: Caller, policy: PolicyName, field: string | null): boolean {
  const { roles, isPublishable, isBoundToModels, operations } = caller;
  if (isBoundToModels && field !== null && FORBIDDEN_TO_KEYS_BOUND_TO_MODELS.includes(field)) return false;
  const key = isPublishable ? { kind: 'publishable' } : null;
  const isListed = field === null || policy === 'public' || (operations?.includes(field) ?? true);
  return allows(policy, { roles, key } as unknown as Principal) && isListed;
}

/** `field`: of the root; null for a route. */
function verdictOf(caller: Caller, policy: PolicyName, field: string | null): Verdict {
  if (!caller.isAccepted) return 'UNAUTHENTICATED';
  if (mayUse(caller, policy, field)) return 'allowed';
  return caller.roles.length === 0 ? 'UNAUTHENTICATED' : 'FORBIDDEN';
}

type Field = GraphQLField<unknown, unknown>;

/** A call of a field that is valid and changes nothing: names are empty, ids unknown. */
function callOf(field: Field): string {
  const args = field.args.filter(isRequiredArgument).map(({ name, type }) => `${name}: ${emptyValue(type)}`);
  const type = getNamedType(field.type);
  const hasProblem = isObjectType(type) && type.getFields()['problem'] !== undefined;
  const selection = isLeafType(type) ? '' : hasProblem ? '{ problem { code } }' : '{ __typename }';
  return `${field.name}${args.length > 0 ? `(${args.join(', ')})` : ''} ${selection}`;
}

function emptyValue(given: GraphQLInputType): string {
  const type = getNullableType(given);
  if (isListType(type)) return '[]';
  if (isEnumType(type)) return type.getValues()[0]?.name as string;
  if (isInputObjectType(type)) {
    const fields = Object.values(type.getFields());
    const chosen = type.isOneOf ? fields.filter(({ name }) => name === 'text') : fields.filter(isRequiredInputField);
    return `{ ${chosen.map((field) => `${field.name}: ${emptyValue(field.type)}`).join(', ')} }`;
  }
  if (['Int', 'SafeInt', 'Float'].includes(type.name)) return '1';
  if (type.name === 'Boolean') return 'false';
  if (type.name.startsWith('JSON')) return '{}';
  if (type.name === 'DateTime') return '"2026-01-01T00:00:00.000Z"';
  return type.name === 'VersionRef' ? '"none"' : '""';
}

/** The ways in which a document can name a root field. */
const WAYS: Readonly<Record<string, (root: string, call: string) => string>> = {
  plain: (_, call) => `{ ${call} }`,
  alias: (_, call) => `{ __schema: ${call} }`,
  fragment: (root, call) => `{ ...A } fragment A on ${root} { ...B } fragment B on ${root} { ${call} }`,
  'inline fragment': (root, call) => `{ ... on ${root} @include(if: true) { ... { ${call} } } }`,
};

function fieldsOf({ getQueryType, getMutationType, getSubscriptionType }: GraphQLSchema): [string, Field][] {
  const roots = [getQueryType, getMutationType, getSubscriptionType].map((of) => of.call(schema));
  return roots.flatMap((root) =>
    Object.values(root?.getFields() ?? {}).map((field) => [root?.name ?? '', field] as [string, Field]),
  );
}

const CODES = /"code":"(FORBIDDEN|UNAUTHENTICATED)"/;

test('every root field answers exactly those whom its policy allows, on every way to it', async () => {
  const tried: Promise<{ place: string; is: string; shouldBe: string }>[] = [];
  for (const [root, field] of fieldsOf(schema)) {
    const policy = field.extensions['policy'] as PolicyName;
    for (const [way, write] of Object.entries(WAYS)) {
      const query = `${root.toLowerCase()} ${write(root, callOf(field))}`;
      for (const caller of callers) {
        const place = `${root}.${field.name} by ${way} as ${caller.name}`;
        const shouldBe = verdictOf(caller, policy, field.name);
        tried.push(
          request('/graphql', 'POST', caller.key, { query }).then((sent) => ({ place, is: seenIn(sent), shouldBe })),
        );
      }
    }
  }
  const results = await Promise.all(tried);

  console.log(`authorization matrix: ${results.length} requests for root fields`);
  expect(results.filter(({ is, shouldBe }) => is !== shouldBe)).toEqual([]);
  expect(results.length).toBeGreaterThan(1_000);
});

/** A refusal, "allowed", or what else went wrong. */
function seenIn({ status, text: answer }: Sent): string {
  const [, code] = CODES.exec(answer) ?? [];
  if (code) return code;
  return status === 200 || answer.includes('BAD_USER_INPUT') ? 'allowed' : `${status} ${answer.slice(0, 300)}`;
}

// ── objects ──

/** An object, and the documents that would show its canary: a text that occurs in nothing else. */
interface Subject {
  readonly type: string;
  readonly what: string;
  readonly canary: string;
  /** By root field. */
  readonly ways: Readonly<Record<string, readonly string[]>>;
  readonly policy: PolicyName;
  /** Null: everybody whom the policy allows. Administrators see all but predictions. */
  readonly accounts: readonly string[] | null;
}

async function makeObjects(): Promise<Subject[]> {
  const { catalogDb } = app.app.databases;
  const prediction = async (account: string) => {
    const { key } = callers.find((one) => one.account === account && one.roles.includes('predictor')) as Caller;
    const query =
      'mutation { predict(input: { model: "spam-filter", input: { text: "hello" } }) { prediction { id } } }';
    return (await send(key, query)).data.predict.prediction.id as string;
  };
  const predictions = { team: await prediction('team'), rival: await prediction('rival') };
  const owned = { penguins: 'team', 'fashion-mlp': 'rival' } as const;
  const found: Subject[] = [];
  for (const name of ['spam-filter', ...Object.keys(owned)]) {
    found.push(...(await subjectsOf(name, owned[name as keyof typeof owned] ?? null)));
  }
  for (const [name, account] of Object.entries(owned))
    await catalogDb.updateTable('model').set({ visibility: 'private', account }).where('name', '=', name).execute();
  const hidden = 'penguin-mass-train';
  found.push(await datasetOf('spamassassin-test', null), await datasetOf(hidden, []));
  await catalogDb.updateTable('dataset').set({ visibility: 'private' }).where('name', '=', hidden).execute();
  for (const [account, id] of Object.entries(predictions)) found.push(predictionOf(account, id));
  found.push(await publicationOf('team'));
  return found;
}

const byId = (id: string) => ({
  node: [
    `{ node(id: "${id}") { id } }`,
    `{ x: node(id: "${id}") { ...F } } fragment F on Node { id ... on Model { name } }`,
  ],
  nodes: [`{ nodes(ids: ["model_x", "${id}"]) { ... on Node { id } } }`],
});

async function subjectsOf(name: string, account: string | null): Promise<Subject[]> {
  const { data } = await send(
    admin,
    `{ model(name: "${name}") { id version { id ref evaluations { nodes { id } } trainedOn { name } } } }`,
  );
  const { id, version } = data.model;
  const common = { policy: 'read' as const, accounts: account === null ? null : [account] };
  const datasets = version.trainedOn.map((one: Data) => one.name) as string[];
  const evaluation = version.evaluations.nodes[0].id as string;
  return [
    {
      ...common,
      type: 'Model',
      what: name,
      canary: id,
      ways: {
        ...byId(id),
        model: [`{ model(name: "${name}") { id } }`],
        models: [
          '{ models(first: 100) { nodes { id } } }',
          `{ models(search: "${name.replace('-', ' ')}") { edges { node { id } } } }`,
        ],
        version: [`{ version(ref: "${name}") { model { id } } }`],
        datasets: ['{ datasets { nodes { trainedVersions { nodes { model { id } } } } } }'],
      },
    },
    {
      ...common,
      type: 'Version',
      what: version.ref,
      canary: version.id,
      ways: {
        ...byId(version.id),
        version: [`{ version(ref: "${version.ref}") { id } }`],
        model: [`{ model(name: "${name}") { version { id } aliases { aliasedVersion { id } } } }`],
        models: ['{ models(first: 100) { nodes { versions { nodes { id } } } } }'],
        dataset: datasets.map((one) => `{ dataset(name: "${one}") { trainedVersions { nodes { id } } } }`),
      },
    },
    {
      ...common,
      type: 'Evaluation',
      what: `an evaluation of ${name}`,
      canary: evaluation,
      ways: {
        ...byId(evaluation),
        version: [`{ version(ref: "${version.ref}") { evaluation { id } evaluations { nodes { id } } } }`],
        datasets: ['{ datasets { nodes { evaluations(first: 20) { nodes { id } } } } }'],
      },
    },
  ];
}

async function datasetOf(name: string, accounts: readonly string[] | null): Promise<Subject> {
  const { data } = await send(admin, `{ dataset(name: "${name}") { id } }`);
  const { id } = data.dataset;
  return {
    type: 'Dataset',
    what: name,
    canary: id,
    policy: 'read',
    accounts,
    ways: {
      ...byId(id),
      dataset: [`{ dataset(name: "${name}") { id } }`],
      datasets: ['{ datasets(first: 100) { nodes { id } } }'],
    },
  };
}

function predictionOf(account: string, id: string): Subject {
  return {
    type: 'Prediction',
    what: `a prediction of ${account}`,
    canary: id,
    policy: 'history',
    accounts: [account],
    ways: {
      ...byId(id),
      prediction: [`{ prediction(id: "${id}") { id } }`],
      predictions: [
        '{ predictions { nodes { id } } }',
        '{ predictions(filter: { model: "spam-filter" }) { edges { node { id } } } }',
      ],
      version: ['{ version(ref: "spam-filter") { predictions { nodes { id } } } }'],
      model: ['{ model(name: "spam-filter") { versions { nodes { predictions { edges { node { id } } } } } } }'],
    },
  };
}

/** A publication of the account that was refused. */
async function publicationOf(account: string): Promise<Subject> {
  const { catalogDb } = app.app.databases;
  const { id: model_id } = await catalogDb.selectFrom('model').select('id').limit(1).executeTakeFirstOrThrow();
  const id = 'publication_00000000-0000-7000-8000-000000000000';
  const author = { account, key_id: null, issuer: null, subject: null };
  const rest = { files: '[]', manifest: null, aliases: '[]', reason: null, version_id: null, attempts: 1 };
  const times = { created_at: 1, updated_at: 1 };
  await catalogDb
    .insertInto('publication')
    .values({ id, ...author, ...rest, ...times, model_id, stage: 'REFUSED', refusal: 'a test' })
    .execute();
  return {
    type: 'Publication',
    what: `a publication of ${account}`,
    canary: id,
    policy: 'publish',
    accounts: [account],
    ways: { ...byId(id), publication: [`{ publication(id: "${id}") { id } }`] },
  };
}

/** Whether the caller may use the root field, and see the object below it. */
function shouldSee(caller: Caller, { policy, accounts }: Subject, root: string): boolean {
  const field = schema.getQueryType()?.getFields()[root];
  return (
    caller.isAccepted &&
    mayUse(caller, field?.extensions['policy'] as PolicyName, root) &&
    mayUse(caller, policy, null) &&
    (accounts === null ||
      accounts.includes(caller.account ?? '') ||
      (policy !== 'history' && caller.roles.includes('admin')))
  );
}

test('every kind of object is seen by exactly those who may see it, on every way to it', async () => {
  const tried: Promise<{ place: string; isSeen: boolean; shouldBe: boolean }>[] = [];
  for (const subject of objects) {
    for (const [root, queries] of Object.entries(subject.ways)) {
      for (const query of queries) {
        for (const caller of callers) {
          const place = `${subject.what} by ${query} as ${caller.name}`;
          const shouldBe = shouldSee(caller, subject, root);
          tried.push(
            request('/graphql', 'POST', caller.key, { query }).then((sent) => ({
              place: `${place}: ${sent.text.slice(0, 200)}`,
              isSeen: sent.text.slice(sent.text.indexOf('"data"')).includes(`"${subject.canary}"`),
              shouldBe,
            })),
          );
        }
      }
    }
  }
  const results = await Promise.all(tried);

  console.log(`authorization matrix: ${results.length} requests for objects`);
  expect(results.filter(({ isSeen, shouldBe }) => isSeen !== shouldBe)).toEqual([]);
  expect(results.length).toBeGreaterThan(700);
});

test('every type with an id is in the matrix', () => {
  const node = schema.getType('Node');
  const types = isAbstractType(node) ? schema.getPossibleTypes(node).map(({ name }) => name) : [];

  expect([...new Set(objects.map(({ type }) => type))].sort()).toEqual(types.sort());
});

// ── routes ──

/**
 * The policy of each route that is not in this list is a refusal: nothing answers there. Files, and uploads and images,
 * which the secret in the URL decides about, have tests of their own.
 */
const ROUTES: Readonly<Record<string, PolicyName>> = {
  '/': 'public',
  '/graphql': 'public',
  '/graphiql': 'public',
  '/graphiql/operations.json': 'public',
  '/health': 'public',
  '/health/live': 'public',
  '/health/ready': 'public',
  '/metrics': 'operate',
};

test('every route answers exactly those whom its policy allows', async () => {
  const paths = await routesOfServer();
  const tried = Object.entries(ROUTES).flatMap(([path, policy]) =>
    callers.map(async (caller) => {
      const { status } = await request(
        path === '/graphql' ? '/graphql?query=%7B__typename%7D' : path,
        'GET',
        caller.key,
      );
      return { path, caller: caller.name, status, shouldBe: STATUSES[verdictOf(caller, policy, null)] };
    }),
  );
  const results = await Promise.all(tried);

  console.log(`authorization matrix: ${results.length} requests for routes`);
  expect(paths.filter((one) => one !== '*' && !/^\/(graphiql\/assets|uploads|pictures|plots)\//.test(one))).toEqual(
    Object.keys(ROUTES).sort(),
  );
  expect(results.filter(({ status, shouldBe }) => status !== shouldBe)).toEqual([]);
});

const STATUSES: Readonly<Record<Verdict, number>> = { allowed: 200, FORBIDDEN: 403, UNAUTHENTICATED: 401 };

async function routesOfServer(): Promise<string[]> {
  const server = await createHttpServer();
  const printed = server.http.printRoutes({ commonPrefix: false });
  await server.http.close();
  await server.stop();
  const above: string[] = [];
  const paths: string[] = [];
  for (const line of printed.split('\n')) {
    const [, indent = '', part] = /^([│├└─ ]*)(\S+) \(/.exec(line) ?? [];
    if (part === undefined) continue;
    above.splice(indent.length / INDENT - 1, above.length, part);
    paths.push(above.join(''));
  }
  return [...new Set(paths)].sort();
}

/** Characters of each level in what `printRoutes` returns. */
const INDENT = 4;
