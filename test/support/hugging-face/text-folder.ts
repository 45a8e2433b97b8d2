/**
 * Folders and graphs of the tiny models that read text. All of them use one WordPiece vocabulary: the words below, and
 * single characters for everything else.
 */
import { type GraphSpec, type Initializer, type NodeSpec, TYPE, type ValueInfo } from '../onnx.ts';
import { card, encode, type Folder, json, keepDimensions, node } from './folder.ts';

const SPECIAL = ['[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]'];
const CHARACTERS = [..."abcdefghijklmnopqrstuvwxyz0123456789.,!?'-"];
const WORDS =
  'the movie was good bad great awful un ##aff ##able is not paris france capital of berlin germany new york film travel'.split(
    ' ',
  );
/** Sorted by id; "[MASK]" is 4, "the" is 89. */
export const VOCABULARY = [...SPECIAL, ...CHARACTERS, ...CHARACTERS.map((one) => `##${one}`), ...WORDS];
/** Longest text in tokens, special tokens included. */
export const MAX_TOKENS = 64;

interface TextGraph extends Omit<GraphSpec, 'inputs' | 'ints'> {
  readonly inputs: readonly string[];
}

export function textGraph({ inputs, ...rest }: TextGraph): Buffer {
  const named = inputs.map((name): ValueInfo => ({ name, type: 'INT64', shape: ['batch', 'sequence'] }));
  return encode({ ...rest, inputs: named });
}

/** Computes `hidden`, a row of the table for each token, zeros for padding, and `mask`: [batch, sequence, 1]. */
export function maskedEmbedding(name: string): NodeSpec[] {
  return [
    node('Gather', [name, 'input_ids'], 'embedded'),
    node('Cast', ['attention_mask'], 'present', [{ name: 'to', int: TYPE.FP32 }]),
    node('Unsqueeze', ['present', 'axis_2'], 'mask'),
    node('Mul', ['embedded', 'mask'], 'hidden'),
  ];
}

/** Computes `sum_of_a` and `sum_of_b`: [batch, 1, width], the sums of the table's rows over the first and the second text. */
export function bothTexts(name: string): NodeSpec[] {
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

/** A table with a row for each word of the vocabulary. */
export function table(
  name: string,
  width: number,
  rows: Readonly<Record<string, readonly number[]>>,
  other: readonly number[] = Array(width).fill(0),
): Initializer {
  const strange = Object.keys(rows).find((word) => !VOCABULARY.includes(word));
  if (strange) throw new Error(`"${strange}" is not in the vocabulary.`);
  return { name, shape: [VOCABULARY.length, width], data: VOCABULARY.flatMap((word) => rows[word] ?? other) };
}

export function textFolder(
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
