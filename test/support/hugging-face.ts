/**
 * Tiny folders as they lie on the Hugging Face Hub, one for each kind of answer. Their weights are set by hand, so that
 * every answer follows from a few sums, which stand at each folder. `σ(x)` is 1 / (1 + e^−x).
 *
 * All texts are read by one WordPiece vocabulary: the words below, and single characters for everything else.
 */
import { encodeModel, type GraphSpec, type Initializer, type NodeSpec, TYPE, type ValueInfo } from './onnx.ts';

export type Folder = Readonly<Record<string, string | Buffer>>;

const SPECIAL = ['[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]'];
const CHARACTERS = [..."abcdefghijklmnopqrstuvwxyz0123456789.,!?'-"];
const WORDS =
  'the movie was good bad great awful un ##aff ##able is not paris france capital of berlin germany new york film travel'.split(
    ' ',
  );
/** In the order of their ids; "[MASK]" is 4, "the" is 89. */
export const VOCABULARY = [...SPECIAL, ...CHARACTERS, ...CHARACTERS.map((one) => `##${one}`), ...WORDS];
/** Of all texts, special tokens included. */
export const MAX_TOKENS = 64;
/** Pictures are made square with this edge by those that classify or describe them. */
const EDGE = 32;

/** By name. Each is a whole folder of a model, ready to be written into a store. */
export function huggingFaceFolders(): Record<string, Folder> {
  return {
    'tiny-sst': sst(),
    'tiny-topics': topics(),
    'tiny-ner': ner(),
    'tiny-embed': embed(),
    'tiny-sentences': sentences(),
    'tiny-mlm': mlm(),
    'tiny-qa': qa(),
    'tiny-nli': nli(),
    'tiny-vit': vit(),
    'tiny-vit-features': vitFeatures(),
    'tiny-yolos': yolos(),
    'tiny-detr': detr(),
  };
}

// ── texts ──

/**
 * The mean over all tokens, special ones included, of: good 6, great 9, bad −6, awful −9, any other 0. POSITIVE gets m,
 * NEGATIVE −m, so that P(POSITIVE) = σ(2m): "great" is three tokens, m = 9 / 3, σ(6) = 0.99753.
 */
function sst(): Folder {
  const graph = textGraph({
    inputs: ['input_ids', 'attention_mask'],
    outputs: [floats('logits', ['batch', 2])],
    nodes: [
      ...maskedEmbedding('words'),
      node('ReduceSum', ['hidden', 'axis_1'], 'sum', keepDimensions(false)),
      node('ReduceSum', ['mask', 'axis_1'], 'count', keepDimensions(false)),
      node('Div', ['sum', 'count'], 'mean'),
      node('MatMul', ['mean', 'direction'], 'logits'),
    ],
    floats: [
      table('words', 1, { good: [6], great: [9], bad: [-6], awful: [-9] }),
      { name: 'direction', shape: [1, 2], data: [-1, 1] },
    ],
  });
  return textFolder('BertForSequenceClassification', graph, { id2label: labels('NEGATIVE', 'POSITIVE') });
}

/**
 * Several labels at once, σ of: good, great → praise 6; bad, awful → blame 6; paris, berlin → place 6; all −3. Whatever is
 * named once has σ(3) = 0.95257, whatever is not σ(−3) = 0.04743.
 */
function topics(): Folder {
  const graph = textGraph({
    inputs: ['input_ids', 'attention_mask', 'token_type_ids'],
    outputs: [floats('logits', ['batch', 3])],
    nodes: [
      ...maskedEmbedding('words'),
      node('ReduceSum', ['hidden', 'axis_1'], 'sum', keepDimensions(false)),
      // The inputs that an export has anyhow must be used, else the runtime leaves them out.
      node('Cast', ['token_type_ids'], 'types', [{ name: 'to', int: TYPE.FP32 }]),
      node('ReduceSum', ['types', 'axis_1'], 'second', keepDimensions(true)),
      node('Mul', ['second', 'zero'], 'nothing'),
      node('Add', ['sum', 'nothing'], 'found'),
      node('Sub', ['found', 'three'], 'logits'),
    ],
    floats: [
      table('words', 3, {
        good: [6, 0, 0],
        great: [6, 0, 0],
        bad: [0, 6, 0],
        awful: [0, 6, 0],
        paris: [0, 0, 6],
        berlin: [0, 0, 6],
      }),
      { name: 'zero', shape: [1], data: [0] },
      { name: 'three', shape: [1], data: [3] },
    ],
  });
  const config = { id2label: labels('praise', 'blame', 'place'), problem_type: 'multi_label_classification' };
  return textFolder('BertForSequenceClassification', graph, config);
}

/**
 * Each token for itself, over three labels: paris, berlin, new → B-LOC 5; york → I-LOC 5; "##able" → O 6; any other → O 5.
 * A label of 5 has e^5 / (e^5 + 2) = 0.98670, so does what "new york" names. "parisable" is two tokens of one word: by
 * its first token a place; by the mean of both not, as e^6 / (e^6 + 2) = 0.99507 is more.
 */
function ner(): Folder {
  const [begins, continues] = [
    [0, 5, 0],
    [0, 0, 5],
  ];
  const graph = textGraph({
    inputs: ['input_ids', 'attention_mask'],
    outputs: [floats('logits', ['batch', 'sequence', 3])],
    nodes: [...maskedEmbedding('words'), node('Identity', ['hidden'], 'logits')],
    floats: [
      table(
        'words',
        3,
        { paris: begins, berlin: begins, new: begins, york: continues, '##able': [6, 0, 0] },
        [5, 0, 0],
      ),
    ],
  });
  return textFolder('BertForTokenClassification', graph, { id2label: labels('O', 'B-LOC', 'I-LOC') });
}

const VECTORS = { great: [3, 4, 0], good: [4, 3, 0], paris: [0, 0, 5] };

/** One vector a token: great (3, 4, 0), good (4, 3, 0), paris (0, 0, 5), any other zeros. */
function vectorsGraph(): Buffer {
  return textGraph({
    inputs: ['input_ids', 'attention_mask'],
    outputs: [floats('last_hidden_state', ['batch', 'sequence', 3])],
    nodes: [...maskedEmbedding('words'), node('Identity', ['hidden'], 'last_hidden_state')],
    floats: [table('words', 3, VECTORS)],
  });
}

/** The mean over all tokens as it is: of "great" (3, 4, 0) / 3, of "great paris" (3, 4, 5) / 4. */
function embed(): Folder {
  return textFolder('BertModel', vectorsGraph(), {});
}

/**
 * The mean, scaled to length one: of "great" (0.6, 0.8, 0), of "good" (0.8, 0.6, 0), of "paris" (0, 0, 1). Great and good
 * have the cosine 0.96, great and paris 0. What holds none of the three has no direction and stays zeros. At most 32
 * tokens are read.
 */
function sentences(): Folder {
  const parts = ['', '1_Pooling', '2_Normalize'];
  const types = ['Transformer', 'Pooling', 'Normalize'];
  return {
    ...textFolder('BertModel', vectorsGraph(), {}),
    'modules.json': json(
      parts.map((path, idx) => ({ idx, name: String(idx), path, type: `sentence_transformers.models.${types[idx]}` })),
    ),
    'sentence_bert_config.json': json({ max_seq_length: 32, do_lower_case: false }),
    '1_Pooling/config.json': json({
      word_embedding_dimension: 3,
      pooling_mode_cls_token: false,
      pooling_mode_mean_tokens: true,
      pooling_mode_max_tokens: false,
      pooling_mode_mean_sqrt_len_tokens: false,
    }),
  };
}

/**
 * Any place gets the same scores, by what the whole text holds: france → paris 8, germany → berlin 8, any other word 0.
 * In "[MASK] is the capital of france" paris has e^8 / (e^8 + 110) = 0.96441: there are 111 words.
 */
function mlm(): Folder {
  const answers = VOCABULARY.map((word) => [word === 'paris' ? 8 : 0, word === 'berlin' ? 8 : 0]);
  const graph = textGraph({
    inputs: ['input_ids', 'attention_mask'],
    outputs: [floats('logits', ['batch', 'sequence', VOCABULARY.length])],
    nodes: [
      ...maskedEmbedding('words'),
      node('ReduceSum', ['hidden', 'axis_1'], 'all', keepDimensions(true)),
      node('Mul', ['hidden', 'zero'], 'nothing'),
      node('Add', ['nothing', 'all'], 'everywhere'),
      node('MatMul', ['everywhere', 'answers'], 'logits'),
    ],
    floats: [
      table('words', 2, { france: [1, 0], germany: [0, 1] }),
      {
        name: 'answers',
        shape: [2, VOCABULARY.length],
        data: [0, 1].flatMap((i) => answers.map((row) => row[i] ?? 0)),
      },
      { name: 'zero', shape: [1], data: [0] },
    ],
  });
  return textFolder('BertForMaskedLM', graph, {});
}

/**
 * An answer begins and ends, by a word of the question: france → at paris 8; germany → at berlin 8; film → from new 8 to
 * york 8. The first token, which stands for "no answer", has 4, any other 0. For the question "capital of france?":
 *   "paris is the capital" (four tokens): paris, (e^8 / (e^8 + e^4 + 3))²
 *   "the movie was great" (four tokens):  none, (e^4 / (e^4 + 4))²
 */
function qa(): Folder {
  const asked = { france: [1, 0, 0], germany: [0, 1, 0], film: [0, 0, 1] };
  const none = { '[CLS]': [4] };
  const graph = textGraph({
    inputs: ['input_ids', 'attention_mask', 'token_type_ids'],
    outputs: [floats('start_logits', ['batch', 'sequence']), floats('end_logits', ['batch', 'sequence'])],
    nodes: [
      ...bothTexts('asked'),
      node('Gather', ['none', 'input_ids'], 'none_of_each'),
      node('Squeeze', ['none_of_each', 'axis_2'], 'bias'),
      ...['start', 'end'].flatMap((edge) => [
        node('Gather', [edge, 'input_ids'], `${edge}_of_each`),
        node('Mul', [`${edge}_of_each`, 'sum_of_a'], `${edge}_asked`),
        node('ReduceSum', [`${edge}_asked`, 'axis_2'], `${edge}_found`, keepDimensions(false)),
        node('Add', [`${edge}_found`, 'bias'], `${edge}_logits`),
      ]),
    ],
    floats: [
      table('asked', 3, asked),
      table('none', 1, none),
      table('start', 3, { paris: [8, 0, 0], berlin: [0, 8, 0], new: [0, 0, 8] }),
      table('end', 3, { paris: [8, 0, 0], berlin: [0, 8, 0], york: [0, 0, 8] }),
    ],
  });
  return textFolder('BertForQuestionAnswering', graph, {});
}

/**
 * Does the text entail "This example is <label>."? What both hold, word by word: movie, film → film 2; paris, travel →
 * travel 2; the products of both texts' sums are added up to x. Contradiction gets −x, neutral 0, entailment x.
 * "the movie" holds film: x is 4 for the label "film", 0 for "travel" and "food".
 */
function nli(): Folder {
  const graph = textGraph({
    inputs: ['input_ids', 'attention_mask', 'token_type_ids'],
    outputs: [floats('logits', ['batch', 3])],
    nodes: [
      ...bothTexts('words'),
      node('Mul', ['sum_of_a', 'sum_of_b'], 'shared'),
      node('ReduceSum', ['shared', 'axis_2'], 'x', keepDimensions(false)),
      node('MatMul', ['x', 'direction'], 'logits'),
    ],
    floats: [
      table('words', 2, { movie: [2, 0], film: [2, 0], paris: [0, 2], travel: [0, 2] }),
      { name: 'direction', shape: [1, 3], data: [-1, 0, 1] },
    ],
  });
  return textFolder('BertForSequenceClassification', graph, {
    id2label: labels('contradiction', 'neutral', 'entailment'),
    pipeline_tag: 'zero-shot-classification',
  });
}

interface TextGraph extends Omit<GraphSpec, 'inputs' | 'ints'> {
  readonly inputs: readonly string[];
}

function textGraph({ inputs, ...rest }: TextGraph): Buffer {
  const named = inputs.map((name): ValueInfo => ({ name, type: 'INT64', shape: ['batch', 'sequence'] }));
  return encode({ ...rest, inputs: named });
}

/** `hidden`: a row of the table for each token, zeros where there is none; `mask`: [batch, sequence, 1]. */
function maskedEmbedding(name: string): NodeSpec[] {
  return [
    node('Gather', [name, 'input_ids'], 'embedded'),
    node('Cast', ['attention_mask'], 'present', [{ name: 'to', int: TYPE.FP32 }]),
    node('Unsqueeze', ['present', 'axis_2'], 'mask'),
    node('Mul', ['embedded', 'mask'], 'hidden'),
  ];
}

/** `sum_of_a`, `sum_of_b`: [batch, 1, width], the sums of a table's rows over the first text and over the second. */
function bothTexts(name: string): NodeSpec[] {
  return [
    ...maskedEmbedding(name),
    node('Cast', ['token_type_ids'], 'types', [{ name: 'to', int: TYPE.FP32 }]),
    node('Unsqueeze', ['types', 'axis_2'], 'is_b'),
    node('Mul', ['hidden', 'is_b'], 'hidden_b'),
    node('Sub', ['hidden', 'hidden_b'], 'hidden_a'),
    node('ReduceSum', ['hidden_a', 'axis_1'], 'sum_of_a', keepDimensions(true)),
    node('ReduceSum', ['hidden_b', 'axis_1'], 'sum_of_b', keepDimensions(true)),
  ];
}

/** A row for each word of the vocabulary. */
function table(
  name: string,
  width: number,
  rows: Readonly<Record<string, readonly number[]>>,
  other: readonly number[] = Array(width).fill(0),
): Initializer {
  const strange = Object.keys(rows).find((word) => !VOCABULARY.includes(word));
  if (strange) throw new Error(`"${strange}" is no word of the vocabulary.`);
  return { name, shape: [VOCABULARY.length, width], data: VOCABULARY.flatMap((word) => rows[word] ?? other) };
}

function textFolder(
  architecture: string,
  graph: Buffer,
  { pipeline_tag, ...config }: Readonly<Record<string, unknown>>,
): Folder {
  return {
    'README.md': card(pipeline_tag as string | undefined),
    'config.json': json({
      architectures: [architecture],
      model_type: 'bert',
      max_position_embeddings: MAX_TOKENS,
      vocab_size: VOCABULARY.length,
      pad_token_id: 0,
      ...config,
    }),
    'tokenizer.json': json(TOKENIZER),
    'tokenizer_config.json': json({
      tokenizer_class: 'BertTokenizer',
      model_max_length: MAX_TOKENS,
      do_lower_case: true,
      pad_token: '[PAD]',
      unk_token: '[UNK]',
      cls_token: '[CLS]',
      sep_token: '[SEP]',
      mask_token: '[MASK]',
    }),
    'onnx/model.onnx': graph,
  };
}

const special = (id: string, type_id: number) => ({ SpecialToken: { id, type_id } });
const sequence = (id: string, type_id: number) => ({ Sequence: { id, type_id } });

const TOKENIZER = {
  version: '1.0',
  truncation: null,
  padding: null,
  added_tokens: SPECIAL.map((content, id) => ({
    id,
    content,
    single_word: false,
    lstrip: false,
    rstrip: false,
    normalized: false,
    special: true,
  })),
  normalizer: {
    type: 'BertNormalizer',
    clean_text: true,
    handle_chinese_chars: true,
    strip_accents: null,
    lowercase: true,
  },
  pre_tokenizer: { type: 'BertPreTokenizer' },
  post_processor: {
    type: 'TemplateProcessing',
    single: [special('[CLS]', 0), sequence('A', 0), special('[SEP]', 0)],
    pair: [special('[CLS]', 0), sequence('A', 0), special('[SEP]', 0), sequence('B', 1), special('[SEP]', 1)],
    special_tokens: Object.fromEntries(
      ['[CLS]', '[SEP]'].map((id) => [id, { id, ids: [VOCABULARY.indexOf(id)], tokens: [id] }]),
    ),
  },
  decoder: { type: 'WordPiece', prefix: '##', cleanup: true },
  model: {
    type: 'WordPiece',
    unk_token: '[UNK]',
    continuing_subword_prefix: '##',
    max_input_chars_per_word: 100,
    vocab: Object.fromEntries(VOCABULARY.map((word, id) => [word, id])),
  },
};

// ── pictures ──

/** Mean and deviation 0.5: a level of v becomes 2v / 255 − 1. */
const HALVES = { image_mean: [0.5, 0.5, 0.5], image_std: [0.5, 0.5, 0.5], rescale_factor: 1 / 255 };

const SQUARE = { do_resize: true, size: { height: EDGE, width: EDGE }, resample: 2, do_normalize: true, ...HALVES };

/**
 * Four times the mean of each channel: of a picture all (10, 250, 10) the logits are −3.68627, 3.84314, −3.68627, and green
 * has 1 / (1 + 2 e^−7.52941) = 0.99893.
 */
function vit(): Folder {
  const graph = encode({
    inputs: [floats('pixel_values', ['batch', 3, 'height', 'width'])],
    outputs: [floats('logits', ['batch', 3])],
    nodes: [...channelMeans(), node('Mul', ['means', 'four'], 'logits')],
    floats: [{ name: 'four', shape: [1], data: [4] }],
  });
  return pictureFolder('ViTForImageClassification', graph, {
    config: { model_type: 'vit', id2label: labels('red', 'green', 'blue') },
    preprocessor: { image_processor_type: 'ViTImageProcessor', ...SQUARE },
  });
}

/** The mean of each channel: of a picture all (255, 0, 51) the vector (1, −1, −0.6). */
function vitFeatures(): Folder {
  const graph = encode({
    inputs: [floats('pixel_values', ['batch', 3, EDGE, EDGE])],
    outputs: [floats('last_hidden_state', ['batch', 1, 3]), floats('pooler_output', ['batch', 3])],
    nodes: [
      ...channelMeans(),
      node('Identity', ['means'], 'pooler_output'),
      node('Unsqueeze', ['means', 'axis_1'], 'last_hidden_state'),
    ],
  });
  return pictureFolder('ViTModel', graph, {
    config: { model_type: 'vit' },
    preprocessor: { image_processor_type: 'ViTImageProcessor', ...SQUARE },
  });
}

function channelMeans(): NodeSpec[] {
  return [
    node('GlobalAveragePool', ['pixel_values'], 'pooled'),
    node('ReduceSum', ['pooled', 'axes_2_3'], 'means', keepDimensions(false)),
  ];
}

/**
 * The same two boxes for any picture: in its middle, 0.4 of its width and 0.2 of its height, a cat, as its logits are 5, 0
 * and 0 (for "no object"): e^5 / (e^5 + 2) = 0.98670; and one of nothing. In 640 x 480 pixels: 192, 192, 448, 288.
 */
function yolos(): Folder {
  return pictureFolder('YolosForObjectDetection', detectionGraph([]), {
    config: { model_type: 'yolos', id2label: labels('cat', 'dog') },
    preprocessor: { image_processor_type: 'YolosImageProcessor', ...SHORTEST },
  });
}

/** As `yolos`, but its graph is told which pixels are of the picture, and its processor counts in an older way. */
function detr(): Folder {
  const mask: ValueInfo = { name: 'pixel_mask', type: 'INT64', shape: ['batch', 'height', 'width'] };
  const { size, ...others } = SHORTEST;
  return pictureFolder('DetrForObjectDetection', detectionGraph([mask]), {
    config: { model_type: 'detr', id2label: labels('cat', 'dog') },
    preprocessor: {
      feature_extractor_type: 'DetrFeatureExtractor',
      size: size.shortest_edge,
      max_size: size.longest_edge,
      ...others,
    },
  });
}

const SHORTEST = {
  do_resize: true,
  size: { shortest_edge: 64, longest_edge: 96 },
  resample: 2,
  do_normalize: true,
  do_pad: true,
  ...HALVES,
};

function detectionGraph(more: readonly ValueInfo[]): Buffer {
  const isMasked = more.length > 0;
  return encode({
    inputs: [floats('pixel_values', ['batch', 3, 'height', 'width']), ...more],
    outputs: [floats('logits', ['batch', 2, 3]), floats('pred_boxes', ['batch', 2, 4])],
    nodes: [
      node('ReduceSum', ['pixel_values', 'axes_1_2_3'], 'sum', keepDimensions(false)),
      ...(isMasked
        ? [
            node('Cast', ['pixel_mask'], 'present', [{ name: 'to', int: TYPE.FP32 }]),
            node('ReduceSum', ['present', 'axes_1_2'], 'count', keepDimensions(false)),
            node('Add', ['sum', 'count'], 'all'),
          ]
        : [node('Identity', ['sum'], 'all')]),
      node('Mul', ['all', 'zero'], 'zeros'),
      node('Unsqueeze', ['zeros', 'axes_1_2'], 'nothing'),
      node('Add', ['constant_logits', 'nothing'], 'logits'),
      node('Add', ['constant_boxes', 'nothing'], 'pred_boxes'),
    ],
    floats: [
      { name: 'zero', shape: [1], data: [0] },
      { name: 'constant_logits', shape: [1, 2, 3], data: [5, 0, 0, 0, 0, 6] },
      { name: 'constant_boxes', shape: [1, 2, 4], data: [0.5, 0.5, 0.4, 0.2, 0.1, 0.1, 0.1, 0.1] },
    ],
  });
}

function pictureFolder(
  architecture: string,
  graph: Buffer,
  files: { readonly config: object; readonly preprocessor: object },
): Folder {
  return {
    'README.md': card(),
    'config.json': json({ architectures: [architecture], ...files.config }),
    'preprocessor_config.json': json(files.preprocessor),
    'onnx/model.onnx': graph,
  };
}

// ── both ──

/** Axes are inputs of these operators since opset 13. */
const AXES: readonly Initializer[] = [
  { name: 'axis_1', shape: [1], data: [1] },
  { name: 'axis_2', shape: [1], data: [2] },
  { name: 'axes_1_2', shape: [2], data: [1, 2] },
  { name: 'axes_2_3', shape: [2], data: [2, 3] },
  { name: 'axes_1_2_3', shape: [3], data: [1, 2, 3] },
];

function encode(graph: GraphSpec): Buffer {
  const used = new Set(graph.nodes.flatMap(({ inputs }) => inputs));
  return encodeModel({ ...graph, ints: AXES.filter(({ name }) => used.has(name)) }, { opset: 17 });
}

function node(
  op: string,
  inputs: readonly string[],
  output: string,
  attributes: NodeSpec['attributes'] = [],
): NodeSpec {
  return { op, inputs, outputs: [output], attributes };
}

function keepDimensions(keep: boolean): NonNullable<NodeSpec['attributes']> {
  return [{ name: 'keepdims', int: Number(keep) }];
}

function floats(name: string, shape: readonly (number | string)[]): ValueInfo {
  return { name, type: 'FP32', shape };
}

function labels(...words: readonly string[]): Record<string, string> {
  return Object.fromEntries(words.entries());
}

/** As most cards are: some front matter, a title and a sentence. */
function card(tag?: string): string {
  const lines = ['license: apache-2.0', 'library_name: transformers', ...(tag ? [`pipeline_tag: ${tag}`] : [])];
  return `---\n${lines.join('\n')}\n---\n\n# Tiny\n\nWeights set by hand.\n`;
}

function json(value: unknown): string {
  return JSON.stringify(value, null, 2);
}
