/** Tests of the tokenizer: from a text to tokens, and from each token back to its span in the text. */

import { execFile } from 'node:child_process';
import path from 'node:path';
import { promisify } from 'node:util';
import fc from 'fast-check';
import type { TemplatePart, Tokenizer } from '#src/tasks/sequences.js';
import { openTokenizer } from '#src/worker/native/tokenizer.js';
import { GOLDEN_NAMES, golden } from '../support/tokenizers.js';

const tokenizerOf = (name: string, config: unknown = {}) => openTokenizer(golden(name).spec, config);

const ADDED = { single_word: false, lstrip: false, rstrip: false, normalized: false, special: true };

/** A tokenizer that knows a few words, with other parts where a test names them. */
function small(parts: Record<string, unknown> = {}, config: unknown = {}): Promise<Tokenizer> {
  const vocab = { '[PAD]': 0, '[UNK]': 1, '[CLS]': 2, '[SEP]': 3, '[MASK]': 4, play: 5, '##ing': 6, cafe: 7, '.': 8 };
  const spec = {
    version: '1.0',
    added_tokens: [
      { ...ADDED, id: 2, content: '[CLS]' },
      { ...ADDED, id: 4, content: '[MASK]', lstrip: true },
    ],
    normalizer: {
      type: 'BertNormalizer',
      clean_text: true,
      handle_chinese_chars: true,
      strip_accents: null,
      lowercase: true,
    },
    pre_tokenizer: { type: 'BertPreTokenizer' },
    post_processor: null,
    decoder: null,
    model: {
      type: 'WordPiece',
      unk_token: '[UNK]',
      continuing_subword_prefix: '##',
      max_input_chars_per_word: 100,
      vocab,
    },
    ...parts,
  };
  return openTokenizer(spec, config);
}

/** Each token with the part of the text that its span covers. */
async function shown(tokenizer: Tokenizer, text: string): Promise<(readonly [string, string])[]> {
  const { ids, starts, ends } = await tokenizer.encodeWithOffsets(text);
  return Array.from(ids, (id, i) => [tokenizer.decode([id]), text.slice(starts[i], ends[i])] as const);
}

/** Ids and types of texts with everything that the template puts around them. */
async function filled(tokenizer: Tokenizer, parts: readonly TemplatePart[], texts: Record<'A' | 'B', string>) {
  const tokens: (readonly [number, number])[] = [];
  for (const part of parts) {
    const ids = 'special' in part ? [part.special] : Array.from((await tokenizer.encode(texts[part.sequence])).ids);
    tokens.push(...ids.map((id) => [id, part.type] as const));
  }
  return [tokens.map(([id]) => id), tokens.map(([, type]) => type)];
}

describe.each(GOLDEN_NAMES)('the tokenizer %s', (name) => {
  const { spec, texts, pairTexts, single, pair } = golden(name);
  let tokenizer: Tokenizer;

  beforeAll(async () => {
    tokenizer = await openTokenizer(spec, {});
  });

  test('has the ids, offsets and words of the reference', async () => {
    const found = await Promise.all(
      texts.map(async ({ text }) => {
        const { ids, starts, ends, words } = await tokenizer.encodeWithOffsets(text);
        return { text, ids, starts: Array.from(starts), ends: Array.from(ends), words };
      }),
    );

    expect(found).toEqual(texts.map(({ decoded: _, ...expected }) => expected));
  });

  test('decodes tokens to the same texts as the reference', () => {
    const added = (spec.added_tokens ?? []) as { id: number; special: boolean }[];
    const special = new Set(added.filter((token) => token.special).map(({ id }) => id));
    const wrong = texts.flatMap(({ text, ids, decoded }) => {
      const found = tokenizer.decode(ids.filter((id) => !special.has(id)));
      return found === decoded ? [] : [{ text, decoded, found }];
    });

    expect(wrong).toEqual([]);
  });

  test('adds the same special tokens as the reference, around one text and around a pair', async () => {
    const [A, B] = pairTexts;

    expect(await filled(tokenizer, tokenizer.single, { A, B })).toEqual(single);
    expect(await filled(tokenizer, tokenizer.pair, { A, B })).toEqual(pair);
  });
});

test('offsets count UTF-16 code units, so an emoji counts as two', async () => {
  const { starts, ends } = await (await small()).encodeWithOffsets('😀 playing');

  expect(Array.from(starts)).toEqual([0, 3, 7]);
  expect(Array.from(ends)).toEqual([2, 7, 10]);
});

test('the span of a token covers the text as it was sent, not its normalized form', async () => {
  expect(await shown(await small(), 'Café PLAYING')).toEqual([
    ['cafe', 'Café'],
    ['play', 'PLAY'],
    ['##ing', 'ING'],
  ]);
});

test('an unknown word is one token with the span of the word', async () => {
  expect(await shown(await small(), 'play xyzzy.')).toEqual([
    ['play', 'play'],
    ['[UNK]', 'xyzzy'],
    ['.', '.'],
  ]);
});

test('tokens of one word share its index, and a special token in the text is a word of its own', async () => {
  expect((await (await small()).encodeWithOffsets('playing [MASK].')).words).toEqual([0, 0, 1, 2]);
});

test('the span of a token that strips the space before it includes the space', async () => {
  expect(await shown(await small(), 'play [MASK].')).toEqual([
    ['play', 'play'],
    ['[MASK]', ' [MASK]'],
    ['.', '.'],
  ]);
});

test('an empty text has no tokens', async () => {
  expect((await (await small()).encode('')).ids).toEqual([]);
});

test('decoding joins the parts of words', async () => {
  const tokenizer = await small({ decoder: { type: 'WordPiece', prefix: '##', cleanup: true } });

  expect(tokenizer.decode([5, 6, 8])).toBe('playing.');
});

test('an id beyond the vocabulary decodes to an empty text', async () => {
  expect((await small()).decode([5, 999])).toBe('play');
});

test('the ids of padding, mask and unknown come from the names in tokenizer_config.json', async () => {
  const config = { pad_token: '[PAD]', mask_token: { content: '[MASK]' } };
  const tokenizer = await small({ padding: { pad_id: 7, pad_type_id: 3 } }, config);

  expect(tokenizer).toMatchObject({ padId: 0, padTypeId: 3, maskId: 4, unkId: 1 });
  expect(tokenizer).toMatchObject({ vocabularySize: 9 });
});

test('without a named padding token, the padding id is the one in tokenizer.json, or 0 if it has none', async () => {
  expect((await small({ padding: { pad_id: 7 } })).padId).toBe(7);
  expect((await small()).padId).toBe(0);
});

test('the truncation and padding settings of the file are not applied', async () => {
  const tokenizer = await small({
    truncation: { max_length: 2, stride: 9, strategy: 'LongestFirst', direction: 'Right' },
    padding: { strategy: { Fixed: 64 }, direction: 'Right', pad_id: 0, pad_type_id: 0, pad_token: '[PAD]' },
  });

  expect((await tokenizer.encode('play play play')).ids).toEqual([5, 5, 5]);
});

test('without a binary for this platform, the error names the package, the platform and the file', async () => {
  const file = path.resolve('dist/worker/native/tokenizer.js');
  const model = { type: 'WordLevel', unk_token: 'a', vocab: { a: 0 } };
  const script = `(await import(${JSON.stringify(file)})).openTokenizer({ model: ${JSON.stringify(model)} })`;
  const env = { ...process.env, NODE_OPTIONS: '', NAPI_RS_NATIVE_LIBRARY_PATH: '/nowhere.node' };

  const failed = promisify(execFile)(process.execPath, ['--input-type=module', '-e', `await ${script}`], { env });

  await expect(failed).rejects.toThrow(
    `text models need the package tokenizers, which cannot be loaded on ${process.platform}-${process.arch}: Cannot find module '/nowhere.node'`,
  );
});

const SPLIT = { type: 'Split', behavior: 'Isolated', invert: false };
const AROUND = { Sequence: { id: 'A', type_id: 0 } };
const BESIDE = { Sequence: { id: 'B', type_id: 1 } };
const FOO = { SpecialToken: { id: '[FOO]', type_id: 0 } };
const template = (single: unknown[], pair: unknown[] = [AROUND, BESIDE]) => ({
  post_processor: { type: 'TemplateProcessing', single, pair, special_tokens: {} },
});
const SEQUENCE = { type: 'Sequence', normalizers: [{ type: 'NFC' }, { type: 'Odd' }] };

test.each([
  ['normalizer.type "Uppercase" is not supported', { normalizer: { type: 'Uppercase' } }],
  ['normalizer.normalizers[1].type "Odd" is not supported', { normalizer: SEQUENCE }],
  ['normalizer.pattern.String is empty', { normalizer: { type: 'Replace', pattern: { String: '' }, content: 'a' } }],
  [
    'normalizer.precompiled_charsmap is not a valid charsmap',
    { normalizer: { type: 'Precompiled', precompiled_charsmap: 'AAAA' } },
  ],
  ['normalizer.precompiled_charsmap is missing', { normalizer: { type: 'Precompiled' } }],
  ['normalizer cannot be read: ', { normalizer: { type: 'BertNormalizer', lowercase: 'yes' } }],
  [
    'pre_tokenizer.behavior "Sometimes"',
    { pre_tokenizer: { ...SPLIT, pattern: { String: 'a' }, behavior: 'Sometimes' } },
  ],
  [
    'pre_tokenizer cannot be read: Oniguruma error: end pattern',
    { pre_tokenizer: { ...SPLIT, pattern: { Regex: '(' } } },
  ],
  ['pre_tokenizer.pattern.Regex is empty', { pre_tokenizer: { ...SPLIT, pattern: { Regex: '' } } }],
  ['pre_tokenizer.length is not a positive integer', { pre_tokenizer: { type: 'FixedLength', length: 0 } }],
  ['model.type "Odd" is not supported', { model: { type: 'Odd', vocab: {} } }],
  [
    'model.unk_token "gone" is not in the vocabulary',
    { model: { type: 'WordLevel', unk_token: 'gone', vocab: { a: 0 } } },
  ],
  ['model.dropout 0.1', { model: { type: 'BPE', dropout: 0.1, vocab: { a: 0 }, merges: [] } }],
  ['model.merges[0]: "ab"', { model: { type: 'BPE', vocab: { a: 0, b: 1 }, merges: ['a b'] } }],
  [
    'model.merges[0]: "b" does not begin with "##"',
    { model: { type: 'BPE', continuing_subword_prefix: '##', vocab: { a: 0, b: 1 }, merges: ['a b'] } },
  ],
  ['model.vocab["a"] is -1; expected a token id', { model: { type: 'BPE', vocab: { a: -1 }, merges: [] } }],
  ['model.unk_id is null; expected a token id', { model: { type: 'Unigram', unk_id: null, vocab: [['a', 0]] } }],
  ['model.unk_id 7 is not in the vocabulary', { model: { type: 'Unigram', unk_id: 7, vocab: [['a', 0]] } }],
  ['model is missing; expected an object', { model: undefined }],
  ['post_processor.type "Odd" is not supported', { post_processor: { type: 'Odd' } }],
  ['post_processor.single[1].SpecialToken.id "[FOO]" is not in post_processor.special_tokens', template([AROUND, FOO])],
  ['post_processor.pair[0].SpecialToken.id "[FOO]"', template([AROUND], [FOO, AROUND, BESIDE])],
  ['post_processor.single has the sequences B instead of A', template([BESIDE])],
  ['decoder.type "Odd" is not supported', { decoder: { type: 'Odd' } }],
  ['decoder.stop 1 is not supported', { decoder: { type: 'Strip', content: ' ', start: 0, stop: 1 } }],
  ['added_tokens[0].id is 9', { added_tokens: [{ ...ADDED, id: 9, content: 'play' }] }],
])('a file that cannot be used is refused by its key: %s', async (message, parts) => {
  await expect(small(parts)).rejects.toThrow(`tokenizer.json: ${message}`);
});

const FAMILIES = ['bert-uncased', 'roberta', 'gpt4o', 'clip', 'llama2', 't5', 'xlm-roberta', 'albert', 'word-level'];

test.each(FAMILIES)('%s takes any well-formed text, and every span lies within it', async (name) => {
  const tokenizer = await tokenizerOf(name);
  const anything = fc.array(
    fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.string({ unit: 'grapheme' }),
      fc.constantFrom(' ', '▁', '<mask>', '\u0301'),
    ),
  );
  const property = fc.asyncProperty(anything, async (parts) => {
    const text = parts.join('');
    const { ids, starts, ends, words } = await tokenizer.encodeWithOffsets(text);

    expect(new Set([starts.length, ends.length, words.length])).toEqual(new Set([ids.length]));
    const isWithin = (start: number, end: number) =>
      start >= 0 && start <= end && end <= text.length && text.slice(start, end).isWellFormed();
    expect(Array.from(starts).every((start, i) => isWithin(start, ends[i] as number))).toBe(true);
  });

  await fc.assert(property, { numRuns: 300, seed: 20_261_124 });
});

test('a short text does not wait for a long one', async () => {
  const tokenizer = await tokenizerOf('roberta');
  const order: string[] = [];

  await Promise.all([
    tokenizer.encode('play '.repeat(100_000)).then(() => order.push('long')),
    tokenizer.encode('play').then(() => order.push('short')),
  ]);

  expect(order).toEqual(['short', 'long']);
});

const LONG = [
  'abcdefghij'.repeat(10_000),
  '\u0301'.repeat(100_000),
  '\u0301\u0323'.repeat(50_000),
  ' '.repeat(100_000),
  '漢'.repeat(100_000),
];

test.each(['bert-uncased', 'roberta', 'clip', 'llama2', 't5'])(
  '%s ends on texts of 100,000 characters, whatever they repeat',
  async (name) => {
    const tokenizer = await tokenizerOf(name);

    for (const text of LONG) {
      const { ends } = await tokenizer.encodeWithOffsets(text);
      expect(Array.from(ends).every((end) => end <= text.length)).toBe(true);
    }
  },
);
