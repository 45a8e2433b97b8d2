/**
 * Tokenizer classes of transformers that build their own normalizer and pre-tokenizer, as in release 5.24. `CLASSES` has the
 * rules of each by its name without "Fast". tokenizer.json is read as it is for a class that is not in it.
 */
import { z } from 'zod';

export const partSchema = z.looseObject({ type: z.string() });
export type Part = z.infer<typeof partSchema>;
const flag = z.boolean().nullish().catch(null);
export const settingsSchema = z.looseObject({
  tokenizer_class: z.string().nullish().catch(null),
  do_lower_case: flag,
  keep_accents: flag,
  split_by_punct: flag,
  strip_accents: flag,
  tokenize_chinese_chars: flag,
  add_prefix_space: flag,
  legacy: flag,
  unk_token: z.unknown().optional(),
});
export type Settings = z.infer<typeof settingsSchema>;

/** The parts of a file, without the sequences around them. */
export interface Steps {
  readonly normalizers: readonly Part[];
  readonly preTokenizers: readonly Part[];
}

export interface TokenizerClass {
  /**
   * Types of the normalizers and pre-tokenizers that transformers has written for this class, in this or earlier releases.
   * A file with others was made by someone else.
   */
  readonly normalizers: readonly string[];
  readonly preTokenizers: readonly string[];
  /** Options of the model that the class sets itself; others are those of the file. */
  readonly model?: (settings: Settings) => Readonly<Record<string, unknown>>;
  /** What the class builds; absent if it builds nothing but what transformers has always written. */
  readonly build?: (settings: Settings, steps: Steps) => Steps;
}

const metaspace = (prepend_scheme: string, split = true): Part => ({
  type: 'Metaspace',
  replacement: '▁',
  prepend_scheme,
  split,
});
const replace = (pattern: object, content: string): Part => ({ type: 'Replace', pattern, content });
const QUOTES = [replace({ String: '``' }, '"'), replace({ String: "''" }, '"')];
const charsmap = ({ normalizers }: Steps) => normalizers.filter(({ type }) => type === 'Precompiled').slice(0, 1);
const schemeOf = ({ add_prefix_space: adds }: Settings) => (adds === false ? 'never' : 'always');

/** WordPiece. The flags of the normalizer follow the settings already. */
const BERT: TokenizerClass = {
  normalizers: ['BertNormalizer'],
  preTokenizers: ['BertPreTokenizer'],
  model: ({ unk_token }) => ({
    continuing_subword_prefix: '##',
    max_input_chars_per_word: 100,
    ...(typeof unk_token === 'string' ? { unk_token } : {}),
  }),
};
const BYTES: TokenizerClass = {
  normalizers: [],
  preTokenizers: ['ByteLevel'],
  build: ({ add_prefix_space: adds }) => ({
    normalizers: [],
    preTokenizers: [{ type: 'ByteLevel', add_prefix_space: adds ?? false, trim_offsets: true, use_regex: true }],
  }),
};
const SENTENCE_PIECE = {
  normalizers: ['Precompiled', 'Replace', 'Strip'],
  preTokenizers: ['WhitespaceSplit', 'Metaspace'],
};
const unigram = (unk_id: number) => () => ({ unk_id, byte_fallback: false });
const SPACES = replace({ Regex: ' {2,}' }, ' ');
const WORDS: TokenizerClass = {
  ...SENTENCE_PIECE,
  build: (settings, steps) => ({
    normalizers: charsmap(steps),
    preTokenizers: [{ type: 'WhitespaceSplit' }, metaspace(schemeOf(settings))],
  }),
};
const LINES: readonly Part[] = [
  replace({ Regex: '\\s{2,}|[\\n\\r\\t]' }, ' '),
  { type: 'NFC' },
  { type: 'Strip', strip_left: false, strip_right: true },
];
const ACCENTS: readonly Part[] = [{ type: 'NFKD' }, { type: 'StripAccents' }];

export const CLASSES: Readonly<Record<string, TokenizerClass>> = {
  BertTokenizer: BERT,
  DistilBertTokenizer: BERT,
  ElectraTokenizer: BERT,
  LayoutLMTokenizer: BERT,
  LxmertTokenizer: BERT,
  MobileBertTokenizer: BERT,
  SqueezeBertTokenizer: BERT,
  MPNetTokenizer: BERT,
  FunnelTokenizer: BERT,
  SplinterTokenizer: BERT,
  RobertaTokenizer: BYTES,
  BartTokenizer: BYTES,
  LEDTokenizer: BYTES,
  LongformerTokenizer: BYTES,
  MvpTokenizer: BYTES,
  GPT2Tokenizer: BYTES,
  DebertaTokenizer: BYTES,
  XLMRobertaTokenizer: { ...WORDS, model: unigram(3) },
  CamembertTokenizer: WORDS,
  T5Tokenizer: {
    ...SENTENCE_PIECE,
    model: unigram(2),
    build: (_, steps) => ({
      normalizers: charsmap(steps),
      preTokenizers: [{ type: 'WhitespaceSplit' }, metaspace('always')],
    }),
  },
  MBartTokenizer: {
    ...SENTENCE_PIECE,
    model: unigram(3),
    build: () => ({ normalizers: [], preTokenizers: [{ type: 'WhitespaceSplit' }, metaspace('always')] }),
  },
  MBart50Tokenizer: {
    ...SENTENCE_PIECE,
    model: unigram(3),
    build: (_, steps) => ({ normalizers: [...charsmap(steps), SPACES], preTokenizers: [metaspace('always')] }),
  },
  XGLMTokenizer: {
    ...SENTENCE_PIECE,
    model: unigram(3),
    build: (settings, steps) => ({
      normalizers: [...charsmap(steps), SPACES],
      preTokenizers: [metaspace(schemeOf(settings))],
    }),
  },
  NllbTokenizer: {
    ...SENTENCE_PIECE,
    build: (_, steps) => ({
      normalizers: charsmap(steps).length > 0 ? [...charsmap(steps), SPACES] : [],
      preTokenizers: [metaspace('always')],
    }),
  },
  PegasusTokenizer: {
    ...SENTENCE_PIECE,
    build: (_, steps) => {
      const first = charsmap(steps);
      return {
        normalizers: [...(first.length > 0 ? first : [replace({ Regex: '\\n' }, ' ')]), SPACES],
        preTokenizers: [metaspace('always')],
      };
    },
  },
  BigBirdTokenizer: {
    ...SENTENCE_PIECE,
    build: (settings) => ({
      normalizers: [{ type: 'Strip', strip_left: false, strip_right: false }, replace({ Regex: ' {2,}' }, '▁')],
      preTokenizers: [metaspace(schemeOf(settings))],
    }),
  },
  BarthezTokenizer: {
    normalizers: [...SENTENCE_PIECE.normalizers, 'NFC'],
    preTokenizers: SENTENCE_PIECE.preTokenizers,
    model: unigram(3),
    build: (settings) => ({ normalizers: LINES, preTokenizers: [metaspace(schemeOf(settings))] }),
  },
  RemBertTokenizer: {
    normalizers: [...SENTENCE_PIECE.normalizers, 'NFKD', 'StripAccents', 'Lowercase'],
    preTokenizers: SENTENCE_PIECE.preTokenizers,
    model: unigram(2),
    build: (settings, steps) => ({
      normalizers: [
        ...QUOTES,
        SPACES,
        ...(settings.keep_accents === false ? ACCENTS : []),
        ...(settings.do_lower_case === true ? [{ type: 'Lowercase' }] : []),
        ...charsmap(steps),
      ],
      preTokenizers: [metaspace(schemeOf(settings))],
    }),
  },
  HerbertTokenizer: {
    normalizers: ['BertNormalizer'],
    preTokenizers: ['BertPreTokenizer'],
    build: () => ({
      normalizers: [
        {
          type: 'BertNormalizer',
          clean_text: true,
          handle_chinese_chars: true,
          strip_accents: false,
          lowercase: false,
        },
      ],
      preTokenizers: [{ type: 'BertPreTokenizer' }],
    }),
  },
  AlbertTokenizer: {
    normalizers: [...SENTENCE_PIECE.normalizers, 'NFKD', 'StripAccents', 'Lowercase'],
    preTokenizers: SENTENCE_PIECE.preTokenizers,
    model: unigram(1),
    build: (settings, steps) => ({
      normalizers: [
        ...QUOTES,
        ...(settings.keep_accents === true ? [] : ACCENTS),
        ...(settings.do_lower_case === false ? [] : [{ type: 'Lowercase' }]),
        ...charsmap(steps),
      ],
      preTokenizers: [{ type: 'WhitespaceSplit' }, metaspace(schemeOf(settings))],
    }),
  },
  XLNetTokenizer: {
    normalizers: [...SENTENCE_PIECE.normalizers, 'NFKD', 'StripAccents', 'Lowercase'],
    preTokenizers: SENTENCE_PIECE.preTokenizers,
    build: ({ do_lower_case: lowercases }, steps) => ({
      normalizers: [...QUOTES, ...ACCENTS, ...(lowercases === true ? [{ type: 'Lowercase' }] : []), ...charsmap(steps)],
      preTokenizers: [{ type: 'WhitespaceSplit' }, metaspace('always')],
    }),
  },
  DebertaV2Tokenizer: {
    normalizers: [...SENTENCE_PIECE.normalizers, 'NFC', 'Lowercase'],
    preTokenizers: ['Punctuation', 'Metaspace'],
    build: ({ do_lower_case: lowercases, split_by_punct: splits, add_prefix_space: adds }) => ({
      normalizers: [...(lowercases === true ? [{ type: 'Lowercase' }] : []), ...LINES],
      preTokenizers: [
        ...(splits === true ? [{ type: 'Punctuation', behavior: 'Isolated' }] : []),
        metaspace(adds === false ? 'first' : 'always'),
      ],
    }),
  },
  LlamaTokenizer: {
    normalizers: ['Prepend', 'Replace'],
    preTokenizers: ['Metaspace'],
    build: ({ add_prefix_space: adds, legacy }) => ({
      normalizers: [],
      preTokenizers: [metaspace(adds === false ? 'never' : legacy === true ? 'always' : 'first', false)],
    }),
  },
  Qwen2Tokenizer: { normalizers: ['NFC'], preTokenizers: ['Split', 'ByteLevel'] },
  GemmaTokenizer: {
    normalizers: ['Replace'],
    preTokenizers: ['Split'],
    build: () => ({
      normalizers: [replace({ String: ' ' }, '▁')],
      preTokenizers: [{ type: 'Split', pattern: { String: ' ' }, behavior: 'MergedWithPrevious', invert: false }],
    }),
  },
  CohereTokenizer: { normalizers: ['NFC'], preTokenizers: ['Digits', 'ByteLevel'] },
  GPTNeoXTokenizer: { normalizers: ['NFC'], preTokenizers: ['ByteLevel'] },
};

/** The classes of models without `tokenizer_class`, and their types. */
const MODELS: Readonly<Record<string, string>> = {
  AlbertTokenizer: 'albert yoso',
  BarthezTokenizer: 'barthez',
  BertTokenizer:
    'bert convbert distilbert electra ernie layoutlm lxmert megatron-bert mobilebert nezha nomic_bert qdqbert squeezebert visual_bert',
  BigBirdTokenizer: 'big_bird',
  CamembertTokenizer: 'camembert',
  CohereTokenizer: 'cohere cohere2',
  DebertaTokenizer: 'deberta',
  DebertaV2Tokenizer: 'deberta-v2',
  FunnelTokenizer: 'funnel',
  GemmaTokenizer: 'gemma gemma2 gemma3 gemma3_text gemma3n gemma3n_text recurrent_gemma t5gemma',
  GPT2Tokenizer: 'codegen gpt2 gpt_neo gptj opt phi starcoder2',
  GPTNeoXTokenizer: 'falcon_mamba gpt_neox mamba mamba2 mpt olmo olmoe rwkv',
  HerbertTokenizer: 'herbert',
  MBartTokenizer: 'mbart',
  MBart50Tokenizer: 'mbart50',
  MPNetTokenizer: 'mpnet',
  NllbTokenizer: 'nllb nllb-moe',
  PegasusTokenizer: 'pegasus',
  RemBertTokenizer: 'rembert',
  RobertaTokenizer: 'bart data2vec-text ibert led lilt longformer mega mra mvp roberta roberta-prelayernorm',
  SplinterTokenizer: 'splinter',
  T5Tokenizer: 'mt5 switch_transformers t5',
  XGLMTokenizer: 'xglm',
  XLMRobertaTokenizer: 'gte jina_embeddings_v3 xlm-roberta xmod',
  XLNetTokenizer: 'xlnet',
};

/** The class of a type of models without `tokenizer_class`. */
export const CLASS_OF_MODEL: ReadonlyMap<string, string> = new Map(
  Object.entries(MODELS).flatMap(([name, types]) => types.split(' ').map((type) => [type, name] as const)),
);

/** Types of models whose tokenizer.json transformers reads as it is, whatever the class; model2vec too. */
export const AS_FILE = new Set(
  `model2vec modernbert modernbert-decoder nystromformer xlm-roberta-xl umt5 camembertv2-base bigbird_pegasus pegasus_x
  mistral mixtral ministral phi3 granite olmo2 olmo3 nemotron stablelm jamba gpt_bigcode persimmon internlm2 internlm3
  ernie4_5 minicpm3 arctic glm glm4`.split(/\s+/),
);
