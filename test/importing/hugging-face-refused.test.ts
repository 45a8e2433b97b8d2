/** Hugging Face repositories that cannot be served: the version is FAILED, and the reason names the file and what to do. */
import { mkdir, symlink } from 'node:fs/promises';
import path from 'node:path';
import { type Data, startTestApp, type TestApp } from '../support/app.js';
import { type Folder, floats, keepDimensions, node } from '../support/hugging-face/folder.js';
import { maskedEmbedding, table, textGraph } from '../support/hugging-face/text-folder.js';
import { huggingFaceFolders } from '../support/hugging-face.js';
import { createStore, type TestStore } from '../support/model-store.js';
import { encodeModel, UNKNOWN_TEXT_INPUT } from '../support/onnx.js';

const FOLDERS = huggingFaceFolders();

/** Files that replace those of a folder; null removes one. */
type Changes = Readonly<Record<string, string | Buffer | null>>;

interface RefusedFolder {
  readonly title: string;
  /** The folder that is changed. */
  readonly like: string;
  readonly files: Changes;
  /** Parts of the reason. */
  readonly reason: readonly string[];
}

/** A folder's JSON file with a change. */
function changed(name: string, file: string, change: (content: Data) => Data): Changes {
  return { [file]: JSON.stringify(change(JSON.parse(FOLDERS[name]?.[file] as string))) };
}

/** Pools the tokens itself, as exports of whole models of sentence-transformers do. */
const POOLED = textGraph({
  inputs: ['input_ids', 'attention_mask'],
  outputs: [floats('sentence_embedding', ['batch', 3])],
  nodes: [
    ...maskedEmbedding('words'),
    node('ReduceSum', ['hidden', 'axis_1'], 'sentence_embedding', keepDimensions(false)),
  ],
  floats: [table('words', 3, { great: [1, 0, 0] })],
});

const REFUSED: readonly RefusedFolder[] = [
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
    title: 'only a quantized graph, which cannot be loaded',
    like: 'tiny-sst',
    files: { 'onnx/model.onnx': null, 'onnx/model_quantized.onnx': 'noise' },
    reason: ['not a complete ONNX file'],
  },
  {
    title: 'a gap in id2label',
    like: 'tiny-sst',
    files: changed('tiny-sst', 'config.json', (config) => ({ ...config, id2label: { 0: 'A', 2: 'B' } })),
    reason: ['config.json: id2label has "2" where "1" is expected'],
  },
  {
    title: 'fewer labels than scores',
    like: 'tiny-sst',
    files: changed('tiny-sst', 'config.json', (config) => ({ ...config, id2label: { 0: 'A' } })),
    reason: ['config.json: the number of labels is 1', '"logits" has shape [any, 2]'],
  },
  {
    title: 'an input that the service cannot fill',
    like: 'tiny-sst',
    files: { 'onnx/model.onnx': encodeModel(UNKNOWN_TEXT_INPUT) },
    reason: ['"bbox"', 'text graphs can have input_ids, attention_mask, token_type_ids, position_ids'],
  },
  {
    title: 'a resampling filter that is not supported',
    like: 'tiny-vit',
    files: changed('tiny-vit', 'preprocessor_config.json', (p) => ({ ...p, resample: 4 })),
    reason: ['preprocessor_config.json: resample 4', '3 (bicubic)'],
  },
  ...[
    { image_processor_type: 'DPTImageProcessor', keep_aspect_ratio: true },
    { image_processor_type: 'DPTImageProcessor', ensure_multiple_of: 32 },
    { feature_extractor_type: 'DPTFeatureExtractor', image_processor_type: undefined, do_pad: true, size_divisor: 8 },
    { image_processor_type: 'TextNetImageProcessor' },
    { image_processor_type: 'GLPNImageProcessor', size_divisor: 32 },
  ].map((changes) => ({
    title: `an image processor with special rules: ${JSON.stringify(changes)}`,
    like: 'tiny-vit',
    files: changed('tiny-vit', 'preprocessor_config.json', (p) => ({ ...p, ...changes })),
    reason: [
      changes.feature_extractor_type ?? changes.image_processor_type ?? '',
      'which is not supported',
      'image in model.yaml',
    ],
  })),
  {
    title: 'a combination of poolings',
    like: 'tiny-sentences',
    files: changed('tiny-sentences', '1_Pooling/config.json', (modes) => ({ ...modes, pooling_mode_max_tokens: true })),
    reason: ['1_Pooling/config.json', 'the pooling mean and max is not supported'],
  },
  {
    title: 'a dense layer after the pooling',
    like: 'tiny-sentences',
    files: changed('tiny-sentences', 'modules.json', (modules) => [
      ...modules,
      { idx: 3, name: '3', path: '3_Dense', type: 'sentence_transformers.models.Dense' },
    ]),
    reason: ['modules.json', 'sentence_transformers.models.Dense', 'export it as part of the graph'],
  },
  {
    title: 'a missing pooling configuration',
    like: 'tiny-sentences',
    files: { '1_Pooling/config.json': null },
    reason: ['1_Pooling/config.json is missing', 'modules.json'],
  },
  {
    title: 'a ranking model with several scores for each pair',
    like: 'tiny-sst',
    files: { 'README.md': '---\npipeline_tag: text-ranking\n---' },
    reason: ['output "logits" has shape [any, 2]', 'num_labels 1', 'task: text-classification'],
  },
  {
    title: 'a ranking model with an activation of its own',
    like: 'tiny-ranker',
    files: changed('tiny-ranker', 'config.json', (config) => ({
      ...config,
      sentence_transformers: { activation_fn: 'torch.nn.modules.activation.Tanh' },
    })),
    reason: ['activation_fn is "torch.nn.modules.activation.Tanh"', 'output: { activation: none }'],
  },
  {
    title: 'a softmax of a single score',
    like: 'tiny-ranker',
    files: { 'model.yaml': 'output: { activation: softmax }' },
    reason: ['model.yaml: output.activation is softmax, but a single score has no softmax'],
  },
  {
    title: 'a cross-encoder with a module that is not supported',
    like: 'tiny-ranker',
    files: {
      'config_sentence_transformers.json': JSON.stringify({ model_type: 'CrossEncoder' }),
      'modules.json': JSON.stringify([{ type: 'sentence_transformers.cross_encoder.modules.LogitScore' }]),
    },
    reason: ['modules.json: the module', 'LogitScore is not supported', 'output.scores in model.yaml'],
  },
  {
    title: 'offsets of a task without embeddings',
    like: 'tiny-sst',
    files: {
      'onnx/model.onnx': encodeModel({
        inputs: [
          { name: 'input_ids', type: 'INT64', shape: ['N'] },
          { name: 'offsets', type: 'INT64', shape: ['B'] },
        ],
        outputs: [floats('logits', ['B', 2])],
        nodes: [node('Gather', ['words', 'input_ids'], 'logits'), node('Identity', ['offsets'], 'same')],
        floats: [table('words', 2, {})],
      }),
    },
    reason: ['input "offsets" (INT64 [any]) is not supported', 'input_ids, attention_mask'],
  },
  {
    title: 'a default prompt that is not one of the prompts',
    like: 'tiny-sentences',
    files: {
      'config_sentence_transformers.json': JSON.stringify({ prompts: { a: 'a: ' }, default_prompt_name: 'b' }),
    },
    reason: ['config_sentence_transformers.json: default_prompt_name is "b", but prompts has a'],
  },
  {
    title: 'a similarity that sentence-transformers does not have',
    like: 'tiny-sentences',
    files: { 'config_sentence_transformers.json': JSON.stringify({ similarity_fn_name: 'jaccard' }) },
    reason: [
      'config_sentence_transformers.json: similarity_fn_name is "jaccard", but sentence-transformers knows cosine, dot, euclidean, manhattan: use one of them',
    ],
  },
  {
    title: 'a prompt that is too long',
    like: 'tiny-sentences',
    files: { 'config_sentence_transformers.json': JSON.stringify({ prompts: { a: 'a'.repeat(4_001) } }) },
    reason: ['config_sentence_transformers.json: the prompt "a" has 4001 characters; at most 256 prompts of 4000'],
  },
  {
    title: 'a graph that pools the tokens of the prompt, which the pooling leaves out',
    like: 'tiny-sentences',
    files: {
      'config_sentence_transformers.json': JSON.stringify({ prompts: { a: 'a: ' }, default_prompt_name: 'a' }),
      '1_Pooling/config.json': JSON.stringify({ pooling_mode: 'mean', include_prompt: false }),
      'onnx/model.onnx': POOLED,
    },
    reason: ['1_Pooling/config.json: include_prompt is false', 'output last_hidden_state or token_embeddings'],
  },
  {
    title: 'a task that is not supported',
    like: 'tiny-sst',
    files: { 'README.md': '---\npipeline_tag: text-generation\n---\n# Writer' },
    reason: ['README.md: pipeline_tag "text-generation"', 'fill-mask', 'set task in model.yaml'],
  },
  {
    title: 'a graph with another name, next to weights',
    like: 'tiny-sst',
    files: {
      'onnx/model.onnx': null,
      'onnx/text_model.onnx': FOLDERS['tiny-sst']?.['onnx/model.onnx'] as Buffer,
      'model.safetensors': 'weights',
    },
    reason: ['onnx/model.onnx is missing', 'found onnx/text_model.onnx; rename it'],
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
    title: 'an NLI model without an entailment label',
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
    reason: ['config.json is not valid JSON'],
  },
  {
    title: 'a tokenizer.json with more tokens than the embedding has rows',
    like: 'tiny-sst',
    files: changed('tiny-sst', 'tokenizer.json', (file) => ({
      ...file,
      model: { ...file.model, vocab: { ...file.model.vocab, another: 1_000 } },
    })),
    reason: ['tokenizer.json has the token id 1000, but the embedding of the graph has', 'belongs to another model'],
  },
  {
    title: 'a damaged tokenizer.json',
    like: 'tiny-sst',
    files: { 'tokenizer.json': '{ "model": ' },
    reason: ['tokenizer.json is not valid JSON'],
  },
  {
    title: 'a damaged tokenizer_config.json',
    like: 'tiny-sst',
    files: { 'tokenizer_config.json': '[' },
    reason: ['tokenizer_config.json is not valid JSON'],
  },
  {
    title: 'an empty preprocessor_config.json',
    like: 'tiny-vit',
    files: { 'preprocessor_config.json': '' },
    reason: ['preprocessor_config.json is not valid JSON'],
  },
  {
    title: 'a list in place of id2label',
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
    title: 'an unknown type of tokenizer model',
    like: 'tiny-sst',
    files: changed('tiny-sst', 'tokenizer.json', (file) => ({ ...file, model: { type: 'Neural' } })),
    reason: ['tokenizer.json', 'Neural'],
  },
  {
    title: 'front matter that is not valid YAML',
    like: 'tiny-sst',
    files: { 'README.md': '---\nlicense: [mit\n---\n# T' },
    reason: ['README.md is not valid YAML'],
  },
];

const MODELS =
  '{ models(first: 100) { nodes { name title license tags task versions(first: 1) { nodes { state stateReason } } } } }';

let store: TestStore;
let app: TestApp;
let models: Readonly<Record<string, Data>>;
beforeAll(async () => {
  store = await createStore();
  for (const [i, { like, files }] of REFUSED.entries()) {
    const present = Object.entries({ ...FOLDERS[like], ...files }).filter(([, content]) => content !== null);
    await store.write(`refused-${i}`, Object.fromEntries(present) as Folder);
  }
  // A download from the Hub whose cache was cleared: its files are links to blobs that are gone.
  await mkdir(path.join(store.folder, 'broken-link/onnx'), { recursive: true });
  await symlink('../../blobs/1234', path.join(store.folder, 'broken-link/onnx/model.onnx'));
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

function refusedModel(title: string): Data {
  return models[`refused-${REFUSED.findIndex((folder) => folder.title === title)}`];
}

test.each(REFUSED)('$title: FAILED, and the reason says what to do', ({ title, reason }) => {
  const { state, stateReason } = refusedModel(title).version;

  expect(state).toBe('FAILED');
  for (const part of reason) expect(stateReason).toContain(part);
  expect(stateReason).not.toMatch(/undefined|NaN|\[object|TypeError|Cannot read/);
});

test('a broken link fails only its own model', () => {
  expect(models['broken-link'].version).toMatchObject({
    state: 'FAILED',
    stateReason: expect.stringContaining('model.onnx cannot be read: ENOENT'),
  });
});

test('the card of a model is listed even if its version is FAILED', () => {
  const cards = ['a task that is not supported', 'a dense layer after the pooling'].map((title) => {
    const { title: cardTitle, license, tags, task } = refusedModel(title);
    return { cardTitle, license, tags, task };
  });

  expect(cards).toEqual([
    { cardTitle: 'Writer', license: null, tags: [], task: 'TENSOR' },
    { cardTitle: 'Tiny', license: 'apache-2.0', tags: [], task: 'SENTENCE_SIMILARITY' },
  ]);
});
