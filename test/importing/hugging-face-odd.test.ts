/** What a folder of the Hub lacks is told by the file and what to add; what does no harm is no reason to refuse it. */
import { mkdir, symlink } from 'node:fs/promises';
import path from 'node:path';
import { imageSpecOfPreprocessor } from '#src/importing/preprocessor.js';
import { type Data, startTestApp, type TestApp } from '../support/app.js';
import type { Folder } from '../support/hugging-face/folder.js';
import { VOCABULARY } from '../support/hugging-face/text-folder.js';
import { huggingFaceFolders } from '../support/hugging-face.js';
import { createStore, type TestStore } from '../support/model-store.js';
import { encodeModel, type GraphSpec, type ValueInfo } from '../support/onnx.js';

const FOLDERS = huggingFaceFolders();

/** Files of a folder that are others; null leaves one out. */
type Changes = Readonly<Record<string, string | Buffer | null>>;

interface Odd {
  readonly title: string;
  readonly like: string;
  readonly files: Changes;
  /** What the reason names. */
  readonly reason: readonly string[];
}

const tokens = (name: string): ValueInfo => ({ name, type: 'INT64', shape: ['N', 'L'] });
const sumOf = (a: string, b: string): GraphSpec => ({
  inputs: [tokens(a), tokens(b)],
  outputs: [tokens('logits')],
  nodes: [{ op: 'Add', inputs: [a, b], outputs: ['logits'] }],
});

function changed(name: string, file: string, change: (content: Data) => Data): Changes {
  return { [file]: JSON.stringify(change(JSON.parse(FOLDERS[name]?.[file] as string))) };
}

const REFUSED: readonly Odd[] = [
  {
    title: 'no config.json',
    like: 'tiny-sst',
    files: { 'config.json': null, 'README.md': '---\npipeline_tag: text-classification\n---' },
    reason: ['config.json', 'id2label'],
  },
  {
    title: 'vocab.txt without tokenizer.json',
    like: 'tiny-sst',
    files: { 'tokenizer.json': null, 'vocab.txt': '[PAD]\n[UNK]' },
    reason: ['tokenizer.json is missing', 'save_pretrained', 'vocab.txt'],
  },
  {
    title: 'no preprocessor_config.json',
    like: 'tiny-vit',
    files: { 'preprocessor_config.json': null },
    reason: ['preprocessor_config.json is missing', 'image_mean'],
  },
  {
    title: 'pytorch_model.bin without a graph',
    like: 'tiny-sst',
    files: { 'onnx/model.onnx': null, 'pytorch_model.bin': 'weights' },
    reason: ['onnx/model.onnx is missing', 'pytorch_model.bin', 'optimum-cli export onnx'],
  },
  {
    title: 'model.safetensors without a graph',
    like: 'tiny-sst',
    files: { 'onnx/model.onnx': null, 'model.safetensors': 'weights' },
    reason: ['onnx/model.onnx is missing', 'model.safetensors', 'optimum-cli export onnx'],
  },
  {
    title: 'no graph at all',
    like: 'tiny-sst',
    files: { 'onnx/model.onnx': null },
    reason: ['there is no graph', 'onnx/model.onnx'],
  },
  {
    title: 'only a quantised graph that cannot be loaded',
    like: 'tiny-sst',
    files: { 'onnx/model.onnx': null, 'onnx/model_quantized.onnx': 'noise' },
    reason: ['not a complete ONNX file'],
  },
  {
    title: 'a gap in id2label',
    like: 'tiny-sst',
    files: changed('tiny-sst', 'config.json', (config) => ({ ...config, id2label: { 0: 'A', 2: 'B' } })),
    reason: ['config.json: id2label has "2" where 1 is expected'],
  },
  {
    title: 'fewer labels than scores',
    like: 'tiny-sst',
    files: changed('tiny-sst', 'config.json', (config) => ({ ...config, id2label: { 0: 'A' } })),
    reason: ['config.json: 1 labels', '"logits" has shape [any, 2]'],
  },
  {
    title: 'an input that nobody fills',
    like: 'tiny-sst',
    files: { 'onnx/model.onnx': encodeModel(sumOf('input_ids', 'bbox')) },
    reason: ['"bbox"', 'input_ids, attention_mask, token_type_ids, position_ids are fed'],
  },
  {
    title: 'a resampling filter that is not read',
    like: 'tiny-vit',
    files: changed('tiny-vit', 'preprocessor_config.json', (p) => ({ ...p, resample: 4 })),
    reason: ['preprocessor_config.json: resample 4', '0 to 3'],
  },
  ...[
    { image_processor_type: 'EfficientNetImageProcessor', include_top: true },
    { image_processor_type: 'EfficientNetImageProcessor', include_top: false, rescale_offset: true },
    { feature_extractor_type: 'PoolFormerFeatureExtractor', image_processor_type: undefined, crop_pct: 0.9 },
    { image_processor_type: 'GLPNImageProcessor', size_divisor: 32 },
  ].map((changes) => ({
    title: `the arithmetic of ${JSON.stringify(changes)}`,
    like: 'tiny-vit',
    files: changed('tiny-vit', 'preprocessor_config.json', (p) => ({ ...p, ...changes })),
    reason: [
      changes.feature_extractor_type ?? changes.image_processor_type ?? '',
      'rules of its own',
      'image in model.yaml',
    ],
  })),
  {
    title: 'a mixture of poolings',
    like: 'tiny-sentences',
    files: changed('tiny-sentences', '1_Pooling/config.json', (modes) => ({ ...modes, pooling_mode_max_tokens: true })),
    reason: ['1_Pooling/config.json', 'no mixture'],
  },
  {
    title: 'a layer after the pooling',
    like: 'tiny-sentences',
    files: changed('tiny-sentences', 'modules.json', (modules) => [
      ...modules,
      { idx: 3, name: '3', path: '3_Dense', type: 'sentence_transformers.models.Dense' },
    ]),
    reason: ['modules.json', 'sentence_transformers.models.Dense', 'export it into the graph'],
  },
  {
    title: 'a pooling that modules.json names and the folder lacks',
    like: 'tiny-sentences',
    files: { '1_Pooling/config.json': null },
    reason: ['1_Pooling/config.json is missing', 'modules.json'],
  },
  {
    title: 'a task that is not here',
    like: 'tiny-sst',
    files: { 'README.md': '---\npipeline_tag: text-generation\n---\n# Writer' },
    reason: ['README.md: pipeline_tag "text-generation"', 'fill-mask', '`task` in model.yaml'],
  },
  {
    title: 'a graph of another name beside weights',
    like: 'tiny-sst',
    files: {
      'onnx/model.onnx': null,
      'onnx/text_model.onnx': FOLDERS['tiny-sst']?.['onnx/model.onnx'] as Buffer,
      'model.safetensors': 'weights',
    },
    reason: ['onnx/model.onnx is missing', 'onnx/text_model.onnx is there; rename it'],
  },
  {
    title: 'no mask token',
    like: 'tiny-mlm',
    files: {
      ...changed('tiny-mlm', 'tokenizer_config.json', ({ mask_token: _, ...config }) => config),
      ...changed('tiny-mlm', 'tokenizer.json', ({ added_tokens, ...file }) => ({
        ...file,
        added_tokens: added_tokens.filter(({ content }: Data) => content !== '[MASK]'),
      })),
    },
    reason: ['tokenizer_config.json: mask_token is missing'],
  },
  {
    title: 'an inference model whose labels do not say so',
    like: 'tiny-nli',
    files: changed('tiny-nli', 'config.json', (config) => ({ ...config, id2label: { 0: 'a', 1: 'b', 2: 'c' } })),
    reason: ['config.json: id2label has no label that begins with "entail"', 'a, b, c'],
  },
  {
    title: 'a detector without labels',
    like: 'tiny-yolos',
    files: changed('tiny-yolos', 'config.json', ({ id2label: _, ...config }) => config),
    reason: ['labels is missing: add id2label to config.json'],
  },
  {
    title: 'a damaged config.json',
    like: 'tiny-sst',
    files: { 'config.json': '{ "id2label": {' },
    reason: ['config.json is no JSON'],
  },
  {
    title: 'a damaged tokenizer.json',
    like: 'tiny-sst',
    files: { 'tokenizer.json': '{ "model": ' },
    reason: ['tokenizer.json is no JSON'],
  },
  {
    title: 'a damaged tokenizer_config.json',
    like: 'tiny-sst',
    files: { 'tokenizer_config.json': '[' },
    reason: ['tokenizer_config.json is no JSON'],
  },
  {
    title: 'an empty preprocessor_config.json',
    like: 'tiny-vit',
    files: { 'preprocessor_config.json': '' },
    reason: ['preprocessor_config.json is no JSON'],
  },
  {
    title: 'a list where config.json has names',
    like: 'tiny-sst',
    files: changed('tiny-sst', 'config.json', (config) => ({ ...config, id2label: ['a', 'b'] })),
    reason: ['config.json: id2label'],
  },
  {
    title: 'a config.json that is null',
    like: 'tiny-sst',
    files: { 'config.json': 'null' },
    reason: ['config.json'],
  },
  {
    title: 'a tokenizer.json that is null',
    like: 'tiny-sst',
    files: { 'tokenizer.json': 'null' },
    reason: ['tokenizer'],
  },
  {
    title: 'a tokenizer of an unknown kind',
    like: 'tiny-sst',
    files: changed('tiny-sst', 'tokenizer.json', (file) => ({ ...file, model: { type: 'Neural' } })),
    reason: ['tokenizer.json', 'Neural'],
  },
  {
    title: 'front matter that is no YAML',
    like: 'tiny-sst',
    files: { 'README.md': '---\nlicense: [mit\n---\n# T' },
    reason: ['README.md is no YAML'],
  },
];

/** Nothing here keeps the model from being right. */
const FINE: Readonly<Record<string, Pick<Odd, 'like' | 'files'>>> = {
  'a-card-of-odd-values': {
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
  'odd-metrics': {
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
  'a-broken-variant': {
    like: 'tiny-sst',
    files: {
      'onnx/model_quantized.onnx': 'no graph',
      'onnx/model_fp16.onnx': FOLDERS['tiny-sst']?.['onnx/model.onnx'] as Buffer,
      'onnx/model_q4.onnx': encodeModel(sumOf('input_ids', 'bbox')),
    },
  },
  'no-plain-graph': {
    like: 'tiny-sst',
    files: {
      'onnx/model.onnx': null,
      'onnx/model_O1.onnx': FOLDERS['tiny-sst']?.['onnx/model.onnx'] as Buffer,
      'onnx/model_bnb4.onnx': 'no graph',
      'onnx/model_fp16.onnx': FOLDERS['tiny-sst']?.['onnx/model.onnx'] as Buffer,
      'onnx/model_quantized.onnx': encodeModel(sumOf('input_ids', 'bbox')),
    },
  },
  'more-files': {
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

/** What the card shows, and what becomes of it. */
const EXAMPLES: Readonly<Record<string, { like: string; card: string; example: object }>> = {
  'labels-with-a-comma-more': {
    like: 'tiny-nli',
    card: widget('zero-shot-classification', 'text: Paris, candidate_labels: "film, travel, "'),
    example: { zeroShot: { text: 'Paris', labels: ['film', 'travel'] } },
  },
  'a-label-twice': {
    like: 'tiny-nli',
    card: widget('zero-shot-classification', 'text: Paris, candidate_labels: "film, film"', 'src: cat.png'),
    example: { zeroShot: { text: 'The movie was great.', labels: ['film', 'travel', 'food'] } },
  },
  'two-masks': {
    like: 'tiny-mlm',
    card: widget('fill-mask', 'text: "[MASK] and [MASK]"', 'text: "the [MASK]"'),
    example: { text: 'the [MASK]' },
  },
  'pictures-for-texts': {
    like: 'tiny-sst',
    card: widget('text-classification', 'src: cat.png', 'text: " "'),
    example: { text: 'The movie was great, and Paris is the capital of France.' },
  },
};

const module = (type: string, path: string) => ({ path, type: `sentence_transformers.models.${type}` });
/** Models of sentence-transformers in other forms. */
const SENTENCES: Readonly<Record<string, Changes>> = {
  'pooling-elsewhere': {
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

/** None of them says in tokenizer_config.json which token is the mask. */
const BARE_CONFIG = JSON.stringify({ model_max_length: 64, mask_token: null });
const MASKS: Readonly<Record<string, Changes>> = {
  'mask-in-the-map': {
    'tokenizer_config.json': BARE_CONFIG,
    'special_tokens_map.json': JSON.stringify({ mask_token: { content: '[MASK]', lstrip: true }, pad_token: 3 }),
  },
  'mask-as-a-word-of-the-map': {
    'tokenizer_config.json': BARE_CONFIG,
    'special_tokens_map.json': JSON.stringify({ mask_token: '[MASK]', pad_token: '[PAD]' }),
  },
  'mask-among-the-added': { 'tokenizer_config.json': BARE_CONFIG, 'special_tokens_map.json': '[' },
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
let found: Readonly<Record<string, Data>>;
beforeAll(async () => {
  store = await createStore();
  const folders: [string, Pick<Odd, 'like' | 'files'>][] = [
    ...REFUSED.map((odd, i): [string, Odd] => [`refused-${i}`, odd]),
    ...Object.entries(FINE),
  ];
  for (const [name, { like, card }] of Object.entries(EXAMPLES))
    await store.write(name, { ...FOLDERS[like], 'README.md': card });
  for (const [name, files] of Object.entries(MASKS)) folders.push([name, { like: 'tiny-mlm', files }]);
  for (const [name, files] of Object.entries(SENTENCES)) folders.push([name, { like: 'tiny-sentences', files }]);
  for (const [name, { like, files }] of folders) {
    const present = Object.entries({ ...FOLDERS[like], ...files }).filter(([, content]) => content !== null);
    await store.write(name, Object.fromEntries(present) as Folder);
  }
  // A folder of a download that was cleared: its files were links.
  await mkdir(path.join(store.folder, 'link-to-nowhere/onnx'), { recursive: true });
  await symlink('../../blobs/1234', path.join(store.folder, 'link-to-nowhere/onnx/model.onnx'));
  await store.write('datasets/sst2', { 'dataset.yaml': 'title: Sentiment\ntask: text-classification' });
  app = await startTestApp({ modelStore: store.folder });
  const { models } = await app.query(MODELS);
  found = Object.fromEntries(
    models.nodes.map(({ versions, ...model }: Data) => [model.name, { ...model, version: versions.nodes[0] }]),
  );
});
afterAll(async () => {
  await app.stop();
  await store.remove();
});

test.each(REFUSED.map((odd, i) => ({ ...odd, name: `refused-${i}` })))(
  '$title: FAILED, with the file and what to do',
  ({ name, reason }) => {
    const { state, stateReason } = found[name].version;

    expect(state).toBe('FAILED');
    for (const word of reason) expect(stateReason).toContain(word);
    expect(stateReason).not.toMatch(/undefined|NaN|\[object|TypeError|Cannot read/);
  },
);

test('a link to nowhere fails its own model only', () => {
  expect(found['link-to-nowhere'].version).toMatchObject({
    state: 'FAILED',
    stateReason: expect.stringContaining('model.onnx cannot be read: ENOENT'),
  });
});

test.each(Object.keys(FINE))('%s: READY, and answers as ever', async (model) => {
  const { predict } = await app.query(PREDICT, { input: { model, input: { text: 'great' } } });

  expect(found[model].version).toMatchObject({ state: 'READY', stateReason: null });
  expect(predict).toEqual({
    prediction: { output: { label: 'POSITIVE', score: expect.closeTo(1 / (1 + Math.exp(-6)), 5) } },
    problem: null,
  });
});

test('a task or a layer that is not read here fails the version, and the card stands', () => {
  const cards = ['a task that is not here', 'a layer after the pooling'].map((title) => {
    const { title: shown, license, tags, task } = found[`refused-${REFUSED.findIndex((odd) => odd.title === title)}`];
    return { shown, license, tags, task };
  });

  expect(cards).toEqual([
    { shown: 'Writer', license: null, tags: [], task: 'TENSOR' },
    { shown: 'Tiny', license: 'apache-2.0', tags: [], task: 'SENTENCE_SIMILARITY' },
  ]);
});

test('of sentence-transformers the pooling is read where modules.json says, and what the graph did is not asked', async () => {
  const query = `mutation ($input: PredictInput!) { predict(input: $input) {
    prediction { output { ... on Embedding { vector } } } problem { message } } }`;
  const vectors = ['pooling-elsewhere', 'dense-in-the-graph'].map(async (model) => {
    const { predict } = await app.query(query, { input: { model, input: { text: 'great' } } });
    return predict.prediction.output.vector;
  });

  // The largest of the word's (3, 4, 0) and zeros; the largest of the ids.
  expect(await Promise.all(vectors)).toEqual([[3, 4, 0], [VOCABULARY.indexOf('great')]]);
});

test.each([
  [{ feature_extractor_type: 'LevitFeatureExtractor', size: 224 }, 256, 224],
  [{ image_processor_type: 'LevitImageProcessor', size: { shortest_edge: 32 }, crop_size: 24 }, 36, 24],
])('LeViT resizes to more than it keeps: %j', (preprocessor, edge, crop) => {
  expect(imageSpecOfPreprocessor(preprocessor, false)).toMatchObject({
    resize: { kind: 'shortest', edge, longest: null },
    crop: { width: crop, height: crop },
  });
});

test.each(Object.entries(EXAMPLES))('%s: the example is the first input of the card that fits', (name, { example }) => {
  expect(found[name].version).toMatchObject({ state: 'READY', signature: { example } });
});

test.each(Object.keys(MASKS))('%s: the mask is found, and it is what the worker reads', async (model) => {
  const { predict } = await app.query(
    `mutation ($input: PredictInput!) { predict(input: $input) {
      prediction { output { ... on Fillings { items(first: 1) { text score } } } } problem { message } } }`,
    { input: { model, input: { text: '[MASK] is the capital of france' } } },
  );

  expect(predict.problem).toBeNull();
  expect(predict.prediction.output.items).toEqual([{ text: 'paris', score: expect.closeTo(0.96441, 4) }]);
});

test('of a card with odd values what can be read is read', () => {
  expect(found['a-card-of-odd-values']).toMatchObject({
    title: '12',
    license: 'mit, apache-2.0',
    tags: ['3', 'sentiment', 'true'],
  });
});

test('of a model-index the numbers are imported, and what is none is left out', () => {
  const evaluations = found['odd-metrics'].version.evaluations.nodes;

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

test('a variant that cannot be used is listed with its reason', () => {
  expect(found['a-broken-variant'].version.variants).toEqual([
    { name: 'fp16', reason: null, maxBatch: 128 },
    { name: 'q4', reason: expect.stringContaining('"bbox"'), maxBatch: null },
    { name: 'quantized', reason: expect.stringContaining('not a complete ONNX file'), maxBatch: null },
  ]);
});

test('without a plain graph the first variant that can be used is the version, and is still called by its name', async () => {
  const input = { model: 'no-plain-graph', input: { text: 'great' } };
  const { predict } = await app.query(PREDICT, { input: { ...input, variant: 'fp16' } });

  expect(found['no-plain-graph'].version.variants).toEqual([
    { name: 'O1', reason: null, maxBatch: 128 },
    { name: 'bnb4', reason: expect.stringContaining('not a complete ONNX file'), maxBatch: null },
    { name: 'fp16', reason: null, maxBatch: 128 },
    { name: 'quantized', reason: expect.stringContaining('"bbox"'), maxBatch: null },
  ]);
  expect(predict.prediction.output.label).toBe('POSITIVE');
});

test('asking for a variant that cannot be used says why; one that can answers', async () => {
  const input = { model: 'a-broken-variant', input: { text: 'great' } };
  const broken = await app.query(PREDICT, { input: { ...input, variant: 'quantized' } });
  const fine = await app.query(PREDICT, { input: { ...input, variant: 'fp16' } });

  expect(broken.predict.problem.message).toContain('not a complete ONNX file');
  expect(fine.predict.prediction.output.label).toBe('POSITIVE');
});
