/**
 * Estimates the tokens of a text without the tokenizer, for prices and for the work of an item. The estimate depends only
 * on the text and on a few facts about the tokenizer, so it is the same on every machine.
 *
 * Letters of alphabets count a quarter of the tokens that they can become at most, because tokens are usually parts of
 * words. All other characters, such as ideographs and emoji, count at most that many: one each, one per byte in UTF-8 for
 * tokenizers that fall back to bytes, and more if normalization expands the character. U+FDFA becomes 18 characters.
 */
import type { CharacterRule } from './spec.js';

/** A letter is a quarter of the tokens that it can become. */
const QUARTERS = 4;
const END_OF_ASCII = 0x80;
/** Alphabets and syllabaries of living scripts come before; then punctuation, symbols, ideographs and compatible forms. */
const END_OF_LETTERS = 0x2000;
const FIRST_SURROGATE = 0xd800;
const LAST_SURROGATE = 0xdfff;

/** For specs of earlier releases: the rule with which most tokens are possible. */
const WIDEST: CharacterRule = { normalization: 'NFKD', bytes: true };

/**
 * At least 1; a multiple of a quarter. One more than the sum over the characters, so that of two texts in a row, such as a
 * prompt and a sentence, it is one less than the sum of both.
 */
export function estimateTokens(text: string, rule: CharacterRule = WIDEST): number {
  if (Buffer.byteLength(text) === text.length) return 1 + text.length / QUARTERS;
  const table = tableOf(rule);
  let quarters = 0;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    quarters += table[unit] || entryOf(table, unit, rule);
  }
  return 1 + quarters / QUARTERS;
}

/** Quarters of a token of each UTF-16 code unit, 0 until it has occurred: one table for each rule, 64 KiB each, at most ten. */
const tables = new Map<string, Uint8Array>();

function tableOf({ normalization, bytes }: CharacterRule): Uint8Array {
  const key = `${normalization} ${bytes}`;
  const table = tables.get(key) ?? new Uint8Array(65_536).fill(1, 0, END_OF_ASCII);
  tables.set(key, table);
  return table;
}

function entryOf(table: Uint8Array, unit: number, { normalization, bytes }: CharacterRule): number {
  const tokens = tokensOfUnit(unit, normalization, bytes);
  table[unit] = unit < END_OF_LETTERS ? tokens : QUARTERS * tokens;
  return table[unit];
}

function tokensOfUnit(unit: number, normalization: CharacterRule['normalization'], bytes: boolean): number {
  // Two surrogates are one character, of four bytes.
  if (unit >= FIRST_SURROGATE && unit <= LAST_SURROGATE) return bytes ? 2 : 1;
  const character = String.fromCharCode(unit);
  const normalized = normalization ? character.normalize(normalization) : character;
  return bytes ? Buffer.byteLength(normalized) : normalized.length;
}

const FORMS = ['NFKD', 'NFKC', 'NFD', 'NFC'] as const;
/** Normalizers that are not named like the form of Unicode that they apply. */
const NORMALIZERS: Readonly<Record<string, (typeof FORMS)[number]>> = { BertNormalizer: 'NFD', Precompiled: 'NFKC' };

/**
 * Reads the facts from the text of a tokenizer.json, which can have megabytes: it is searched, not parsed. Quotes inside
 * its strings are escaped, so only keys and values are found.
 */
export function characterRuleOf(tokenizerJson: string): CharacterRule {
  const types = new Set(Array.from(tokenizerJson.matchAll(/"type"\s*:\s*"(\w+)"/g), ([, type = '']) => type));
  const forms = new Set(Array.from(types, (type) => NORMALIZERS[type] ?? type));
  const bytes = types.has('ByteLevel') || types.has('ByteFallback') || /"byte_fallback"\s*:\s*true/.test(tokenizerJson);
  return { normalization: FORMS.find((form) => forms.has(form)) ?? null, bytes };
}

/** Few tokens are longer than this many characters. */
const CHARACTERS_PER_LONG_TOKEN = 16;

/**
 * The first length at which the beginning of a text is tokenized, if at most `tokens` of them are needed. The text is cut
 * at a space, because the tokens of a word do not depend on later words. Longer beginnings are four times as long.
 */
export function firstLength(tokens: number): number {
  return CHARACTERS_PER_LONG_TOKEN * (tokens + 1);
}

/** Characters that `encodeBeginning` tokenizes at most: only the beginning if that surely has enough tokens. */
export function charactersTokenized(text: string, tokens: number): number {
  const length = firstLength(tokens);
  if (text.length <= length) return text.length;
  const end = text.lastIndexOf(' ', length);
  return end >= length / 2 && hasMoreWords(text, end, tokens) ? end : text.length * MOST_REPEATED;
}

/** All beginnings together: n/4 + n/16 + …, besides the whole text. */
const MOST_REPEATED = 4 / 3;

const SPACE = 0x20;

/** Each word with a letter or a digit is a token at least. Others may be removed: normalizers drop soft hyphens and accents. */
function hasMoreWords(text: string, end: number, tokens: number): boolean {
  let words = 0;
  let isCounted = false;
  for (let i = 0; i < end && words <= tokens; i++) {
    if (text.charCodeAt(i) === SPACE) isCounted = false;
    else if (!isCounted && isLetterOrDigit(text.codePointAt(i) as number)) {
      isCounted = true;
      words++;
    }
  }
  return words > tokens;
}

function isLetterOrDigit(point: number): boolean {
  // Lowercase letters of ASCII, the most frequent ones.
  if (point >= 0x61 && point <= 0x7a) return true;
  const character = String.fromCodePoint(point);
  return /[\p{L}\p{N}]/u.test(character) && !/\p{Default_Ignorable_Code_Point}/u.test(character);
}
