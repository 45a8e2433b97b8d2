/** The size of a value as JSON equals that of the JSON, which is not written. */
import fc from 'fast-check';
import { jsonBytes } from '#src/api/json-size.js';

const written = (value: unknown) => Buffer.byteLength(JSON.stringify(value));

test('the size of any JSON value is that of its text in UTF-8', () => {
  const value = fc.oneof(fc.jsonValue(), fc.string({ unit: 'binary' }), fc.array(fc.double()));
  fc.assert(
    fc.property(value, (one) => expect(jsonBytes(one)).toBe(written(one))),
    { numRuns: 500 },
  );
});

test.each([
  ['every character', Array.from({ length: 0x1_0000 }, (_, i) => String.fromCharCode(i))],
  [
    'pairs and halves of surrogates',
    ['\u{1f642}', '\ud83d', '\ude42', '\ude42\ud83d', 'a\ud83d', '\ud83da', '\ud83d\ud83d\ude42'],
  ],
  ['what JSON does not have', [Number.NaN, Number.POSITIVE_INFINITY, undefined, () => 1, { a: undefined, b: () => 1 }]],
  ['values that write themselves', { at: new Date(0), list: [new Date(1)] }],
  ['empty values', [[], {}, '', null]],
  ['numbers', [0, -0, 1e21, 1e-7, 0.1 + 0.2, 2 ** 53]],
])('the size of %s is that of its text', (_, value) => {
  expect(jsonBytes(value)).toBe(written(value));
});

test('counting stops above the limit, and the values after it are not read', () => {
  let reads = 0;
  const list = new Proxy(Array(100_000).fill('value'), {
    get(target, key, receiver) {
      if (typeof key === 'string' && /^\d+$/.test(key)) reads++;
      return Reflect.get(target, key, receiver);
    },
  });

  expect(jsonBytes([list], 1_000)).toBeGreaterThan(1_000);
  expect(jsonBytes({ a: 'x'.repeat(900), list: ['y'.repeat(200), list] }, 1_000)).toBeGreaterThan(1_000);
  expect(reads).toBeLessThan(500);
});
