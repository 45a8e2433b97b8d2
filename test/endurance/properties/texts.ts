/** fast-check arbitraries for inputs with texts: any Unicode, and strings with a meaning to some tokenizer. */
import fc, { type Arbitrary } from 'fast-check';
import { VOCABULARY } from '../../support/hugging-face/text-folder.ts';

/** Strings with a special meaning to some tokenizer, and near misses. */
const SPECIAL = [
  ...['[MASK]', '[SEP]', '[CLS]', '[PAD]', '[UNK]', '[mask]', '[MASK', 'MASK]', '[ MASK ]', '[[MASK]]', '[MASK][MASK]'],
  ...[
    '##',
    '##able',
    '##s',
    '#',
    '###',
    '<mask>',
    '<s>',
    '</s>',
    '<unk>',
    '<|endoftext|>',
    '▁',
    'Ġ',
    'Ċ',
    '@@',
    '</w>',
  ],
];
/** Characters that normalization lengthens, shortens, reorders or removes. */
const CHANGING = [
  ...['ﷺ', 'ﬁ', 'İ', 'ı', 'ß', 'ẞ', 'ǰ', 'ŉ', 'Ω', 'Å', 'ａｂｃ', '①', '㍿', 'ﾊﾟ', '각', '각', 'ệ', 'ế', 'ʼn', 'ﬀ'],
  ...['e\u0301', 'a\u0300\u0323', '\u0301', '\u0301\u0301\u0301', 'q\u0307\u0323', '\u1e9b\u0323', '\u0345', '\u20e3'],
];
const INVISIBLE = [
  ...['\u00ad', '\u200b', '\u200c', '\u200d', '\u2060', '\ufeff', '\ufe0f', '\u034f', '\u061c', '\u180e', '\u{e0001}'],
  ...[
    '\u202a',
    '\u202b',
    '\u202c',
    '\u202d',
    '\u202e',
    '\u2066',
    '\u2067',
    '\u2069',
    '\ufff9',
    '\ufffc',
    '\ufffd',
    '\ufffe',
  ],
];
const SPACES = [
  ' ',
  '  ',
  '\t',
  '\n',
  '\r',
  '\r\n',
  '\v',
  '\f',
  '\u0085',
  '\u00a0',
  '\u2003',
  '\u2028',
  '\u2029',
  '\u3000',
];
const EMOJI = ['💥', '👩‍👩‍👧‍👦', '🏳️‍🌈', '👍🏽', '🇫🇷', '🇫', '1️⃣', '❤️', '❤', '🧑🏿‍🚀', '🏴󠁧󠁢󠁥󠁮󠁧󠁿'];
const SCRIPTS = [
  ...[
    'שָׁלוֹם',
    'مرحبا',
    'مُحَمَّد',
    '你好',
    '東京都',
    'ひらがな',
    'カタカナ',
    '한국어',
    'ไทย',
    'ประเทศ',
    'नमस्ते',
    'தமிழ்',
    'Ελλάδα',
    'ΣΑΣ',
  ],
  ...['Привет', 'Việt', '𝔘𝔫𝔦', '𝟘𝟙', '𐍈', '👾', '\u{10ffff}', 'ʘ', '₤', '«»', '…', '—', '’', '“”'],
];

const control = fc.integer({ min: 0, max: 0x9f }).map((code) => String.fromCharCode(code < 0x80 ? code % 0x20 : code));
const halfPair = fc.integer({ min: 0xd800, max: 0xdfff }).map((code) => String.fromCharCode(code));

/** A word or a character of any kind; lone surrogates and NUL, which are invalid, are rare. */
const piece: Arbitrary<string> = fc.oneof(
  { weight: 300, arbitrary: fc.constantFrom(...VOCABULARY) },
  { weight: 120, arbitrary: fc.constantFrom(...SPACES) },
  { weight: 60, arbitrary: fc.constantFrom(...SPECIAL) },
  { weight: 60, arbitrary: fc.constantFrom(...CHANGING) },
  { weight: 50, arbitrary: fc.constantFrom(...INVISIBLE) },
  { weight: 50, arbitrary: fc.constantFrom(...EMOJI) },
  { weight: 60, arbitrary: fc.constantFrom(...SCRIPTS) },
  { weight: 60, arbitrary: fc.string({ unit: 'grapheme', maxLength: 12 }) },
  { weight: 60, arbitrary: fc.string({ unit: 'binary', maxLength: 12 }) },
  { weight: 30, arbitrary: fc.string({ maxLength: 12 }) },
  { weight: 20, arbitrary: control.filter((one) => one !== '\0') },
  { weight: 1, arbitrary: control },
  { weight: 1, arbitrary: halfPair },
);

export const pieces = (maxLength: number) => fc.array(piece, { maxLength, size: 'max' }).map((all) => all.join(''));

/** Up to and beyond the limit of 100,000 characters. */
const longText = fc
  .tuple(fc.array(piece, { minLength: 1, maxLength: 8 }), fc.integer({ min: 100, max: 101_000 }))
  .map(([all, length]) => (all.join('') || ' ').repeat(length).slice(0, length));

export const anyText: Arbitrary<string> = fc.oneof(
  { weight: 120, arbitrary: pieces(12) },
  { weight: 60, arbitrary: pieces(60) },
  { weight: 20, arbitrary: pieces(400) },
  { weight: 1, arbitrary: longText },
);

/** A text in parts, usually around one mask. */
const maskedText = (mask: string) =>
  fc.oneof(
    {
      weight: 4,
      arbitrary: fc.tuple(anyText, anyText).map(([a, b]) => `${withoutMask(a, mask)}${mask}${withoutMask(b, mask)}`),
    },
    { weight: 1, arbitrary: anyText },
  );

function withoutMask(text: string, mask: string): string {
  return text.replaceAll(mask, 'x');
}

export const textInput = (mask: string | null) => (mask ? maskedText(mask) : anyText).map((text) => ({ text }));

export const questionInput = fc.record(
  { question: fc.oneof(pieces(12), anyText), context: anyText, handleImpossibleAnswer: fc.boolean() },
  { requiredKeys: ['question', 'context'] },
);

export const similarityInput = fc.record({
  source: anyText,
  sentences: fc.oneof(
    { weight: 200, arbitrary: fc.array(pieces(12), { maxLength: 4 }) },
    { weight: 50, arbitrary: fc.array(anyText, { maxLength: 3 }) },
    { weight: 2, arbitrary: fc.array(pieces(3), { minLength: 200, maxLength: 260, size: 'max' }) },
  ),
});

export const rankingInput = fc.record({ query: anyText, documents: similarityInput.map(({ sentences }) => sentences) });

export const zeroShotInput = fc.record(
  {
    text: anyText,
    labels: fc.oneof(
      { weight: 100, arbitrary: fc.uniqueArray(pieces(4), { maxLength: 5 }) },
      {
        weight: 50,
        arbitrary: fc.array(fc.constantFrom('film', 'travel', 'food', '{}', '$&', 'paris'), { maxLength: 3 }),
      },
      { weight: 10, arbitrary: fc.array(anyText, { maxLength: 3 }) },
      { weight: 2, arbitrary: fc.array(pieces(2), { minLength: 90, maxLength: 110, size: 'max' }) },
    ),
    multiLabel: fc.boolean(),
  },
  { requiredKeys: ['text', 'labels'] },
);
