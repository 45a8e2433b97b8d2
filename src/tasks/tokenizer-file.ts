/**
 * Checks the structure of tokenizer.json before the native library reads it.
 *
 * The library aborts the process on some malformed files, and for others does not say which key is wrong. Problems that
 * only show when the tokenizer runs, such as a regular expression that backtracks forever, are not found here.
 */

export type JsonObject = Readonly<Record<string, unknown>>;
type Ids = ReadonlyMap<string, number>;

/** Thrown if a tokenizer.json is malformed or uses a feature that is not supported. The message names the key. */
export class UnsupportedTokenizerError extends Error {
  constructor(key: string, problem: string) {
    super(`tokenizer.json: ${key} ${problem}`);
  }
}

/** Far larger than any vocabulary, and small enough for tables indexed by id. */
const MAX_ID = 2 ** 24;

/** The parts of a tokenizer: the types that the library supports, and the key that lists the parts of a `Sequence`. */
const PARTS = {
  normalizer: {
    list: 'normalizers',
    types:
      'BertNormalizer ByteLevel Lowercase NFC NFD NFKC NFKD Nmt Precompiled Prepend Replace Sequence Strip StripAccents',
  },
  pre_tokenizer: {
    list: 'pretokenizers',
    types:
      'BertPreTokenizer ByteLevel CharDelimiterSplit Digits FixedLength Metaspace Punctuation Sequence Split UnicodeScripts Whitespace WhitespaceSplit',
  },
  post_processor: {
    list: 'processors',
    types: 'BertProcessing ByteLevel RobertaProcessing Sequence TemplateProcessing',
  },
  decoder: {
    list: 'decoders',
    types: 'BPEDecoder ByteFallback ByteLevel CTC Fuse Metaspace Replace Sequence Strip WordPiece',
  },
} as const;

interface CheckedTokenizer {
  /** The file without its settings for truncation and padding. */
  readonly file: JsonObject;
  readonly model: JsonObject;
  /** The file's settings for padding; empty if there are none. */
  readonly padding: JsonObject;
  /** The largest token id plus 1. */
  readonly vocabularySize: number;
}

/** Checks a parsed tokenizer.json. @throws UnsupportedTokenizerError that names the key */
export function checkTokenizer(tokenizerJson: unknown): CheckedTokenizer {
  const { truncation: _, padding, ...file } = objectAt(tokenizerJson, 'the file');
  const model = objectAt(file.model, 'model');
  const ids = readModel(model);
  const added = checkAddedTokens(file.added_tokens ?? [], ids);
  for (const part of Object.keys(PARTS) as (keyof typeof PARTS)[]) checkPart(file[part] ?? null, part, part);
  const largest = [...ids.values(), ...added].reduce((a, b) => Math.max(a, b), -1);
  return { file, model, padding: objectAt(padding ?? {}, 'padding'), vocabularySize: largest + 1 };
}

// ── the model ──

/** Checks `model` and returns its vocabulary: token ids by token. */
function readModel(model: JsonObject): Ids {
  const type = typeOfModel(model);
  const ids = type === 'Unigram' ? idsOfList(model.vocab) : idsOfObject(model.vocab);
  if (type === 'Unigram') checkUnknownId(model.unk_id, listAt(model.vocab, 'model.vocab').length);
  else if (type === 'BPE') checkMerges(model, ids);
  else checkUnknownToken(model.unk_token, ids);
  return ids;
}

const MODEL_TYPES = ['BPE', 'Unigram', 'WordLevel', 'WordPiece'];

/** Older files have no key `type`; the other keys tell the type of model. */
function typeOfModel({ type, vocab, merges, continuing_subword_prefix }: JsonObject): string {
  if (type !== undefined) return knownType(type, MODEL_TYPES, 'model');
  if (Array.isArray(vocab)) return 'Unigram';
  if (merges !== undefined) return 'BPE';
  return continuing_subword_prefix === undefined ? 'WordLevel' : 'WordPiece';
}

function idsOfObject(vocab: unknown): Ids {
  const ids = new Map<string, number>();
  for (const [token, id] of Object.entries(objectAt(vocab, 'model.vocab')))
    ids.set(token, idAt(id, `model.vocab[${JSON.stringify(token)}]`));
  return ids;
}

function idsOfList(vocab: unknown): Ids {
  const ids = new Map<string, number>();
  for (const [id, entry] of listAt(vocab, 'model.vocab').entries())
    ids.set(stringAt(listAt(entry, `model.vocab[${id}]`)[0], `model.vocab[${id}][0]`), id);
  return ids;
}

function checkUnknownToken(value: unknown, ids: Ids): void {
  const token = stringAt(value, 'model.unk_token');
  if (!ids.has(token)) throw new UnsupportedTokenizerError('model.unk_token', `"${token}" is not in the vocabulary`);
}

function checkUnknownId(value: unknown, count: number): void {
  const id = idAt(value, 'model.unk_id');
  if (id >= count) throw new UnsupportedTokenizerError('model.unk_id', `${id} is not in the vocabulary`);
}

/** Checks that all merges refer to tokens of the vocabulary. When a pair is merged, the prefix of its right part is dropped. */
function checkMerges(model: JsonObject, ids: Ids): void {
  if (model.dropout)
    throw new UnsupportedTokenizerError(
      'model.dropout',
      `${JSON.stringify(model.dropout)} makes tokenization random; set it to null`,
    );
  if (model.unk_token != null) checkUnknownToken(model.unk_token, ids);
  const prefix = stringAt(model.continuing_subword_prefix ?? '', 'model.continuing_subword_prefix');
  for (const [i, merge] of listAt(model.merges, 'model.merges').entries()) {
    const key = `model.merges[${i}]`;
    const parts = typeof merge === 'string' ? merge.split(' ') : listAt(merge, key);
    const [left, right] = [stringAt(parts[0], key), stringAt(parts[1], key)];
    if (!right.startsWith(prefix))
      throw new UnsupportedTokenizerError(`${key}:`, `"${right}" does not begin with "${prefix}"`);
    const missing = [left, right, left + right.slice(prefix.length)].find((token) => !ids.has(token));
    if (missing !== undefined) throw new UnsupportedTokenizerError(`${key}:`, `"${missing}" is not in the vocabulary`);
  }
}

function checkAddedTokens(tokens: unknown, ids: Ids): number[] {
  return listAt(tokens, 'added_tokens').map((entry, i) => {
    const key = `added_tokens[${i}]`;
    const token = objectAt(entry, key);
    const id = idAt(token.id, `${key}.id`);
    const known = ids.get(stringAt(token.content, `${key}.content`));
    if (known === undefined || known === id) return id;
    throw new UnsupportedTokenizerError(`${key}.id`, `is ${id}, but the vocabulary has ${known} for this token`);
  });
}

// ── the other parts ──

function checkPart(value: unknown, part: keyof typeof PARTS, key: string): void {
  if (value === null) return;
  const config = objectAt(value, key);
  const { types, list } = PARTS[part];
  const type = knownType(config.type, types.split(' '), key);
  if (type === 'Sequence') {
    for (const [i, one] of listAt(config[list], `${key}.${list}`).entries())
      checkPart(objectAt(one, `${key}.${list}[${i}]`), part, `${key}.${list}[${i}]`);
  }
  CHECKS[type]?.(config, key);
}

const CHECKS: Readonly<Record<string, (config: JsonObject, key: string) => void>> = {
  Split: checkPattern,
  Replace: checkPattern,
  Precompiled: checkCharsmap,
  TemplateProcessing: checkTemplates,
  FixedLength: ({ length }, key) => {
    if (!(Number.isInteger(length) && (length as number) > 0))
      throw new UnsupportedTokenizerError(`${key}.length`, 'is not a positive integer');
  },
  Strip: ({ stop }, key) => {
    if (stop) throw new UnsupportedTokenizerError(`${key}.stop`, `${JSON.stringify(stop)} is not supported; use 0`);
  },
};

const BEHAVIORS = ['Removed', 'Isolated', 'MergedWithPrevious', 'MergedWithNext', 'Contiguous'];

function checkPattern({ type, pattern, behavior }: JsonObject, key: string): void {
  const { String: text, Regex: expression } = objectAt(pattern, `${key}.pattern`);
  const name = text === undefined ? 'Regex' : 'String';
  if (stringAt(text ?? expression, `${key}.pattern.${name}`) === '')
    throw new UnsupportedTokenizerError(`${key}.pattern.${name}`, 'is empty');
  if (type === 'Split' && !BEHAVIORS.includes(behavior as string))
    throw new UnsupportedTokenizerError(
      `${key}.behavior`,
      `${JSON.stringify(behavior)} is not one of ${BEHAVIORS.join(', ')}`,
    );
}

/** A charsmap of SentencePiece: the byte length of a trie (4 bytes, little-endian), the trie, then UTF-8 strings. */
function checkCharsmap({ precompiled_charsmap }: JsonObject, key: string): void {
  const at = `${key}.precompiled_charsmap`;
  const text = stringAt(precompiled_charsmap, at);
  const bytes = Buffer.from(text, 'base64');
  const trieBytes = bytes.length < 4 ? -1 : bytes.readUInt32LE(0);
  const isWhole = bytes.toString('base64') === text && trieBytes > 0 && trieBytes % 4 === 0;
  if (!isWhole || 4 + trieBytes > bytes.length)
    throw new UnsupportedTokenizerError(at, 'is not a valid charsmap in base64');
}

function checkTemplates(config: JsonObject, key: string): void {
  const specials = objectAt(config.special_tokens ?? {}, `${key}.special_tokens`);
  for (const name of ['single', 'pair'] as const) {
    const sequences: string[] = [];
    for (const [i, entry] of listAt(config[name], `${key}.${name}`).entries()) {
      const at = `${key}.${name}[${i}]`;
      const { Sequence, SpecialToken } = objectAt(entry, at);
      if (Sequence !== undefined) {
        sequences.push(stringAt(objectAt(Sequence, `${at}.Sequence`).id, `${at}.Sequence.id`));
        continue;
      }
      const id = stringAt(objectAt(SpecialToken, `${at}.SpecialToken`).id, `${at}.SpecialToken.id`);
      if (!Object.hasOwn(specials, id))
        throw new UnsupportedTokenizerError(`${at}.SpecialToken.id`, `"${id}" is not in ${key}.special_tokens`);
    }
    const expected = name === 'single' ? 'A' : 'A,B';
    if (sequences.toSorted().join() !== expected)
      throw new UnsupportedTokenizerError(
        `${key}.${name}`,
        `has the sequences ${sequences.join() || 'none'} instead of ${expected}`,
      );
  }
}

// ── values ──

function objectAt(value: unknown, key: string): JsonObject {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw wrongType(key, 'an object', value);
  return value as JsonObject;
}

function listAt(value: unknown, key: string): readonly unknown[] {
  if (!Array.isArray(value)) throw wrongType(key, 'a list', value);
  return value;
}

function stringAt(value: unknown, key: string): string {
  if (typeof value !== 'string') throw wrongType(key, 'a string', value);
  return value;
}

function idAt(value: unknown, key: string): number {
  const isId = Number.isSafeInteger(value) && (value as number) >= 0 && (value as number) < MAX_ID;
  if (!isId) throw wrongType(key, 'a token id', value);
  return value as number;
}

function knownType(value: unknown, types: readonly string[], key: string): string {
  const type = stringAt(value, `${key}.type`);
  if (!types.includes(type)) throw new UnsupportedTokenizerError(`${key}.type`, `"${type}" is not supported`);
  return type;
}

function wrongType(key: string, expected: string, value: unknown): UnsupportedTokenizerError {
  const received = value === undefined ? 'missing' : (JSON.stringify(value)?.slice(0, 80) ?? typeof value);
  return new UnsupportedTokenizerError(key, `is ${received}; expected ${expected}`);
}
