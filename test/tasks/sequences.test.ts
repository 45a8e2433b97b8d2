/** Truncation, windows and templates of token sequences. */

import { encodeBeginning, sequenceOf, truncate, windowsOf } from '#src/tasks/sequences.js';
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
