/** The estimate of tokens, compared with the tokens of the reference tokenizers. */
import { characterRuleOf, charactersTokenized, estimateTokens } from '#src/tasks/token-count.js';
import { GOLDEN_NAMES, golden } from '../support/tokenizers.js';

test.each(GOLDEN_NAMES)('with %s, a text has at most four times as many tokens as estimated', (name) => {
  const { spec, texts } = golden(name);
  const rule = characterRuleOf(JSON.stringify(spec));

  const underestimated = texts.filter(({ text, ids }) => ids.length > 4 * estimateTokens(text, rule));

  expect(underestimated.map(({ text, ids }) => [text, ids.length, estimateTokens(text, rule)])).toEqual([]);
});

test.each([
  ['bert-uncased', { normalization: 'NFD', bytes: false }],
  ['gpt2', { normalization: null, bytes: true }],
  ['qwen', { normalization: 'NFC', bytes: true }],
  ['t5', { normalization: 'NFKC', bytes: false }],
  ['llama2', { normalization: null, bytes: true }],
])('the rule of %s is read from its file', (name, rule) => {
  expect(characterRuleOf(JSON.stringify(golden(name).spec, null, 2))).toEqual(rule);
});

test('text inside a token that looks like a key is not a key', () => {
  expect(characterRuleOf(JSON.stringify({ vocab: { '"type":"ByteLevel"': 1, '"byte_fallback":true': 2 } }))).toEqual({
    normalization: null,
    bytes: false,
  });
});

test('characters count the tokens that they can become', () => {
  const words = { normalization: null, bytes: false } as const;
  const bytes = { normalization: null, bytes: true } as const;
  const expanding = { normalization: 'NFKC', bytes: false } as const;
  const each = (text: string, rule?: Parameters<typeof estimateTokens>[1]) =>
    (estimateTokens(text.repeat(1_000), rule) - 1) / 1_000;

  expect(each('a', words)).toBe(0.25);
  expect(each('ж', words)).toBe(0.25);
  expect(each('ж', bytes)).toBe(0.5);
  expect(each('漢', words)).toBe(1);
  expect(each('漢', bytes)).toBe(3);
  expect(each('🙂', bytes)).toBe(4);
  expect(each('\u{fdfa}', words)).toBe(1);
  expect(each('\u{fdfa}', expanding)).toBe(18);
  // The rule is not known.
  expect(each('\u{fdfa}')).toBe(33);
});

test('of a text that is truncated, only the beginning is tokenized if its words are enough', () => {
  const words = 'word '.repeat(20_000);
  const oneWord = 'w'.repeat(100_000);
  const longWords = `${'w'.repeat(999)} `.repeat(100);

  expect(charactersTokenized(words, 64)).toBeLessThan(1_100);
  expect(charactersTokenized(oneWord, 64)).toBeGreaterThanOrEqual(100_000);
  expect(charactersTokenized(longWords, 64)).toBeGreaterThanOrEqual(100_000);
  expect(charactersTokenized('short', 64)).toBe(5);
});

test.each([
  ['soft hyphens', '\u00ad '],
  ['accents', '\u0301 '],
  ['spaces of zero width', '\u200b '],
  ['Hangul fillers', '\u3164 '],
])('words of %s, which normalization may remove, do not count as tokens', (_, word) => {
  expect(charactersTokenized(word.repeat(50_000), 64)).toBeGreaterThanOrEqual(100_000);
});

test.each(['мир ', '漢字 ', '7 ', '𝒳 ', '"a" ', 'ÜBER '])('words like %s count as tokens', (word) => {
  expect(charactersTokenized(word.repeat(20_000), 64)).toBeLessThan(1_100);
});
