/** A known document has one entry: it is parsed, validated and its cost computed once. */
import 'reflect-metadata';
import { ApolloServer } from '@apollo/server';
import { jest } from '@jest/globals';
import { buildSchema } from 'graphql';
import { SYSTEM } from '#src/access/principal.js';
import { type AdmittedContext, costLimit, OperationLimits } from '#src/api/cost.js';
import { KnownDocuments } from '#src/api/documents.js';

const schema = buildSchema('type Query { name: String, list(first: Int): [String] }');
const named = (i: number) => `query Q${i} { name }`;

const context = (): AdmittedContext => ({ principal: SYSTEM, connection: { meter: null }, admission: null });

/** Apollo Server on the known documents; `parsed` counts the documents that it parsed itself. */
async function serve(documents: KnownDocuments) {
  const parsed = jest.fn<() => void>();
  const counter = { requestDidStart: async () => ({ parsingDidStart: async () => parsed() }) };
  const limits = new OperationLimits(100, schema, async () => null);
  const apollo = new ApolloServer<AdmittedContext>({
    schema,
    documentStore: documents,
    plugins: [counter, costLimit(limits, documents)],
  });
  return { apollo, parsed };
}

test('Apollo Server runs the tree of a known document and parses only what is unknown', async () => {
  const documents = new KnownDocuments(schema);
  const { apollo, parsed } = await serve(documents);
  documents.errorsOf('{ name }');

  await apollo.executeOperation({ query: '{ name }' });
  expect(parsed).not.toHaveBeenCalled();

  await apollo.executeOperation({ query: '{ other: name }' });
  expect(parsed).toHaveBeenCalledTimes(1);
});

test('an invalid document is never given to Apollo Server, and its errors stay the same', async () => {
  const documents = new KnownDocuments(schema);
  const { apollo, parsed } = await serve(documents);
  const text = '{ nam }';

  const [first, second] = [documents.errorsOf(text), documents.errorsOf(text)];
  const { body } = await apollo.executeOperation({ query: text }, { contextValue: context() });

  expect(parsed).toHaveBeenCalledTimes(1);
  expect(second).toBe(first);
  expect(body).toMatchObject({ kind: 'single', singleResult: { errors: first } });
});

test('the cost of a known document is planned once, for each of its operations', () => {
  const documents = new KnownDocuments(schema);
  const text = 'query A { name } query B { list(first: 50) }';
  documents.errorsOf(text);

  const [a, again, b] = ['A', 'A', 'B'].map((name) => documents.operationOf(text, name));

  expect(again).toBe(a);
  expect(b?.plan).not.toBe(a?.plan);
  expect(b?.operation.name?.value).toBe('B');
});

test('a name that fits no operation, or none where there are several, finds nothing', () => {
  const documents = new KnownDocuments(schema);
  documents.errorsOf('query A { name } query B { name }');
  documents.errorsOf('query A { name }');

  expect(documents.operationOf('{ unknown }', null)).toBeNull();
  for (const name of ['C', '', null])
    expect(documents.operationOf('query A { name } query B { name }', name)).toBeNull();
  expect(documents.operationOf('query A { name }', null)?.operation.name?.value).toBe('A');
  expect(documents.operationOf('query A { name }', '')).toBeNull();
});

test('the least recently used document is forgotten when there are too many', async () => {
  const documents = new KnownDocuments(schema, { maxDocuments: 2, maxBytes: 1_000_000 });
  const { apollo, parsed } = await serve(documents);
  for (const i of [1, 2, 1, 3]) documents.errorsOf(named(i));

  await apollo.executeOperation({ query: named(1) }, { contextValue: context() });
  await apollo.executeOperation({ query: named(3) }, { contextValue: context() });
  expect(parsed).not.toHaveBeenCalled();

  await apollo.executeOperation({ query: named(2) }, { contextValue: context() });
  expect(parsed).toHaveBeenCalledTimes(1);
  expect(documents.size).toBe(2);
});

test('documents are forgotten when they take too many bytes, their cost plans included', () => {
  const documents = new KnownDocuments(schema, { maxDocuments: 1_000, maxBytes: 20_000 });
  for (let i = 0; i < 100; i++) documents.errorsOf(named(i));
  const withoutCosts = documents.size;

  for (let i = 90; i < 100; i++) documents.operationOf(named(i), null);

  expect(withoutCosts).toBeGreaterThan(1);
  expect(withoutCosts).toBeLessThan(10);
  expect(documents.size).toBeLessThan(withoutCosts);
});
