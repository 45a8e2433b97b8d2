/**
 * Which tokenizers have been compared with the reference, token by token and place by place.
 *
 * A file of other parts may be read all the same: the expressions of Oniguruma are a wide field.
 */
import type { Json } from './spec.js';

const PARTS: Readonly<Record<string, readonly string[]>> = {
  normalizer: [
    'BertNormalizer',
    'ByteLevel',
    'Lowercase',
    'NFC',
    'NFD',
    'NFKC',
    'NFKD',
    'Nmt',
    'Precompiled',
    'Prepend',
    'Replace',
    'Sequence',
    'Strip',
    'StripAccents',
  ],
  pre_tokenizer: [
    'BertPreTokenizer',
    'ByteLevel',
    'Digits',
    'FixedLength',
    'Metaspace',
    'Punctuation',
    'Sequence',
    'Split',
    'Whitespace',
    'WhitespaceSplit',
  ],
  post_processor: ['BertProcessing', 'ByteLevel', 'RobertaProcessing', 'Sequence', 'TemplateProcessing'],
  model: ['BPE', 'Unigram', 'WordLevel', 'WordPiece'],
};

const WORDS = "'s|'t|'re|'ve|'m|'ll|'d";
const SPACES = '\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+';
const REST = ` ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|${SPACES}`;
const UPPER = '\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}';
const LOWER = '\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}';

const EXPRESSIONS = new Set([
  ' {2,}',
  '\\s',
  '\\s+',
  '[\\s.]+',
  '\\d+|\\w',
  '\\p{N}{1,3}',
  // Llama 3, Qwen 2, GPT-4, GPT-4o
  `(?i:${WORDS})|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}|${REST}`,
  `(?i:${WORDS})|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}|${REST}`,
  "'(?i:[sdmt]|ll|ve|re)|[^\\r\\n\\p{L}\\p{N}]?+\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]++[\\r\\n]*|\\s*[\\r\\n]|\\s+(?!\\S)|\\s+",
  [
    `[^\\r\\n\\p{L}\\p{N}]?[${UPPER}]*[${LOWER}]+(?i:${WORDS})?`,
    `[^\\r\\n\\p{L}\\p{N}]?[${UPPER}]+[${LOWER}]*(?i:${WORDS})?`,
    `\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|${SPACES}`,
  ].join('|'),
  // CLIP, BLOOM, DeepSeek
  `${WORDS}|[\\p{L}]+|[\\p{N}]|[^\\s\\p{L}\\p{N}]+`,
  ' ?[^(\\s|[.,!?…。，、।۔،])]+',
  '[一-龥\u3040-ゟ゠-ヿ]+',
  '[!"#$%&\'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\r\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\r\n]*|\\s*[\r\n]+|\\s+(?!\\S)|\\s+',
]);

/** Null for a tokenizer all of whose parts are among those compared; else which of them is not. */
export function unprovenReason(tokenizerJson: unknown): string | null {
  const spec = (tokenizerJson ?? {}) as Json;
  for (const [key, known] of Object.entries(PARTS)) {
    const reason = reasonIn(spec[key], key, known);
    if (reason) return reason;
  }
  return null;
}

function reasonIn(part: unknown, key: string, known: readonly string[]): string | null {
  if (typeof part !== 'object' || part === null) return null;
  const config = part as Json;
  // A model without its type is an old file, recognised by its other keys.
  if (config.type !== undefined && !known.includes(String(config.type))) return `${key}: ${String(config.type)}`;
  const expression = (config.pattern as Json | undefined)?.Regex;
  if (expression !== undefined && !EXPRESSIONS.has(String(expression))) {
    return `${key}: ${String(config.type)} by the expression ${String(expression)}`;
  }
  const inner = config.normalizers ?? config.pretokenizers ?? config.processors;
  if (!Array.isArray(inner)) return null;
  for (const one of inner) {
    const reason = reasonIn(one, key, known);
    if (reason) return reason;
  }
  return null;
}
