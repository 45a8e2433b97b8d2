/** What `/metrics` says is what happened, and only operators read it. */
import 'reflect-metadata';
import { startTestApp, type TestApp } from '../support/app.js';
import { createHttpServer } from '../support/http-server.js';
import { truncatedImage } from '../support/images.js';
import { until } from '../support/until.js';
import { type Scrape, scrape } from './scrape.js';

const PREDICT = 'mutation ($input: PredictInput!) { predict(input: $input) { prediction { id } problem { code } } }';
const SPAM = { version: 'spam-filter:2', provider: 'cpu' };

let server: TestApp;

beforeAll(async () => {
  server = await startTestApp();
});

afterAll(() => server.stop());

const predict = (input: Record<string, unknown>) => server.query(PREDICT, { input });

/** By how much each number grows while `work` is done. */
async function growth(work: () => Promise<unknown>) {
  const before = await scrape(server.url);
  await work();
  const after = await scrape(server.url);
  return (...of: Parameters<Scrape['sum']>) => after.sum(...of) - before.sum(...of);
}

test('an answer is counted in the histograms of its version and execution provider', async () => {
  const grown = await growth(() => predict({ model: 'spam-filter', input: { text: 'Free prize' }, record: false }));

  for (const step of ['prediction', 'queue_wait', 'preprocessing', 'inference', 'postprocessing']) {
    expect([step, grown(`modelgraph_${step}_seconds_count`, SPAM)]).toEqual([step, 1]);
    expect(grown(`modelgraph_${step}_seconds_sum`, SPAM)).toBeGreaterThan(0);
    expect(grown(`modelgraph_${step}_seconds_count`)).toBe(1);
  }
  expect(grown('modelgraph_batch_rows_sum', SPAM)).toBe(1);
});

test('the rows of a batch are counted once, and each of its inputs', async () => {
  const inputs = Array.from({ length: 5 }, (_, i) => ({ text: `mail ${i}` }));
  const grown = await growth(() =>
    server.query('mutation ($input: PredictManyInput!) { predictMany(input: $input) { results { replayed } } }', {
      input: { model: 'spam-filter', inputs, record: false },
    }),
  );

  expect(grown('modelgraph_batch_rows_sum', SPAM)).toBe(5);
  expect(grown('modelgraph_prediction_seconds_count', SPAM)).toBe(5);
  expect(grown('modelgraph_inference_seconds_count', SPAM)).toBe(grown('modelgraph_batch_rows_count', SPAM));
});

test('a recorded prediction is counted as a commit with its row, an unrecorded one is not', async () => {
  const recorded = await growth(() => predict({ model: 'spam-filter', input: { text: 'Hello' } }));
  const unrecorded = await growth(() => predict({ model: 'spam-filter', input: { text: 'Hello' }, record: false }));

  expect(recorded('modelgraph_recorder_commit_seconds_count')).toBe(1);
  expect(recorded('modelgraph_recorder_rows_total')).toBeGreaterThan(0);
  expect(unrecorded('modelgraph_recorder_commit_seconds_count')).toBe(0);
  expect(unrecorded('modelgraph_recorder_rows_total')).toBe(0);
});

test('a problem, an error and a refusal before GraphQL are counted by the code that the client received', async () => {
  const grown = await growth(async () => {
    await predict({ model: 'no-such-model', input: { text: 'Hello' } });
    await server.send('{ models(first: -1) { nodes { name } } }');
    await server.send('{ noSuchField }');
    await fetch(`${server.url}/graphql`, { method: 'POST', headers: { 'content-type': 'text/plain' }, body: '{}' });
  });

  for (const code of ['NOT_FOUND', 'BAD_USER_INPUT', 'GRAPHQL_VALIDATION_FAILED', 'UNSUPPORTED_MEDIA_TYPE'])
    expect([code, grown('modelgraph_refusals_total', { code })]).toEqual([code, 1]);
  expect(grown('modelgraph_refusals_total')).toBe(4);
});

test('an input that the worker cannot read is counted as failed, for its version', async () => {
  const image = { base64: await truncatedImage() };
  const grown = await growth(() => predict({ model: 'fashion-cnn', input: { image } }));

  const failed = { version: 'fashion-cnn:1', provider: 'cpu', code: 'INVALID_INPUT' };
  expect(grown('modelgraph_failed_inputs_total', failed)).toBe(1);
  expect(grown('modelgraph_failed_inputs_total')).toBe(1);
  expect(grown('modelgraph_refusals_total', { code: 'INVALID_INPUT' })).toBe(1);
});

test('responses are counted by the class of their status, scrapes included', async () => {
  const grown = await growth(async () => {
    await fetch(`${server.url}/health/live`);
    await fetch(`${server.url}/nowhere`);
  });

  // The scrape before counts itself only in the one after.
  expect(grown('modelgraph_http_requests_total', { status: '2xx' })).toBe(2);
  expect(grown('modelgraph_http_requests_total', { status: '4xx' })).toBe(1);
  expect(grown('modelgraph_http_request_seconds_count')).toBe(3);
});

test('a killed worker is counted by its cause', async () => {
  const grown = await growth(async () => {
    const worker = server.app.engine.workers.find(({ purpose }) => purpose === 'pool');
    const killed = async () => (await scrape(server.url)).sum('modelgraph_worker_restarts_total', { cause: 'killed' });
    const before = await killed();
    process.kill(worker?.pid ?? Number.NaN, 'SIGKILL');
    await until('the server has noticed it', async () => (await killed()) > before);
  });

  expect(grown('modelgraph_worker_restarts_total', { cause: 'killed' })).toBe(1);
  expect(grown('modelgraph_worker_restarts_total')).toBe(1);
});

test('names, types and series follow the conventions of Prometheus', async () => {
  const { families } = await scrape(server.url);
  const series = families.flatMap((family) => family.series);

  expect(families.filter(({ name }) => !/^modelgraph_[a-z]+(_[a-z]+)*$/.test(name))).toEqual([]);
  expect(families.filter(({ name, type }) => (type === 'counter') !== name.endsWith('_total'))).toEqual([]);
  expect(new Set(series.map(({ name, labels }) => JSON.stringify([name, labels]))).size).toBe(series.length);
  expect(series.filter(({ value }) => !(value >= 0))).toEqual([]);
});

test('the buckets of a histogram only grow, and the last one has the count', async () => {
  const { families } = await scrape(server.url);
  const buckets = new Map<string, number[]>();
  for (const { name, series } of families.filter(({ type }) => type === 'histogram'))
    for (const { labels, value, name: one } of series) {
      const { le, ...others } = labels;
      const key = JSON.stringify([name, others]);
      if (le !== undefined) buckets.set(key, [...(buckets.get(key) ?? []), value]);
      else if (one.endsWith('_count')) expect([key, buckets.get(key)?.at(-1)]).toEqual([key, value]);
    }

  expect(buckets.size).toBeGreaterThan(10);
  for (const values of buckets.values()) expect(values).toEqual([...values].sort((a, b) => a - b));
});

test('the route is for administrators, and names its format', async () => {
  const response = await fetch(`${server.url}/metrics`);
  const refusing = await createHttpServer();
  const refused = await refusing.http.inject({ url: '/metrics', remoteAddress: '192.0.2.7' });
  await refusing.http.close();
  await refusing.stop();

  expect(response.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8');
  expect(refused.statusCode).toBe(401);
  expect(refused.json().errors[0].extensions.code).toBe('UNAUTHENTICATED');
});
