/** Long texts are tokenized in little memory: native encodings are freed as soon as they have been read. */

import { startTestApp, type TestApp } from '../support/app.js';
import { huggingFaceFolders } from '../support/hugging-face.js';
import { createStore, type TestStore } from '../support/model-store.js';

/** Compatibility normalization makes 18 characters of this one. */
const EXPANDING = '\ufdfa';
/** 81,000 tokens, nearly as many as the price allows. */
const EXPANDING_TEXT = EXPANDING.repeat(4_500);
const MEMORY_LIMIT_BYTES = 1_500_000_000;

let store: TestStore;
let app: TestApp;
beforeAll(async () => {
  store = await createStore();
  const folder = huggingFaceFolders()['tiny-ner'] as Record<string, string>;
  const tokenizer = JSON.parse(folder['tokenizer.json'] as string);
  const normalizer = { type: 'Sequence', normalizers: [{ type: 'NFKC' }, tokenizer.normalizer] };
  await store.write('ner', {
    ...folder,
    'tokenizer.json': JSON.stringify({ ...tokenizer, normalizer }),
    // That of BERT would drop the normalizer.
    'tokenizer_config.json': JSON.stringify({ tokenizer_class: 'PreTrainedTokenizerFast' }),
  });
  app = await startTestApp({ modelStore: store.folder, workers: 1, workerMemoryBytes: MEMORY_LIMIT_BYTES });
});
afterAll(async () => {
  await app.stop();
  await store.remove();
});

test('nine texts of 81,000 tokens at once end no worker, and longer ones cost more than is allowed', async () => {
  const workers = () => app.app.engine.workers.map(({ pid }) => pid).sort();
  const predict = (text: string) =>
    app.query(PREDICT_MANY, { input: { model: 'ner', inputs: [{ text }], record: false, deadlineMs: 3_600_000 } });
  await predict('Paris');
  const before = workers();

  const answers = await Promise.all(Array.from({ length: 9 }, () => predict(EXPANDING_TEXT)));

  for (const { predictMany } of answers) expect(predictMany.results).toEqual([{ problem: null }]);
  await expect(predict(EXPANDING.repeat(100_000))).rejects.toThrow('COST_LIMIT_EXCEEDED');
  expect(workers()).toEqual(before);
});

const PREDICT_MANY = `mutation ($input: PredictManyInput!) {
  predictMany(input: $input) { results { problem { message } } } }`;
