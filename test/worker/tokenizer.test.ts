/** From a text to tokens, and from each token back to its place in the text. */

import fc from 'fast-check';
import type { TemplatePart } from '#src/tasks/sequences.js';
import { unprovenReason } from '#src/tasks/tokenizer/proven.js';
import { TextTokenizer } from '#src/worker/native/tokenizer.js';
import { GOLDEN_NAMES, golden } from '../support/tokenizers.js';

const tokenizerOf = (name: string, config: unknown = {}) => new TextTokenizer(golden(name).spec, config);

/** A tokenizer that knows a few words, with other parts where a test names them. */
function small(parts: Record<string, unknown> = {}, config: unknown = {}): TextTokenizer {
  const vocab = { '[PAD]': 0, '[UNK]': 1, '[CLS]': 2, '[SEP]': 3, '[MASK]': 4, play: 5, '##ing': 6, cafe: 7, '.': 8 };
  const spec = {
    added_tokens: [
      { id: 2, content: '[CLS]', special: true },
      { id: 4, content: '[MASK]', special: true, lstrip: true },
    ],
    normalizer: { type: 'BertNormalizer', lowercase: true },
    pre_tokenizer: { type: 'BertPreTokenizer' },
    model: { type: 'WordPiece', unk_token: '[UNK]', continuing_subword_prefix: '##', vocab },
    ...parts,
  };
  return new TextTokenizer(spec, config);
}

/** Each token with the part of the text that it stands for. */
function shown(tokenizer: TextTokenizer, text: string): (readonly [string, string])[] {
  const { tokens, starts, ends } = tokenizer.encode(text);
  return tokens.map((token, i) => [token, text.slice(starts[i], ends[i])] as const);
}

/** Ids and types of texts with everything that the template puts around them. */
function filled(tokenizer: TextTokenizer, parts: readonly TemplatePart[], texts: Record<'A' | 'B', string>) {
  const tokens = parts.flatMap((part) =>
    'special' in part
      ? [[part.special, part.type] as const]
      : tokenizer.encode(texts[part.sequence]).ids.map((id) => [id, part.type] as const),
  );
  return [tokens.map(([id]) => id), tokens.map(([, type]) => type)];
}

describe.each(GOLDEN_NAMES)('the tokenizer %s', (name) => {
  const { spec, texts, pairTexts, single, pair } = golden(name);
  const tokenizer = new TextTokenizer(spec, {});

  test('has the ids, places and words of the reference', () => {
    const wrong = texts.flatMap((expected) => {
      const { ids, starts, ends, words } = tokenizer.encode(expected.text);
      const found = { ids, starts: [...starts], ends: [...ends] };
      const { ids: expectedIds, starts: expectedStarts, ends: expectedEnds } = expected;
      const isSame =
        JSON.stringify(found) === JSON.stringify({ ids: expectedIds, starts: expectedStarts, ends: expectedEnds }) &&
        words.every((word, i) => word === -1 || word === expected.words[i]);
      return isSame ? [] : [{ expected, found: { ...found, words } }];
    });

    expect(wrong).toEqual([]);
  });

  test('has the texts that the reference decodes', () => {
    const wrong = texts.flatMap(({ text, ids, decoded }) => {
      const found = tokenizer.decode(ids);
      return found === decoded ? [] : [{ text, decoded, found }];
    });

    expect(wrong).toEqual([]);
  });

  test('puts around one text and around two what the reference puts there', () => {
    const [A, B] = pairTexts;

    expect(filled(tokenizer, tokenizer.single, { A, B })).toEqual(single);
    expect(filled(tokenizer, tokenizer.pair, { A, B })).toEqual(pair);
  });

  test('is among those that were compared', () => {
    expect(unprovenReason(spec)).toBeNull();
  });
});

test('a place is counted in UTF-16 units, so an emoji before a word is two', () => {
  const { starts, ends } = small().encode('😀 playing');

  expect([...starts]).toEqual([0, 3, 7]);
  expect([...ends]).toEqual([2, 7, 10]);
});

test('a word stands for what was sent, not for its normalised form', () => {
  expect(shown(small(), 'Café PLAYING')).toEqual([
    ['cafe', 'Café'],
    ['play', 'PLAY'],
    ['##ing', 'ING'],
  ]);
});

test('an unknown word is one token with the span of the word', () => {
  expect(shown(small(), 'play xyzzy.')).toEqual([
    ['play', 'play'],
    ['[UNK]', 'xyzzy'],
    ['.', '.'],
  ]);
});

test('tokens of one word share its index, and a special token in the text belongs to none', () => {
  expect(small().encode('playing [MASK].').words).toEqual([0, 0, -1, 2]);
});

test('a token that strips the space before it stands for the space too', () => {
  expect(shown(small(), 'play [MASK].')).toEqual([
    ['play', 'play'],
    [' [MASK]', ' [MASK]'],
    ['.', '.'],
  ]);
});

test('an empty text has no tokens', () => {
  expect(small().encode('').ids).toEqual([]);
});

test('decoding leaves special tokens out', () => {
  const tokenizer = small({ decoder: { type: 'WordPiece', prefix: '##', cleanup: true } });

  expect(tokenizer.decode([2, 5, 6, 4, 8])).toBe('playing.');
});

test('an id beyond the vocabulary decodes to nothing', () => {
  expect(small().decode([5, 999])).toBe('play');
});

test('the ids of padding, mask and unknown come from the names in tokenizer_config.json', () => {
  const config = { pad_token: '[PAD]', mask_token: { content: '[MASK]' } };
  const tokenizer = small({ padding: { pad_id: 7, pad_type_id: 3 } }, config);

  expect(tokenizer).toMatchObject({ padId: 0, padTypeId: 3, maskId: 4, maskToken: '[MASK]', unkId: 1 });
  expect(tokenizer).toMatchObject({ vocabularySize: 9 });
});

test('without a name for padding, the id is that of the file, and then 0', () => {
  expect(small({ padding: { pad_id: 7 } }).padId).toBe(7);
  expect(small().padId).toBe(0);
});

test.each([
  ['normalizer: the normalizer Uppercase', { normalizer: { type: 'Uppercase' } }],
  [
    'normalizer.normalizers[1]: the normalizer Odd',
    { normalizer: { type: 'Sequence', normalizers: [{ type: 'NFC' }, { type: 'Odd' }] } },
  ],
  ['pre_tokenizer: the pre-tokenizer UnicodeScripts', { pre_tokenizer: { type: 'UnicodeScripts' } }],
  [
    'pre_tokenizer.behavior: Sometimes',
    { pre_tokenizer: { type: 'Split', pattern: { String: 'a' }, behavior: 'Sometimes' } },
  ],
  ['pre_tokenizer.pattern', { pre_tokenizer: { type: 'Split', pattern: { Regex: '(' }, behavior: 'Isolated' } }],
  ['pre_tokenizer.replacement', { pre_tokenizer: { type: 'Metaspace', replacement: '😀' } }],
  ['model: the model Odd', { model: { type: 'Odd' } }],
  ['model.unk_token', { model: { type: 'WordLevel', unk_token: 'gone', vocab: { a: 0 } } }],
  ['model.dropout: 0.1', { model: { type: 'BPE', dropout: 0.1, vocab: { a: 0 }, merges: [] } }],
  ['model.merges[0]', { model: { type: 'BPE', vocab: { a: 0, b: 1 }, merges: ['a b'] } }],
  ['model.vocab: "a": expected an id', { model: { type: 'BPE', vocab: { a: -1 }, merges: [] } }],
  ['model.unk_id', { model: { type: 'Unigram', unk_id: null, vocab: [['a', 0]] } }],
  ['model: expected an object, found nothing', { model: undefined }],
  ['post_processor: the post-processor Odd', { post_processor: { type: 'Odd' } }],
  ['decoder: the decoder CTC', { decoder: { type: 'CTC' } }],
  ['added_tokens[0].id is 9', { added_tokens: [{ id: 9, content: 'play' }] }],
])('what is not supported is refused by its key: %s', (message, parts) => {
  expect(() => small(parts)).toThrow(`tokenizer.json: ${message}`);
});

test.each([
  [{ normalizer: { type: 'Odd' } }, 'normalizer: Odd'],
  [{ normalizer: { type: 'Sequence', normalizers: [{ type: 'Odd' }] } }, 'normalizer: Odd'],
  [{ pre_tokenizer: { type: 'Split', pattern: { Regex: '(?<=x)' } } }, 'pre_tokenizer: Split by the expression (?<=x)'],
  [{ model: { type: 'Odd' } }, 'model: Odd'],
  [{ post_processor: { type: 'Odd' } }, 'post_processor: Odd'],
])('a tokenizer with a part that was not compared says which', (spec, reason) => {
  expect(unprovenReason(spec)).toBe(reason);
});

const FAMILIES = ['bert-uncased', 'roberta', 'gpt4o', 'clip', 'llama2', 't5', 'xlm-roberta', 'albert', 'word-level'];

test.each(FAMILIES)('%s takes any well-formed text, and every span lies within it', (name) => {
  const tokenizer = tokenizerOf(name);
  const anything = fc.array(
    fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.string({ unit: 'grapheme' }),
      fc.constantFrom(' ', '▁', '<mask>', '\u0301'),
    ),
  );
  const property = fc.property(anything, (parts) => {
    const text = parts.join('');
    const { ids, tokens, starts, ends, words } = tokenizer.encode(text);

    expect(new Set([tokens.length, starts.length, ends.length, words.length])).toEqual(new Set([ids.length]));
    const isWithin = (start: number, end: number) =>
      start >= 0 && start <= end && end <= text.length && text.slice(start, end).isWellFormed();
    expect([...starts].every((start, i) => isWithin(start, ends[i] as number))).toBe(true);
  });

  fc.assert(property, { numRuns: 300, seed: 20_261_124 });
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
  (name) => {
    const tokenizer = tokenizerOf(name);

    for (const text of LONG) {
      const { ends } = tokenizer.encode(text);
      expect(ends.every((end) => end <= text.length)).toBe(true);
    }
  },
);
