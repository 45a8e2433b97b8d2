/** The audits of the GraphQL over HTTP specification. */
import { serverAudits } from 'graphql-http';
import { startTestApp, type TestApp } from '../support/app.js';

/** Recommendations that Apollo Server does not follow; the reasons are in src/DECISIONS.md. */
const NOT_FOLLOWED: readonly string[] = [
  '572B SHOULD use 200 status code on document parsing failure when accepting application/json',
  '5A70 MAY accept application/x-www-form-urlencoded formatted GET requests',
  '6A70 MAY allow URL-encoded JSON string {variables} parameter in GETs when accepting application/json',
  '7B9B SHOULD use a status code of 200 on variable coercion failure when accepting application/json',
  'D6D5 MAY allow URL-encoded JSON string {variables} parameter in GETs when accepting application/graphql-response+json',
  'FDE2 SHOULD use 200 status code on document validation failure when accepting application/json',
];

let app: TestApp;
beforeAll(async () => {
  app = await startTestApp();
});
afterAll(() => app.stop());

const WAYS = [
  ['by the lane for known documents', {}],
  ['by Apollo Server alone', { 'x-test-bypasses-lane': '1' }],
] as const;

test.each(WAYS)(
  'every required audit passes, and of the recommended ones only those named above fail: %s',
  async (_, own) => {
    const fetchFn = (url: string, init: RequestInit = {}) =>
      fetch(url, { ...init, headers: { ...init.headers, ...own } });
    const audits = serverAudits({ url: `${app.url}/graphql`, fetchFn });
    const results = await Promise.all(audits.map(async (audit) => ({ ...(await audit.fn()), name: audit.name })));

    const failed = results.filter(({ status }) => status === 'error' || status === 'warn' || status === 'notice');
    const must = failed.filter(({ status }) => status === 'error');

    expect(results.length).toBeGreaterThanOrEqual(60);
    expect(must.map(({ name }) => name)).toEqual([]);
    expect(failed.map(({ id, name }) => `${id} ${name}`).sort()).toEqual([...NOT_FOLLOWED].sort());
  },
);
