/** Truncation, windows and templates of token sequences. */

import { Tokenizer } from 'tokenizers';
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

test('a pair is truncated as the tokenizers library does with longest_first', async () => {
  const vocab = { a: 0, b: 1, '?': 2 };
  const library = Tokenizer.fromString(
    JSON.stringify({
      version: '1.0',
      added_tokens: [],
      pre_tokenizer: { type: 'WhitespaceSplit' },
      model: { type: 'WordLevel', vocab, unk_token: '?' },
    }),
  );
  const found: number[][] = [];
  const expected: number[][] = [];

  for (let budget = 1; budget <= 9; budget++) {
    library.setTruncation(budget, { strategy: 'LongestFirst' as never });
    for (let a = 0; a <= 12; a++) {
      for (let b = 0; b <= 12; b++) {
        const ids = (await library.encode('a '.repeat(a), 'b '.repeat(b))).getIds();
        expected.push([budget, a, b, ids.filter((id) => id === 0).length, ids.filter((id) => id === 1).length]);
        found.push([budget, a, b, ...truncatePair([a, b], budget)]);
      }
    }
  }

  expect(found).toEqual(expected);
});
