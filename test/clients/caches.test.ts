/** Apollo Client 4 and urql's Graphcache with the shipped options, against a server. */
import { readFile } from 'node:fs/promises';
import { ApolloClient, ApolloLink, gql, HttpLink, InMemoryCache, type ObservableQuery } from '@apollo/client';
import { jest } from '@jest/globals';
import { Client, fetchExchange } from '@urql/core';
import { cacheExchange } from '@urql/exchange-graphcache';
import { buildSchema, introspectionFromSchema } from 'graphql';
import { cacheConfig } from '../../schema/apollo-cache.ts';
import { cacheOptions } from '../../schema/urql-cache.ts';
import { type Data, startTestApp, type TestApp } from '../support/app.js';
import { fillCatalog } from '../support/large-catalog.js';
import { until } from '../support/until.js';

const COUNT = 50;
const NAMES = gql`query ($first: Int! = 20, $after: String) {
  models(first: $first, after: $after) { nodes { id name } pageInfo { hasNextPage endCursor } }
}`;
const TITLES = gql`query ($after: String) {
  models(first: 20, after: $after) {
    totalCount edges { cursor node { id title version { id ref } } } pageInfo { endCursor hasPreviousPage }
  }
}`;

let app: TestApp;
beforeAll(async () => {
  app = await startTestApp({ empty: true, modelStore: '/nowhere' });
  await fillCatalog(app.app.databases.catalogDb, COUNT);
});
afterAll(() => app.stop());

let requests: number;
let client: ApolloClient;
beforeEach(() => {
  requests = 0;
  const counting = new ApolloLink((operation, forward) => {
    requests++;
    return forward(operation);
  });
  const link = counting.concat(new HttpLink({ uri: `${app.url}/graphql` }));
  client = new ApolloClient({ link, cache: new InMemoryCache(cacheConfig()) });
});
afterEach(() => client.stop());

/** A component that shows a query. */
async function show(query: ReturnType<typeof gql>, variables: Data = {}): Promise<ObservableQuery<Data>> {
  const component = client.watchQuery<Data>({ query, variables });
  component.subscribe({});
  await until('a component has loaded', () => !component.getCurrentResult().loading);
  return component;
}

const dataOf = (component: ObservableQuery<Data>): Data => {
  const { data, dataState, error } = component.getCurrentResult();
  expect({ dataState, error }).toEqual({ dataState: 'complete', error: undefined });
  return data as Data;
};
/** Fetches the next page; the client tells its components in a later turn of the event loop. */
async function showMore(component: ObservableQuery<Data>): Promise<void> {
  const { pageInfo } = dataOf(component)['models'];
  await component.fetchMore({ variables: { after: pageInfo.endCursor } });
  await until('the next page is shown', () => dataOf(component)['models'].pageInfo.endCursor !== pageInfo.endCursor);
}

const namesOf = (component: ObservableQuery<Data>) => dataOf(component)['models'].nodes.map(({ name }: Data) => name);
const from = (first: number, end: number) =>
  Array.from({ length: end - first }, (_, i) => `m${String(first + i).padStart(3, '0')}`);

test('two components that select different fields of a list need two requests, and each keeps its fields', async () => {
  const names = await show(NAMES);
  const titles = await show(TITLES);
  await client.refetchQueries({ include: [] });

  expect(requests).toBe(2);
  expect(namesOf(names)).toEqual(from(0, 20));
  const { edges, totalCount } = dataOf(titles)['models'];
  expect(totalCount).toBe(COUNT);
  expect(edges.map(({ node }: Data) => node.version.ref)).toEqual(from(0, 20).map((name) => `${name}:5`));
  expect([client.readQuery({ query: NAMES }), client.readQuery({ query: TITLES })]).not.toContain(null);
});

test('fetchMore shows the next page, to the last, and other components keep their pages', async () => {
  const names = await show(NAMES);
  const titles = await show(TITLES);
  await showMore(names);
  await showMore(names);

  expect(namesOf(names)).toEqual(from(0, COUNT));
  expect(dataOf(names)['models'].pageInfo.hasNextPage).toBe(false);
  expect(dataOf(titles)['models'].edges).toHaveLength(20);
  expect(requests).toBe(4);

  await showMore(titles);

  expect(dataOf(titles)['models'].edges).toHaveLength(40);
  expect(dataOf(titles)['models'].pageInfo.hasPreviousPage).toBe(false);
  expect(namesOf(names)).toEqual(from(0, COUNT));
  expect(requests).toBe(5);
});

test('pages of different sizes, and pages that are shown alone, do not change each other', async () => {
  const few = await show(NAMES, { first: 5 });
  const many = await show(NAMES);
  const second = await show(NAMES, { first: 5, after: dataOf(few)['models'].pageInfo.endCursor });

  expect(namesOf(many)).toEqual(from(0, 20));
  expect(namesOf(second)).toEqual(from(5, 10));
});

test('a list whose first page has changed shows no page that does not follow', async () => {
  const names = await show(NAMES, { first: 5 });
  await showMore(names);
  const rename = (name: string, to: string) =>
    app.app.databases.catalogDb.updateTable('model').set({ name: to }).where('name', '=', name).execute();
  await rename('m049', 'a049');
  const titles = gql`{ models(first: 5) { nodes { id title name } } }`;
  await client.query({ query: titles, fetchPolicy: 'network-only' });
  await until('the list is fetched again', () => requests === 4 && !names.getCurrentResult().loading);
  const shown = namesOf(names);
  await showMore(names);
  await rename('a049', 'm049');

  expect(shown).toEqual(['a049', ...from(0, 4)]);
  expect(namesOf(names)).toEqual(['a049', ...from(0, 9)]);
});

test('lists of objects without an id keep the fields that each component selects', async () => {
  const metrics = (fields: string) =>
    gql(`{ model(name: "m001") { id version { id evaluation { id metrics { name ${fields} } } } } }`);
  const values = await show(metrics('value'));
  const details = await show(metrics('higherIsBetter average'));

  const metricOf = (component: ObservableQuery<Data>) => dataOf(component)['model'].version.evaluation.metrics[0];
  expect(requests).toBe(2);
  expect(metricOf(values)).toMatchObject({ name: 'accuracy', value: 1 / COUNT });
  expect(metricOf(details)).toMatchObject({ name: 'accuracy', higherIsBetter: true });
});

test('components that select no ids keep the fields that each selects', async () => {
  const names = await show(gql`{ models(first: 3) { nodes { name title } } }`);
  const tasks = await show(gql`{ models(first: 3) { nodes { name task version { ref } } } }`);

  expect(requests).toBe(2);
  expect(namesOf(names)).toEqual(from(0, 3));
  expect(dataOf(tasks)['models'].nodes[0].version.ref).toBe('m000:5');
});

test('Graphcache knows every type, and joins the pages of a list', async () => {
  const warn = jest.spyOn(console, 'warn').mockImplementation(() => {});
  const schema = introspectionFromSchema(buildSchema(await readFile('schema/schema.graphql', 'utf8')));
  const exchanges = [cacheExchange({ schema, ...cacheOptions }), fetchExchange];
  const urql = new Client({ url: `${app.url}/graphql`, exchanges, preferGetMethod: false });
  const query = (fields: string) => `query ($after: String) { models(first: 20, after: $after) { ${fields} } }`;
  const NODES = query('nodes { id name version { id signature { labels } } } pageInfo { endCursor hasNextPage }');
  const read = async (document: string, variables: Data) => {
    const { data, error } = await urql.query<Data>(document, variables).toPromise();
    expect(error).toBeUndefined();
    return (data as Data)['models'];
  };

  const first = await read(NODES, {});
  const both = await read(NODES, { after: first.pageInfo.endCursor });
  await read(NODES.replaceAll('20', '30'), {});
  const few = await read(NODES.replaceAll('20', '3'), {});
  const again = await read(NODES, {});
  const counted = await read(query('totalCount facets { field buckets { value count } }'), {});

  expect(both.nodes.map(({ name }: Data) => name)).toEqual(from(0, 40));
  expect([few.nodes.length, again.nodes.length]).toEqual([3, 40]);
  expect(counted.totalCount).toBe(COUNT);
  expect(warn.mock.calls).toEqual([]);
  warn.mockRestore();
});
