/**
 * Tokenizer classes of transformers that build their own normalizer and pre-tokenizer, as in release 5.24: of tokenizer.json
 * they keep the vocabulary, the post-processor and the character map of SentencePiece.
 */
import { z } from 'zod';

const partSchema = z.looseObject({ type: z.string() });
type Part = z.infer<typeof partSchema>;
const fileSchema = z.looseObject({
  normalizer: partSchema.extend({ normalizers: z.array(partSchema).optional() }).nullish(),
  pre_tokenizer: partSchema.extend({ pretokenizers: z.array(partSchema).optional() }).nullish(),
});
const flag = z.boolean().nullish().catch(null);
const settingsSchema = z.looseObject({
  tokenizer_class: z.string().nullish().catch(null),
  do_lower_case: flag,
  keep_accents: flag,
  split_by_punct: flag,
  add_prefix_space: flag,
  legacy: flag,
});
const modelSchema = z.looseObject({
  model_type: z.string().nullish(),
  tokenizer_class: z.string().nullish().catch(null),
});
type Settings = z.infer<typeof settingsSchema>;

/** The parts of a file, without the sequences around them. */
interface Steps {
  readonly normalizers: readonly Part[];
  readonly preTokenizers: readonly Part[];
}

interface TokenizerClass {
  /**
   * Types of the normalizers and pre-tokenizers that transformers has written for this class, in this or earlier releases.
   * A file with others was made by someone else.
   */
  readonly normalizers: readonly string[];
  readonly preTokenizers: readonly string[];
  /** What the class builds; absent if it builds nothing but what transformers has always written. */
  readonly build?: (settings: Settings, steps: Steps) => Steps;
}

/** What transformers answers with instead of tokenizer.json: another tokenizer, or, with `problem`, nobody can tell which. */
export type ClassTokenizer = { readonly tokenizer: unknown } | { readonly problem: string } | null;

/**
 * Null if transformers reads tokenizer.json as it is, or its class builds the same.
 *
 * `config`: tokenizer_config.json, whose settings the tokenizer already has; `model`: config.json.
 */
export function tokenizerOfClass(tokenizer: unknown, config: unknown, model: unknown): ClassTokenizer {
  const file = fileSchema.safeParse(tokenizer).data;
  const settings = settingsSchema.safeParse(config ?? {}).data;
  const { model_type: type, tokenizer_class: modelClass } = modelSchema.safeParse(model ?? {}).data ?? {};
  if (!file || !settings || AS_FILE.has(type ?? '')) return null;
  const name = (settings.tokenizer_class ?? modelClass ?? CLASS_OF_MODEL[type ?? ''] ?? '').replace(/Fast$/, '');
  const known = Object.hasOwn(CLASSES, name) ? CLASSES[name] : undefined;
  const steps = stepsOf(file);
  // Tokenizers of Llama 3 have this class too, and are read as they are.
  if (!known || (name === 'LlamaTokenizer' && steps.preTokenizers.some(({ type }) => type === 'ByteLevel')))
    return null;
  if (!isOfClass(steps, known)) return { problem: problemOf(name, steps) };
  const built = known.build?.(settings, steps);
  if (!built || isSame(built, steps)) return null;
  return {
    tokenizer: {
      ...Object(tokenizer),
      normalizer: joined(built.normalizers, 'normalizers'),
      pre_tokenizer: joined(built.preTokenizers, 'pretokenizers'),
    },
  };
}

function stepsOf({ normalizer, pre_tokenizer }: z.infer<typeof fileSchema>): Steps {
  const parts = (one: Part | null | undefined, list: readonly Part[] | undefined) => list ?? (one ? [one] : []);
  return {
    normalizers: parts(normalizer, normalizer?.normalizers),
    preTokenizers: parts(pre_tokenizer, pre_tokenizer?.pretokenizers),
  };
}

function joined(parts: readonly Part[], key: string): object | null {
  return parts.length > 1 ? { type: 'Sequence', [key]: parts } : (parts[0] ?? null);
}

function isOfClass(steps: Steps, known: TokenizerClass): boolean {
  const isKnown = ({ type, ...rest }: Part) =>
    known.normalizers.includes(type) && (type !== 'Replace' || REPLACED.includes(patternOf(rest)));
  return (
    steps.normalizers.every(isKnown) &&
    steps.preTokenizers.every(({ type }) => known.preTokenizers.includes(type)) &&
    (known.build !== undefined || isComplete(steps, known))
  );
}

function isComplete({ normalizers, preTokenizers }: Steps, known: TokenizerClass): boolean {
  const types = (parts: readonly Part[]) => parts.map(({ type }) => type).join();
  return types(normalizers) === known.normalizers.join() && types(preTokenizers) === known.preTokenizers.join();
}

/** White space and the quotes of TeX: what SentencePiece models replace. */
const REPLACED = [' ', ' {2,}', '\\s{2,}|[\\n\\r\\t]', '\\n', '``', "''"];

function patternOf({ pattern }: Record<string, unknown>): string {
  return String(Object.values(Object(pattern))[0]);
}

function isSame(built: Steps, steps: Steps): boolean {
  const agree = (a: readonly Part[], b: readonly Part[]) =>
    a.length === b.length && a.every((one, i) => isSamePart(one, b[i] as Part));
  return agree(built.normalizers, steps.normalizers) && agree(built.preTokenizers, steps.preTokenizers);
}

/** Earlier releases left out some keys, and wrote `add_prefix_space` instead of `prepend_scheme`. */
function isSamePart(built: Part, part: Part): boolean {
  const prepend_scheme = part['add_prefix_space'] === false ? 'never' : 'always';
  const own: Record<string, unknown> = { trim_offsets: true, use_regex: true, split: true, prepend_scheme, ...part };
  return Object.entries(built).every(([key, value]) => JSON.stringify(own[key]) === JSON.stringify(value));
}

function problemOf(name: string, { normalizers, preTokenizers }: Steps): string {
  const list = (parts: readonly Part[]) =>
    parts
      .map(({ type }) => type)
      .slice(0, 8)
      .join(', ') || 'none';
  return `tokenizer_config.json: with the tokenizer_class ${name}, transformers builds a normalizer and a pre_tokenizer of its own and ignores those of tokenizer.json (${list(normalizers)}; ${list(preTokenizers)}), so that the model may have been trained with either: if it was trained with those of tokenizer.json, set tokenizer_class to PreTrainedTokenizerFast, with which transformers reads the file as it is; otherwise save the tokenizer again with AutoTokenizer.from_pretrained(folder).save_pretrained(folder). Or add golden.json with answers of the source framework`;
}

// ── classes ──

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
const WORDS: TokenizerClass = {
  ...SENTENCE_PIECE,
  build: (settings, steps) => ({
    normalizers: charsmap(steps),
    preTokenizers: [{ type: 'WhitespaceSplit' }, metaspace(schemeOf(settings))],
  }),
};
const ACCENTS: readonly Part[] = [{ type: 'NFKD' }, { type: 'StripAccents' }];

const CLASSES: Readonly<Record<string, TokenizerClass>> = {
  BertTokenizer: BERT,
  DistilBertTokenizer: BERT,
  MobileBertTokenizer: BERT,
  SqueezeBertTokenizer: BERT,
  MPNetTokenizer: BERT,
  FunnelTokenizer: BERT,
  RobertaTokenizer: BYTES,
  BartTokenizer: BYTES,
  GPT2Tokenizer: BYTES,
  DebertaTokenizer: BYTES,
  XLMRobertaTokenizer: WORDS,
  CamembertTokenizer: WORDS,
  T5Tokenizer: {
    ...SENTENCE_PIECE,
    build: (_, steps) => ({
      normalizers: charsmap(steps),
      preTokenizers: [{ type: 'WhitespaceSplit' }, metaspace('always')],
    }),
  },
  AlbertTokenizer: {
    normalizers: [...SENTENCE_PIECE.normalizers, 'NFKD', 'StripAccents', 'Lowercase'],
    preTokenizers: SENTENCE_PIECE.preTokenizers,
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
      normalizers: [
        ...(lowercases === true ? [{ type: 'Lowercase' }] : []),
        replace({ Regex: '\\s{2,}|[\\n\\r\\t]' }, ' '),
        { type: 'NFC' },
        { type: 'Strip', strip_left: false, strip_right: true },
      ],
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
  GemmaTokenizer: { normalizers: ['Replace'], preTokenizers: ['Split'] },
  CohereTokenizer: { normalizers: ['NFC'], preTokenizers: ['Digits', 'ByteLevel'] },
  GPTNeoXTokenizer: { normalizers: ['NFC'], preTokenizers: ['ByteLevel'] },
};

/** The class of models without `tokenizer_class`. */
const CLASS_OF_MODEL: Readonly<Record<string, string>> = {
  bert: 'BertTokenizer',
  distilbert: 'BertTokenizer',
  electra: 'BertTokenizer',
  mpnet: 'MPNetTokenizer',
  roberta: 'RobertaTokenizer',
  bart: 'RobertaTokenizer',
  deberta: 'DebertaTokenizer',
  'deberta-v2': 'DebertaV2Tokenizer',
  'xlm-roberta': 'XLMRobertaTokenizer',
  camembert: 'CamembertTokenizer',
  albert: 'AlbertTokenizer',
  t5: 'T5Tokenizer',
};

/** Types of models whose tokenizer.json transformers reads as it is, whatever the class; model2vec too. */
const AS_FILE = new Set(
  `model2vec modernbert modernbert-decoder nystromformer xlm-roberta-xl umt5 camembertv2-base bigbird_pegasus pegasus_x
  mistral mixtral ministral phi3 granite olmo2 olmo3 nemotron stablelm jamba gpt_bigcode persimmon internlm2 internlm3
  ernie4_5 minicpm3 arctic glm glm4`.split(/\s+/),
);
