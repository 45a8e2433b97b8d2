/** The lane for known documents: what it answers itself, and what it leaves to Apollo Server. `both-ways.test.ts` compares the two. */
import { startTestApp, type TestApp } from '../support/app.js';

let app: TestApp;
beforeAll(async () => {
  app = await startTestApp();
});
afterAll(() => app.stop());

const PREDICT = `mutation ($first: Int!) {
  predict(input: { model: "spam-filter", input: { text: "hello" } }) {
    prediction { id output { ... on Classification { label classes(first: $first) { label } } } }
  }
}`;

async function recorded(): Promise<number> {
  return (await app.query('{ predictions { totalCount } }')).predictions.totalCount;
}

test('a mutation whose result has errors is executed once', async () => {
  const before = await recorded();

  const { errors } = await app.send(PREDICT, { first: 0 });

  expect(errors).toEqual([expect.objectContaining({ message: expect.stringContaining('first is 0') })]);
  expect(errors?.[0]?.extensions?.['code']).toBe('BAD_USER_INPUT');
  expect(await recorded()).toBe(before + 1);
});

test('an operation that costs too much is refused before it is executed', async () => {
  const inputs = Array.from({ length: 1_000 }, () => ({ text: 'word '.repeat(1_000) }));

  const { errors } = await app.send(
    'mutation ($inputs: [ModelInput!]!) { predictMany(input: { model: "spam-filter", inputs: $inputs }) { problem { code } } }',
    { inputs },
  );

  expect(errors?.[0]?.extensions?.['code']).toBe('COST_LIMIT_EXCEEDED');
});

test.each([
  ['application/json', 'application/json; charset=utf-8'],
  ['application/graphql-response+json', 'application/graphql-response+json; charset=utf-8'],
])('an answer has the media type that the client accepts, the second time too: %s', async (accept, expected) => {
  const ask = () =>
    fetch(`${app.url}/graphql`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', accept },
      body: JSON.stringify({ query: '{ __typename }' }),
    });

  const answers = [await ask(), await ask()];

  expect(answers.map(({ headers }) => headers.get('content-type'))).toEqual([expected, expected]);
  expect(await Promise.all(answers.map((answer) => answer.json()))).toEqual(
    [1, 2].map(() => ({ data: { __typename: 'Query' }, extensions: { cost: { requested: 0, limit: 10_000 } } })),
  );
});
