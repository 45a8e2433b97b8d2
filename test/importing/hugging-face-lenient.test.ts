/** Hugging Face repositories with unusual or missing files that are READY anyway, and give the right answers. */
import { type Data, startTestApp, type TestApp } from '../support/app.js';
import { type Folder } from '../support/hugging-face/folder.js';
import { VOCABULARY } from '../support/hugging-face/text-folder.js';
import { huggingFaceFolders } from '../support/hugging-face.js';
import { createStore, type TestStore } from '../support/model-store.js';
import { encodeModel, UNKNOWN_TEXT_INPUT, type ValueInfo } from '../support/onnx.js';

const FOLDERS = huggingFaceFolders();

/** Files that replace those of a folder; null removes one. */
type Changes = Readonly<Record<string, string | Buffer | null>>;

const tokens = (name: string): ValueInfo => ({ name, type: 'INT64', shape: ['N', 'L'] });

/** Each answers like the folder that it is a copy of. */
const UNUSUAL: Readonly<Record<string, { readonly like: string; readonly files: Changes }>> = {
  'unusual-card': {
    like: 'tiny-sst',
    files: {
      'README.md': [
        '---',
        'license: [mit, apache-2.0]',
        'pipeline_tag: text-classification',
        'tags: [3, true, sentiment]',
        'datasets: 7',
        'language: 12',
        'co2_eq_emissions: "0.5"',
        'inference: "false"',
        'widget: "great"',
        'base_model: [a, b]',
        'thumbnail: 1e3',
        '---',
        '# 12',
      ].join('\n'),
    },
  },
  'unusual-metrics': {
    like: 'tiny-sst',
    files: {
      'README.md': [
        '---',
        'model-index:',
        '- name: it',
        '  results:',
        '  - task: { type: text-classification }',
        '    dataset: { type: sst2, name: 5, split: 2020 }',
        '    metrics:',
        '    - { type: accuracy, value: 0.91 }',
        '    - { type: f1, value: "0.9" }',
        '    - { type: precision, value: [0.8, 0.9] }',
        '    - { type: recall, value: .nan }',
        '    - accuracy',
        '    - null',
        '    - { value: 0.5 }',
        '    - { type: loss, value: 0.3, args: 4 }',
        '    - { type: accuracy, value: 0.92 }',
        '  - dataset: nowhere',
        '    metrics: none',
        '  - 7',
        '- results: { accuracy: 1 }',
        '---',
        '# It',
      ].join('\n'),
    },
  },
  'broken-variant': {
    like: 'tiny-sst',
    files: {
      'onnx/model_quantized.onnx': 'no graph',
      'onnx/model_fp16.onnx': FOLDERS['tiny-sst']?.['onnx/model.onnx'] as Buffer,
      'onnx/model_q4.onnx': encodeModel(UNKNOWN_TEXT_INPUT),
    },
  },
  'no-plain-graph': {
    like: 'tiny-sst',
    files: {
      'onnx/model.onnx': null,
      'onnx/model_O1.onnx': FOLDERS['tiny-sst']?.['onnx/model.onnx'] as Buffer,
      'onnx/model_bnb4.onnx': 'no graph',
      'onnx/model_fp16.onnx': FOLDERS['tiny-sst']?.['onnx/model.onnx'] as Buffer,
      'onnx/model_quantized.onnx': encodeModel(UNKNOWN_TEXT_INPUT),
    },
  },
  'other-files': {
    like: 'tiny-sst',
    files: {
      'model.safetensors': 'weights',
      'vocab.txt': 'words',
      'special_tokens_map.json': '{',
      'generation_config.json': '[]',
      '.gitattributes': '*.onnx filter=lfs',
    },
  },
};

const widget = (tag: string, ...inputs: string[]) =>
  ['---', `pipeline_tag: ${tag}`, 'widget:', ...inputs.map((input) => `- { ${input} }`), '---', '# It'].join('\n');

/** Cards with widget inputs, and the example that the version gets. */
const EXAMPLES: Readonly<Record<string, { like: string; card: string; example: object }>> = {
  'trailing-comma': {
    like: 'tiny-nli',
    card: widget('zero-shot-classification', 'text: Paris, candidate_labels: "film, travel, "'),
    example: { zeroShot: { text: 'Paris', labels: ['film', 'travel'] } },
  },
  'duplicate-label': {
    like: 'tiny-nli',
    card: widget('zero-shot-classification', 'text: Paris, candidate_labels: "film, film"', 'src: cat.png'),
    example: { zeroShot: { text: 'The movie was great.', labels: ['film', 'travel', 'food'] } },
  },
  'two-masks': {
    like: 'tiny-mlm',
    card: widget('fill-mask', 'text: "[MASK] and [MASK]"', 'text: "the [MASK]"'),
    example: { text: 'the [MASK]' },
  },
  'image-widget': {
    like: 'tiny-sst',
    card: widget('text-classification', 'src: cat.png', 'text: " "'),
    example: { text: 'The movie was great, and Paris is the capital of France.' },
  },
};

const module = (type: string, path: string) => ({ path, type: `sentence_transformers.models.${type}` });
/** Models of sentence-transformers with other layouts. */
const SENTENCES: Readonly<Record<string, Changes>> = {
  'other-pooling-folder': {
    'modules.json': JSON.stringify([module('Transformer', ''), module('Pooling', '1_MaxPooling')]),
    '1_Pooling/config.json': null,
    '1_MaxPooling/config.json': JSON.stringify({ pooling_mode_max_tokens: true }),
  },
  'dense-in-the-graph': {
    'modules.json': JSON.stringify([module('Transformer', ''), module('Pooling', '1_Pooling'), module('Dense', '2')]),
    'onnx/model.onnx': encodeModel({
      inputs: [tokens('input_ids'), tokens('attention_mask')],
      outputs: [{ name: 'sentence_embedding', type: 'FP32', shape: ['N', 1] }],
      nodes: [
        { op: 'Mul', inputs: ['input_ids', 'attention_mask'], outputs: ['ids'] },
        { op: 'Cast', inputs: ['ids'], outputs: ['numbers'], attributes: [{ name: 'to', int: 1 }] },
        {
          op: 'ReduceMax',
          inputs: ['numbers'],
          outputs: ['sentence_embedding'],
          attributes: [{ name: 'axes', ints: [1] }],
        },
      ],
    }),
  },
};

/** Folders whose tokenizer_config.json does not name the mask token. */
const BARE_CONFIG = JSON.stringify({ model_max_length: 64, mask_token: null });
const MASKS: Readonly<Record<string, Changes>> = {
  'mask-object-in-map': {
    'tokenizer_config.json': BARE_CONFIG,
    'special_tokens_map.json': JSON.stringify({ mask_token: { content: '[MASK]', lstrip: true }, pad_token: 3 }),
  },
  'mask-string-in-map': {
    'tokenizer_config.json': BARE_CONFIG,
    'special_tokens_map.json': JSON.stringify({ mask_token: '[MASK]', pad_token: '[PAD]' }),
  },
  'mask-in-added-tokens': { 'tokenizer_config.json': BARE_CONFIG, 'special_tokens_map.json': '[' },
  'no-tokenizer-config': { 'tokenizer_config.json': null },
};

const MODELS = `{ models(first: 100) { nodes { name title license tags task versions(first: 1) { nodes {
  state stateReason signature { example } variants { name reason maxBatch }
  evaluations(first: 2) { nodes { origin metrics { name value } } }
} } } } }`;
const PREDICT = `mutation ($input: PredictInput!) {
  predict(input: $input) { prediction { output { ... on Classification { label score } } } problem { code message } }
}`;

let store: TestStore;
let app: TestApp;
let models: Readonly<Record<string, Data>>;
beforeAll(async () => {
  store = await createStore();
  const write = (name: string, like: string, files: Changes) => {
    const present = Object.entries({ ...FOLDERS[like], ...files }).filter(([, content]) => content !== null);
    return store.write(name, Object.fromEntries(present) as Folder);
  };
  for (const [name, { like, files }] of Object.entries(UNUSUAL)) await write(name, like, files);
  for (const [name, { like, card }] of Object.entries(EXAMPLES)) await write(name, like, { 'README.md': card });
  for (const [name, files] of Object.entries(MASKS)) await write(name, 'tiny-mlm', files);
  for (const [name, files] of Object.entries(SENTENCES)) await write(name, 'tiny-sentences', files);
  await store.write('datasets/sst2', { 'dataset.yaml': 'title: Sentiment\ntask: text-classification' });
  app = await startTestApp({ modelStore: store.folder });
  const { models: found } = await app.query(MODELS);
  models = Object.fromEntries(
    found.nodes.map(({ versions, ...model }: Data) => [model.name, { ...model, version: versions.nodes[0] }]),
  );
}, 120_000);
afterAll(async () => {
  await app.stop();
  await store.remove();
});

test.each(Object.keys(UNUSUAL))('%s is READY, and its answers are the same', async (model) => {
  const { predict } = await app.query(PREDICT, { input: { model, input: { text: 'great' } } });

  expect(models[model].version).toMatchObject({ state: 'READY', stateReason: null });
  expect(predict).toEqual({
    prediction: { output: { label: 'POSITIVE', score: expect.closeTo(1 / (1 + Math.exp(-6)), 5) } },
    problem: null,
  });
});

test('the pooling is read from the folder that modules.json names, and is not needed if the graph does it', async () => {
  const query = `mutation ($input: PredictInput!) { predict(input: $input) {
    prediction { output { ... on Embedding { vector } } } problem { message } } }`;
  const embeddings = ['other-pooling-folder', 'dense-in-the-graph'].map(async (model) => {
    const { predict } = await app.query(query, { input: { model, input: { text: 'great' } } });
    return predict.prediction.output.vector;
  });

  // The maximum over the token embedding (3, 4, 0) and zeros; the largest token id.
  expect(await Promise.all(embeddings)).toEqual([[3, 4, 0], [VOCABULARY.indexOf('great')]]);
});

test.each(Object.entries(EXAMPLES))('%s: the example is the first valid widget input', (name, { example }) => {
  expect(models[name].version).toMatchObject({ state: 'READY', signature: { example } });
});

test.each(Object.keys(MASKS))('%s: the mask token is recognized, and the worker uses it', async (model) => {
  const { predict } = await app.query(
    `mutation ($input: PredictInput!) { predict(input: $input) {
      prediction { output { ... on Fillings { items(first: 1) { text score } } } } problem { message } } }`,
    { input: { model, input: { text: '[MASK] is the capital of france' } } },
  );

  expect(predict.problem).toBeNull();
  expect(predict.prediction.output.items).toEqual([{ text: 'paris', score: expect.closeTo(0.96441, 4) }]);
});

test('title, license and tags of a card are read even if its other values are unusual', () => {
  expect(models['unusual-card']).toMatchObject({
    title: '12',
    license: 'mit, apache-2.0',
    tags: ['3', 'sentiment', 'true'],
  });
});

test('the numbers in a model-index are imported, and other values are left out', () => {
  const evaluations = models['unusual-metrics'].version.evaluations.nodes;

  expect(evaluations).toEqual([
    {
      origin: 'IMPORTED',
      metrics: expect.arrayContaining([
        { name: 'accuracy', value: 0.91 },
        { name: 'recall', value: null },
        { name: 'loss', value: 0.3 },
        { name: 'accuracy', value: 0.92 },
      ]),
    },
  ]);
  expect(evaluations[0].metrics).toHaveLength(4);
});

describe('variants', () => {
  test('that cannot be used are listed with the reason', () => {
    expect(models['broken-variant'].version.variants).toEqual([
      { name: 'fp16', reason: null, maxBatch: 128 },
      { name: 'q4', reason: expect.stringContaining('"bbox"'), maxBatch: null },
      { name: 'quantized', reason: expect.stringContaining('not a complete ONNX file'), maxBatch: null },
    ]);
  });

  test('replace a missing model.onnx: the first usable one is the version, and keeps its name', async () => {
    const input = { model: 'no-plain-graph', input: { text: 'great' } };
    const { predict } = await app.query(PREDICT, { input: { ...input, variant: 'fp16' } });

    expect(models['no-plain-graph'].version.variants).toEqual([
      { name: 'O1', reason: null, maxBatch: 128 },
      { name: 'bnb4', reason: expect.stringContaining('not a complete ONNX file'), maxBatch: null },
      { name: 'fp16', reason: null, maxBatch: 128 },
      { name: 'quantized', reason: expect.stringContaining('"bbox"'), maxBatch: null },
    ]);
    expect(predict.prediction.output.label).toBe('POSITIVE');
  });

  test('that cannot be used refuse a prediction with the reason, and usable ones answer', async () => {
    const input = { model: 'broken-variant', input: { text: 'great' } };
    const broken = await app.query(PREDICT, { input: { ...input, variant: 'quantized' } });
    const usable = await app.query(PREDICT, { input: { ...input, variant: 'fp16' } });

    expect(broken.predict.problem.message).toContain('not a complete ONNX file');
    expect(usable.predict.prediction.output.label).toBe('POSITIVE');
  });
});
