/** Truncation, windows and templates of token sequences. */

import { encodeBeginning, sequenceOf, truncate, truncatePair, windowsOf } from '#src/tasks/sequences.js';
import { openTokenizer } from '#src/worker/native/tokenizer.js';
import { golden } from '../support/tokenizers.js';

const FAMILIES = ['bert-uncased', 'roberta', 'xlm-roberta', 't5', 'llama2', 'clip'];
const LONG =
  'The lighthouse keeper wrote down the wind, every 3 hours, in Łódź; 我喜欢 读书 and unaffordable things. '.repeat(
    400,
  );

test.each(FAMILIES)(
  '%s: encodeBeginning returns the first tokens of the text, without encoding all of it',
  async (name) => {
    const tokenizer = await openTokenizer(golden(name).spec, {});
    const whole = Array.from((await tokenizer.encode(LONG)).ids);

    for (const budget of [1, 14, 62, 510]) {
      const beginning = await encodeBeginning(tokenizer, LONG, budget);

      expect(beginning.ids.length).toBeGreaterThan(budget);
      expect(beginning.ids.length).toBeLessThan(whole.length / 2);
      expect(Array.from(beginning.ids).slice(0, budget)).toEqual(whole.slice(0, budget));
    }
  },
);

test('truncation removes text tokens and keeps the final separator', async () => {
  const tokenizer = await openTokenizer(golden('bert-uncased').spec, {});
  const { single } = tokenizer;

  const { ids, startOfA } = sequenceOf(single, truncate(await tokenizer.encode(LONG), 5));

  const [first, , last] = single as [{ special: number }, unknown, { special: number }];
  expect(ids).toHaveLength(7);
  expect([ids[0], ids.at(-1), startOfA]).toEqual([first.special, last.special, 1]);
});

test('windows overlap by the stride, reach the end, and each adds new tokens', () => {
  const encoded = { ids: new Int32Array(100), starts: [], ends: [], words: [] };
  const ranges = (budget: number, stride: number) =>
    windowsOf(encoded, budget, stride).map(({ from, to }) => [from, to]);

  expect(ranges(100, 10)).toEqual([[0, 100]]);
  expect(ranges(50, 10)).toEqual([
    [0, 50],
    [40, 90],
    [80, 100],
  ]);
  expect(windowsOf(encoded, 16, 16).length).toBeLessThan(50);
});

/** `[budget, tokens of A, tokens of B, tokens kept of A, of B]` by `longest_first` of tokenizers 0.23 for Python. */
test.each([
  [5, 2, 3, 2, 3],
  [1, 2, 1, 1, 0],
  [1, 1, 2, 0, 1],
  [3, 5, 4, 2, 1],
  [3, 5, 2, 2, 1],
  [3, 2, 5, 1, 2],
  [5, 9, 3, 3, 2],
  [5, 3, 9, 2, 3],
  [5, 9, 9, 2, 3],
  [5, 9, 1, 4, 1],
  [5, 0, 9, 0, 5],
  [4, 9, 3, 2, 2],
])('of a budget of %i tokens, a pair of %i and %i gets %i and %i', (budget, a, b, ofA, ofB) => {
  expect(truncatePair([a, b], budget)).toEqual([ofA, ofB]);
});
