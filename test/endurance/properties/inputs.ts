/**
 * fast-check arbitraries for inputs of every kind: any Unicode, any bytes as an image, any row. About half of them are
 * valid enough to be answered.
 */
import { Buffer } from 'node:buffer';
import fc, { type Arbitrary } from 'fast-check';
import { VOCABULARY } from '../../support/hugging-face/text-folder.ts';
import { seeded } from '../../support/random.ts';
import { dress, mutateOnce } from '../fuzz/images.ts';
import { raw } from '../fuzz/values.ts';

export interface Column {
  readonly name: string;
  readonly type: 'NUMBER' | 'INTEGER' | 'TEXT' | 'CATEGORY' | 'BOOLEAN';
  readonly minimum: number | null;
  readonly maximum: number | null;
  readonly categories: readonly string[];
}

export interface TensorSpec {
  readonly name: string;
  readonly datatype: string;
  readonly shape: readonly (number | null)[];
}

// ── texts ──

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

const pieces = (maxLength: number) => fc.array(piece, { maxLength, size: 'max' }).map((all) => all.join(''));

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

// ── images ──

const MAGIC = ['', 'ffd8ff', '89504e470d0a1a0a', '5249464600000000574542505650', '47494638', '00'];

/** An image with several changes, or random bytes with or without the signature of a format. */
export const pictureInput = (pictures: readonly Buffer[]) =>
  fc
    .tuple(
      fc.oneof(
        {
          weight: 8,
          arbitrary: fc
            .tuple(fc.constantFrom(...pictures.keys()), fc.oneof(fc.constant([]), fc.array(fc.nat(), { maxLength: 3 })))
            .map(([i, changes]) =>
              changes.reduce((bytes, seed) => mutateOnce(seeded(seed), bytes, pictures), pictures[i] as Buffer),
            ),
        },
        {
          weight: 1,
          arbitrary: fc
            .tuple(fc.constantFrom(...MAGIC), fc.uint8Array({ maxLength: 300 }))
            .map(([magic, bytes]) => Buffer.concat([Buffer.from(magic, 'hex'), bytes])),
        },
      ),
      fc.option(fc.nat(), { freq: 1 }),
    )
    .map(([bytes, seed]) => {
      const base64 = bytes.toString('base64');
      return { base64: seed === null ? base64 : dress(seeded(seed), base64) };
    });

// ── rows ──

const hugeNumber = fc.constantFrom(
  ...[1e308, -1e308, 3.5e38, 3.4e38, 1e39, 2 ** 53, 2 ** 53 + 2, -(2 ** 63), 2 ** 31, 5e-324, 1e-46, -0],
);
const oddScalar: Arbitrary<unknown> = fc.oneof(
  hugeNumber,
  fc.double({ noNaN: true, noDefaultInfinity: true }),
  fc.integer(),
  fc.constantFrom(null, true, false, '', '0', 'NaN', [], {}, [0.5], { a: 1 }),
  fc.constantFrom('infinity', 'minusInfinity', 'beyondSafe', 'manyDigits', 'minusZero').map(raw),
  pieces(4),
);

function goodValue({ type, minimum, maximum, categories }: Column): Arbitrary<unknown> {
  if (type === 'CATEGORY') return fc.constantFrom(...categories);
  if (type === 'TEXT') return pieces(6);
  if (type === 'BOOLEAN') return fc.boolean();
  const [min, max] = [minimum ?? -1e6, maximum ?? 1e6];
  if (type === 'INTEGER') return fc.integer({ min: Math.ceil(min), max: Math.floor(max) });
  return fc.double({ min, max, noNaN: true });
}

/** A valid, missing, null or wrong value. The more columns a row has, the rarer each mistake is. */
export function rowInput(columns: readonly Column[]): Arbitrary<unknown> {
  const value = (column: Column) =>
    fc.oneof(
      { weight: 8 + 4 * columns.length, arbitrary: goodValue(column) },
      { weight: 1, arbitrary: fc.constant(undefined) },
      { weight: 1, arbitrary: fc.constant(null) },
      { weight: 2, arbitrary: oddScalar },
    );
  const known = fc.record(Object.fromEntries(columns.map((column) => [column.name, value(column)])));
  const unknown = fc.array(
    fc.tuple(fc.oneof(pieces(2), fc.constantFrom('__proto__', 'constructor', 'toString')), oddScalar),
    { minLength: 1, maxLength: 3 },
  );
  return fc.oneof(
    { weight: 120, arbitrary: known },
    // `fromEntries` makes an own property even of `__proto__`.
    {
      weight: 10,
      arbitrary: fc.tuple(known, unknown).map(([row, more]) => Object.fromEntries([...Object.entries(row), ...more])),
    },
    { weight: 3, arbitrary: unknown.map((more) => Object.fromEntries(more)) },
  );
}

// ── tensors ──

const VALUES: Readonly<Record<string, Arbitrary<unknown>>> = {
  FP32: fc.float({ noNaN: true, noDefaultInfinity: true }),
  INT32: fc.integer(),
  INT64: fc.oneof(fc.maxSafeInteger(), fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map(String)),
  BOOL: fc.boolean(),
  BYTES: pieces(4),
};

const MOST_VALUES = 4_096;

/** Tensors, of one row for tasks with one answer per input; sometimes with a wrong size, datatype or value. */
export function tensorsInput(inputs: readonly TensorSpec[], isOneRow: boolean): Arbitrary<unknown> {
  const sizes = fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 5, maxLength: 5 });
  return fc.tuple(sizes, fc.boolean(), fc.nat()).chain(([free, isBase64, odd]) => {
    const tensors = inputs.map((spec) =>
      tensor(
        spec,
        spec.shape.map((size, i) => size ?? (i === 0 && isOneRow ? 1 : (free[i] ?? 1))),
        isBase64,
      ),
    );
    return fc.tuple(...tensors).map((all) => (odd % 7 === 0 ? oddTensors(all, odd) : all));
  });
}

type Made = { readonly name: string; readonly datatype: string; readonly shape: number[]; readonly data?: unknown[] };

function tensor({ name, datatype }: TensorSpec, shape: number[], isBase64: boolean): Arbitrary<Made> {
  const count = Math.min(
    MOST_VALUES,
    shape.reduce((product, size) => product * size, 1),
  );
  const small = name.endsWith('_mask') || name.endsWith('_ids');
  const value = small
    ? fc.integer({ min: 0, max: name === 'input_ids' ? VOCABULARY.length - 1 : 1 })
    : VALUES[datatype];
  const data =
    count > 64
      ? (value ?? fc.integer()).map((one) => Array(count).fill(one))
      : fc.array(value ?? fc.integer(), { minLength: count, maxLength: count });
  return data.map((data) => {
    const bytes = isBase64 && datatype === 'FP32' ? Buffer.from(Float32Array.from(data as number[]).buffer) : null;
    return { name, datatype, shape, ...(bytes ? { base64: bytes.toString('base64') } : { data }) };
  });
}

function oddTensors(all: readonly Made[], odd: number): unknown {
  const [first, ...others] = all as [Made, ...Made[]];
  const ways: readonly (() => unknown)[] = [
    () => others,
    () => [...all, first],
    () => [{ ...first, name: 'nobody' }, ...others],
    () => [{ ...first, datatype: 'FP64' }, ...others],
    () => [{ ...first, shape: [...first.shape, 1] }, ...others],
    () => [{ ...first, shape: first.shape.map(() => 0) }, ...others],
    () => [{ ...first, shape: first.shape.map(() => 2 ** 31 - 1) }, ...others],
    () => [{ ...first, data: first.data?.slice(1) ?? [] }, ...others],
    () => [{ ...first, data: first.data?.map(() => null) ?? {} }, ...others],
    () => [{ ...first, data: [raw('infinity')], shape: [1] }, ...others],
    () => [{ ...first, base64: '!' }, ...others],
  ];
  return (ways[Math.floor(odd / 7) % ways.length] as () => unknown)();
}
