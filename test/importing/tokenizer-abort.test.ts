/** A regular expression with excessive backtracking makes the native tokenizer abort its process. */
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { type Data, post } from '../support/graphql-client.js';
import { huggingFaceFolders } from '../support/hugging-face.js';
import { createStore, type TestStore } from '../support/model-store.js';
import { type ServerProcess, startServer } from '../support/server.js';
import { until } from '../support/until.js';

/** Exceeds Oniguruma's limit for backtracking, which makes the library panic. */
const FATAL_TEXT = `${'a'.repeat(40)}b`;

const PREDICT = `mutation ($input: PredictInput!) { predict(input: $input) {
  prediction { output { ... on Classification { label } } }
  problem { code ... on InferenceFailed { reason } } } }`;
const PREDICT_MANY = `mutation ($input: PredictManyInput!) { predictMany(input: $input) {
  results { prediction { output { ... on Classification { label } } } problem { code } } } }`;
const MODELS = '{ models { nodes { name versions { nodes { state stateReason } } } } }';

let store: TestStore;
let dataDir: string;
let server: ServerProcess;

beforeAll(async () => {
  store = await createStore();
  const folder = huggingFaceFolders()['tiny-sst'] as Record<string, string>;
  const tokenizer = JSON.parse(folder['tokenizer.json'] as string);
  const pre_tokenizer = { type: 'Split', pattern: { Regex: '(a+)+$' }, behavior: 'Isolated', invert: false };
  const sequence = { type: 'Sequence', pretokenizers: [pre_tokenizer, tokenizer.pre_tokenizer] };
  const config = {
    ...JSON.parse(folder['tokenizer_config.json'] as string),
    tokenizer_class: 'PreTrainedTokenizerFast',
  };
  const files = {
    ...folder,
    'tokenizer.json': JSON.stringify({ ...tokenizer, pre_tokenizer: sequence }),
    'tokenizer_config.json': JSON.stringify(config),
  };
  await store.write('backtracking', files);
  await store.write('aborting', { ...files, 'model.yaml': `example: { text: ${FATAL_TEXT} }` });
  dataDir = await mkdtemp(path.join(os.tmpdir(), 'modelgraph-abort-'));
  const env = { DATA_DIR: dataDir, MODEL_STORE: store.folder, WORKERS: '1' };
  server = await startServer(env, { keepsStderr: true });
});
afterAll(async () => {
  await server.end('SIGTERM');
  await Promise.all([store.remove(), rm(dataDir, { recursive: true, force: true })]);
});

async function query(document: string, variables?: Record<string, unknown>): Promise<Data> {
  const { data, errors } = await post(server.url, document, variables);
  expect(errors).toBeUndefined();
  return data;
}

async function predict(text: string): Promise<Data> {
  return (await query(PREDICT, { input: { model: 'backtracking', input: { text } } })).predict;
}

test('an abort in a probe fails the version, and the reason has the message of the library', async () => {
  const { models } = await query(MODELS);
  const aborting = models.nodes.find(({ name }: { name: string }) => name === 'aborting');

  expect(aborting.versions.nodes).toEqual([
    {
      state: 'FAILED',
      stateReason:
        'the inference process ended (signal SIGABRT: Onig: Regex search error: retry-limit-in-match over) while loading and testing tokenizer.json and the graph',
    },
  ]);
});

test('an abort in a worker fails only that text, which is not run again', async () => {
  const inputs = ['great', FATAL_TEXT, 'awful'].map((text) => ({ text }));

  const { predictMany } = await query(PREDICT_MANY, { input: { model: 'backtracking', inputs } });

  expect(predictMany.results).toEqual([
    { prediction: { output: { label: 'POSITIVE' } }, problem: null },
    { prediction: null, problem: { code: 'INFERENCE_FAILED' } },
    { prediction: { output: { label: 'NEGATIVE' } }, problem: null },
  ]);
  expect((await predict(FATAL_TEXT)).problem).toEqual({
    code: 'INFERENCE_FAILED',
    reason: expect.stringMatching(/crashed the inference process \(signal SIGABRT\).*was not run again/),
  });
  expect((await predict('great')).prediction.output.label).toBe('POSITIVE');
  await until('the complaint of the library is on stderr', () => server.stderr().includes('retry-limit-in-match'));
});
