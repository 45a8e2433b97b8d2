/** The scan of a body accepts exactly what `JSON.parse` accepts, however the text is cut into chunks. */
import fc from 'fast-check';
import { JsonScan } from '#src/json-scan.js';

const LIMITLESS = { maxBodyValues: 1e9, maxBodyDepth: 1e9 };

function accepts(text: string | Uint8Array, cuts: readonly number[] = []): boolean {
  const bytes = Buffer.from(text as string);
  const scan = new JsonScan(LIMITLESS);
  const borders = [0, ...cuts.map((cut) => cut % (bytes.length + 1)).sort((a, b) => a - b), bytes.length];
  for (const [i, end] of borders.slice(1).entries()) {
    if (scan.scan(bytes.subarray(borders[i], end))) return false;
  }
  return scan.isComplete;
}

function parses(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/** Values and keys, counted in what `JSON.parse` returns. */
function count(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 1;
  const keys = Array.isArray(value) ? 0 : Object.keys(value).length;
  return 1 + keys + Object.values(value).reduce((sum: number, one) => sum + count(one), 0);
}

function depth(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 0;
  return 1 + Math.max(0, ...Object.values(value).map(depth));
}

const cutsOf = fc.array(fc.nat(), { maxLength: 5 });

test.each([
  [
    '0',
    '-0',
    '1.5e+3',
    '1E9',
    '0.0',
    '-12.25e-7',
    '[1,2]',
    '[1 , 2 ]',
    ' {"a" : [ ] } ',
    '"\\u00Ff\\n\\/"',
    'true',
    ' null ',
    '""',
  ],
  [
    '',
    ' ',
    '01',
    '-',
    '1.',
    '.5',
    '1e',
    '1e+',
    '+1',
    '--1',
    '1.5.5',
    '[1 2]',
    '[,1]',
    '[1,]',
    '{"a"}',
    '{"a":}',
    '{a:1}',
    '{"a":1,}',
  ],
  [
    '{1:2}',
    '[}',
    '{]',
    '[1}',
    ']',
    '[]]',
    '1 1',
    '"a',
    '"\\x"',
    '"\\u12g4"',
    '"\n"',
    'tru',
    'truee',
    'nul',
    'True',
    'NaN',
    '\ufeff1 1',
    '/**/1',
  ],
])('texts with one mistake or none', (...texts) => {
  for (const one of texts) {
    for (let cut = 0; cut <= one.length; cut++)
      expect([one, accepts(one, [cut])]).toEqual([one, parses(one.replace(/^\ufeff/, ''))]);
  }
});

test('generated JSON is accepted and counted; with one character changed, it is accepted if it parses', () => {
  fc.assert(
    fc.property(
      fc.jsonValue(),
      cutsOf,
      fc.nat(),
      fc.constantFrom(...'{}[]",:\\0-1e. tu\n'),
      (value, cuts, at, other) => {
        const json = JSON.stringify(value);
        const changed = json.slice(0, at % json.length) + other + json.slice((at % json.length) + 1);

        expect(accepts(json, cuts)).toBe(true);
        expect([changed, accepts(changed, cuts)]).toEqual([changed, parses(changed)]);
        const parsed: unknown = JSON.parse(json);
        const fits = { maxBodyValues: count(parsed), maxBodyDepth: depth(parsed) };
        expect(new JsonScan(fits).scan(Buffer.from(json))).toBeNull();
        const fewer = { ...fits, maxBodyValues: fits.maxBodyValues - 1 };
        expect(new JsonScan(fewer).scan(Buffer.from(json))).toBe('maxBodyValues');
      },
    ),
    { numRuns: 2_000 },
  );
});

test('bytes that are not UTF-8 are accepted if they parse as the text that they are decoded to', () => {
  const byte = fc.oneof(
    fc.constantFrom(0xef, 0xbb, 0xbf, 0xff, 0x80, 0xc3, 0xfe),
    fc.constantFrom(...Buffer.from('{}[]",:1 ')),
  );
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 3 }),
      fc.array(byte, { maxLength: 6 }),
      fc.jsonValue(),
      cutsOf,
      (begin, bytes, value, cuts) => {
        const body = Buffer.concat([begin, Buffer.from(bytes), Buffer.from(JSON.stringify(value))]);

        expect([body, accepts(body, cuts)]).toEqual([body, parses(body.toString().replace(/^\ufeff/, ''))]);
      },
    ),
    {
      numRuns: 5_000,
      examples: [
        [Uint8Array.of(0xef), [], {}, []],
        [Uint8Array.of(0xef, 0xbb), [], {}, [1]],
      ],
    },
  );
});

test('a text in any encoding of its characters passes, with the borders of chunks inside them', () => {
  const json = JSON.stringify({ 'schlüssel €': ['日本', '💥', '\u0000\u001f', '\\"'] });
  const bytes = Buffer.from(json);
  const scan = new JsonScan(LIMITLESS);

  for (const byte of bytes) expect(scan.scan(Buffer.of(byte))).toBeNull();

  expect(scan.isComplete).toBe(true);
});
