/** One caller's dear inputs, against a running app: others get their answers, and nothing is computed for who has left. */
import sharp from 'sharp';
import { startTestApp, type TestApp } from '../support/app.js';
import { until } from '../support/until.js';

let app: TestApp;
beforeAll(async () => {
  app = await startTestApp({ workers: 1 });
});
afterAll(() => app.stop());

const PREDICT_MANY = `mutation ($input: PredictManyInput!) { predictMany(input: $input) { results { problem { code } } } }`;
const PREDICT = `mutation ($input: PredictInput!) { predict(input: $input) { prediction { id } problem { code } } }`;

/** 5,000 × 5,000 pixels in a few kilobytes of PNG. */
async function largeImages(count: number) {
  const file = await sharp({ create: { width: 5_000, height: 5_000, channels: 3, background: 'red' } })
    .png()
    .toBuffer();
  return Array(count).fill({ image: { base64: file.toString('base64') } });
}

test('small images of many pixels keep no other model from answering, and are dropped when their client leaves', async () => {
  // As many as the price of a request allows, in several requests.
  const inputs = await largeImages(3);
  const client = new AbortController();
  const body = JSON.stringify({
    query: PREDICT_MANY,
    variables: { input: { model: 'fashion-cnn', inputs, record: false } },
  });
  const flood = Array.from({ length: 10 }, () =>
    fetch(`${app.url}/graphql`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body,
      signal: client.signal,
    }).catch(() => 'aborted'),
  );
  await until('inputs wait', () => app.app.engine.queueDepth >= 20);

  const { predict } = await app.query(PREDICT, { input: { model: 'spam-filter', input: { text: 'Hello' } } });
  const stillQueued = app.app.engine.queueDepth;
  client.abort();

  expect(predict.problem).toBeNull();
  expect(stillQueued).toBeGreaterThan(0);
  expect(await Promise.all(flood)).toEqual(Array(10).fill('aborted'));
  await until('nothing waits', () => app.app.engine.queueDepth === 0);
});
