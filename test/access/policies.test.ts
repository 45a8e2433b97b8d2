/** Every root field declares a policy, and policies decide who may use it. */
import 'reflect-metadata';
import {
  buildSchema,
  type ExecutionResult,
  type GraphQLObjectType,
  type GraphQLSchema,
  graphql,
  parse,
  subscribe,
} from 'graphql';
import { Authentication } from '#src/access/authentication.js';
import { isPolicyName, isWithin, type PolicyName } from '#src/access/policy.js';
import { localPrincipal, nobody, type Principal } from '#src/access/principal.js';
import type { Role } from '#src/access/roles.js';
import { AnswerState } from '#src/api/answers.js';
import { enforcePolicies, waysToTypes } from '#src/api/policies.js';
import { AnswerBudget, AnswersInFlight } from '#src/api/response-budget.js';
import { createSchema } from '#src/api/schema.js';

const schema = createSchema();
const viewer: Principal = { ...localPrincipal('192.0.2.7'), roles: ['viewer' as Role] };
const nobodyWaits = { caller: 'a', isClosed: false, onClose: () => {}, disconnect: () => {} };
const OUTSIDER = {
  principal: viewer,
  answer: new AnswerState(new AnswerBudget(1_000_000, new AnswersInFlight(1_000_000), nobodyWaits)),
};

test('every root field declares a policy', () => {
  for (const root of [schema.getQueryType(), schema.getMutationType()]) {
    for (const { name, extensions } of Object.values(root?.getFields() ?? {})) {
      expect({ name, isDeclared: isPolicyName(extensions['policy']) }).toEqual({ name, isDeclared: true });
    }
  }
});

test('a schema with a root field that declares no policy is refused', () => {
  expect(() => enforcePolicies(buildSchema('type Query { secrets: String }'))).toThrow(
    'Query.secrets declares no policy',
  );
});

test('a schema with a root field that can be refused and is not nullable is refused', () => {
  const refusable = buildSchema('type Query { secrets: String! }');
  Object.assign(refusable.getQueryType()?.getFields()['secrets'] ?? {}, { extensions: { policy: 'operate' } });

  expect(() => enforcePolicies(refusable)).toThrow('Query.secrets must be nullable');
});

test('a field that names a policy which does not exist is refused, at the roots and below', () => {
  const wrong = schemaWith('type Query { model: Model } type Model { secret: String }', {
    'Query.model': 'read',
    'Model.secret': 'owners',
  });

  expect(() => enforcePolicies(wrong)).toThrow('Model.secret declares the policy owners, which does not exist');
});

test('a subscription that declares no policy is refused', () => {
  const open = schemaWith('type Query { name: String } type Subscription { ticks: Int }', { 'Query.name': 'public' });

  expect(() => enforcePolicies(open)).toThrow('Subscription.ticks declares no policy');
});

const WORKERS =
  'type Query { engine: Worker model: Model } type Model { name: String worker: Worker } type Worker { pid: Int }';

test('a schema in which a private type is reached by a field that others may use is refused', () => {
  const policies = { 'Query.engine': 'operate', 'Query.model': 'read', Worker: 'operate' };

  expect(() => enforcePolicies(schemaWith(WORKERS, policies))).toThrow(
    'Worker is for the policy operate, but Model.worker leads to it with the policy read',
  );
  expect(() => enforcePolicies(schemaWith(WORKERS, { ...policies, 'Model.worker': 'operate' }))).not.toThrow();
});

test('a field below the roots is refused to those whom its policy does not allow, and the others are answered', async () => {
  const policies = { 'Query.engine': 'operate', 'Query.model': 'read', Worker: 'operate', 'Model.worker': 'operate' };
  const schema = enforcePolicies(schemaWith(WORKERS, policies));
  const rootValue = { model: { name: 'a', worker: { pid: 1 } } };
  const source = '{ model { name ...F } } fragment F on Model { w: worker { pid } }';

  const refused = await graphql({ schema, source, rootValue, contextValue: OUTSIDER });
  const allowed = await graphql({ schema, source, rootValue, contextValue: { principal: localPrincipal('::1') } });

  expect(refused.data).toEqual({ model: { name: 'a', w: null } });
  expect(refused.errors?.[0]?.extensions).toEqual({ code: 'FORBIDDEN' });
  expect(allowed.data).toEqual({ model: { name: 'a', w: { pid: 1 } } });
});

/** Mutations return them, and lists have them: they show nothing but objects of other types, problems and new secrets. */
const WRAPPERS = /(Payload|Connection|Edge)$/;

test('every type that not everybody may read declares its policy', () => {
  const isForReaders = (policy: PolicyName) => isWithin('read', policy) || isWithin('predict', policy);
  for (const [{ name, extensions }, ways] of waysToTypes(schema)) {
    if (WRAPPERS.test(name) || ways.keys().some(isForReaders)) continue;
    expect({ name, isDeclared: isPolicyName(extensions['policy']) }).toEqual({ name, isDeclared: true });
  }
});

function schemaWith(sdl: string, policies: Readonly<Record<string, string>>): GraphQLSchema {
  const built = buildSchema(sdl);
  for (const [place, policy] of Object.entries(policies)) {
    const [type = '', field] = place.split('.');
    const object = built.getType(type) as GraphQLObjectType;
    Object.assign(field === undefined ? object : (object.getFields()[field] as object), { extensions: { policy } });
  }
  return built;
}

test('fields for administrators are refused to other roles, as a problem or as an error', async () => {
  const alias =
    '{ setAlias(input: { model: "a", alias: "b", version: "a" }) { alias { name } problem { code message } } }';

  const memory = ['load', 'unload'].map((name) => `${name}(version: "a") { serving { replicas } problem { code } }`);

  const mutation = await graphql({ schema, source: `mutation ${alias}`, contextValue: OUTSIDER });
  const loads = await graphql({ schema, source: `mutation { ${memory.join(' ')} }`, contextValue: OUTSIDER });
  const query = await graphql({ schema, source: '{ engine { queueDepth } }', contextValue: OUTSIDER });

  expect(mutation.data?.['setAlias']).toMatchObject({ alias: null, problem: { code: 'FORBIDDEN' } });
  expect(loads.data).toEqual({
    load: { serving: null, problem: { code: 'FORBIDDEN' } },
    unload: { serving: null, problem: { code: 'FORBIDDEN' } },
  });
  expect(query.data).toEqual({ engine: null });
  expect(query.errors?.[0]?.extensions['code']).toBe('FORBIDDEN');
});

test('a refusal is a problem also for clients that select what is never null', async () => {
  const source = `mutation {
    predict(input: { model: "a", input: { text: "b" } }) { replayed problem { code } }
    recommendEvaluations(input: { task: TENSOR, dataset: "a" }) { evaluations { id } refused { refusedVersion { id } } problem { code } } }`;

  const { data, errors } = await graphql({ schema, source, contextValue: OUTSIDER });

  expect(errors).toBeUndefined();
  const problem = { code: 'FORBIDDEN' };
  expect(data).toEqual({
    predict: { replayed: false, problem },
    recommendEvaluations: { evaluations: [], refused: [], problem },
  });
});

test('a subscription is refused when it starts, before its source is opened', async () => {
  const { schema, opened } = schemaWithSubscription('operate');
  const document = parse('subscription { ticks }');

  const refused = (await subscribe({ schema, document, contextValue: OUTSIDER })) as ExecutionResult;

  expect(refused.errors?.[0]?.extensions).toEqual({ code: 'FORBIDDEN' });
  expect(opened()).toBe(0);
});

test('a subscription that the policy allows delivers its events', async () => {
  const { schema, opened } = schemaWithSubscription('operate');
  const document = parse('subscription { ticks }');

  const events = await subscribe({ schema, document, contextValue: { principal: localPrincipal('127.0.0.1') } });

  const first = await (events as AsyncGenerator<ExecutionResult>).next();
  expect(first.value).toEqual({ data: { ticks: 1 } });
  expect(opened()).toBe(1);
});

function schemaWithSubscription(policy: string) {
  const schema = buildSchema('type Query { name: String } type Subscription { ticks: Int }');
  const { name } = schema.getQueryType()?.getFields() ?? {};
  const { ticks } = schema.getSubscriptionType()?.getFields() ?? {};
  if (!name || !ticks) throw new Error('The schema lacks its fields.');
  let opened = 0;
  name.extensions = { policy: 'public' };
  ticks.extensions = { policy };
  ticks.subscribe = async function* () {
    opened++;
    yield { ticks: 1 };
  };
  return { schema: enforcePolicies(schema), opened: () => opened };
}

test.each([
  ['127.0.0.1', true],
  ['::1', true],
  ['::ffff:127.0.0.1', true],
  ['192.0.2.7', false],
  ['::ffff:192.0.2.7', false],
])('without keys, a request from %s is one of the local principal: %s', (ip, isLocal) => {
  const { authenticate } = {
    authenticate: (hasAny: boolean) =>
      new Authentication({
        keys: { find: () => 'unknown', hasAny },
        tokens: null,
        origins: { isTrusted: () => true },
      }).authenticate({ headers: {}, ip }),
  };

  expect(authenticate(false)).toEqual(isLocal ? localPrincipal(ip) : nobody(ip));
  expect(authenticate(true)).toEqual(nobody(ip));
});
