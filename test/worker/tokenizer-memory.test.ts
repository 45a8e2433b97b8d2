/** Long texts are tokenized in little memory: native encodings are freed as soon as they have been read. */

import { startTestApp, type TestApp } from '../support/app.js';
import { huggingFaceFolders } from '../support/hugging-face.js';
import { createStore, type TestStore } from '../support/model-store.js';

/** Compatibility normalization makes 18 characters of this one, so that a text has 1.8 million tokens. */
const EXPANDING_TEXT = '\ufdfa'.repeat(100_000);
const MEMORY_LIMIT_BYTES = 1_500_000_000;

let store: TestStore;
let app: TestApp;
beforeAll(async () => {
  store = await createStore();
  const folder = huggingFaceFolders()['tiny-ner'] as Record<string, string>;
  const tokenizer = JSON.parse(folder['tokenizer.json'] as string);
  const normalizer = { type: 'Sequence', normalizers: [{ type: 'NFKC' }, tokenizer.normalizer] };
  await store.write('ner', { ...folder, 'tokenizer.json': JSON.stringify({ ...tokenizer, normalizer }) });
  app = await startTestApp({ modelStore: store.folder, workers: 1, workerMemoryBytes: MEMORY_LIMIT_BYTES });
});
afterAll(async () => {
  await app.stop();
  await store.remove();
});

test('nine texts of 1.8 million tokens at once end no worker', async () => {
  const workers = () => app.app.engine.workers.map(({ pid }) => pid).sort();
  await app.query(PREDICT_MANY, { input: { model: 'ner', inputs: [{ text: 'Paris' }], record: false } });
  const before = workers();

  // In three requests, because all nine together cost more than is allowed.
  const inputs = Array(3).fill({ text: EXPANDING_TEXT });
  const answers = await Promise.all(
    Array.from({ length: 3 }, () =>
      app.query(PREDICT_MANY, { input: { model: 'ner', inputs, record: false, deadlineMs: 3_600_000 } }),
    ),
  );

  for (const { predictMany } of answers) expect(predictMany.results).toEqual(Array(3).fill({ problem: null }));
  expect(workers()).toEqual(before);
});

const PREDICT_MANY = `mutation ($input: PredictManyInput!) {
  predictMany(input: $input) { results { problem { message } } } }`;
