/**
 * Inputs with one mistake each, and the code and path of the problem that must be reported.
 *
 * `raw` is JSON that `JSON.stringify` cannot produce.
 */
import { Buffer } from 'node:buffer';
import { pixelBomb, withClaimedSize } from '../support/images.js';

export interface BadInput {
  readonly model: string;
  readonly input?: unknown;
  readonly raw?: string;
  readonly more?: Readonly<Record<string, unknown>>;
  readonly code: string;
  /** Relative to `input.input`, or to `input` if it starts with a slash. */
  readonly path: string;
}

const FOREST = 'breast-cancer-forest';
const PNG_SIGNATURE = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a];
const base64 = (...bytes: number[]) => Buffer.from(bytes).toString('base64');
const bytesOf = (array: Float32Array | Float64Array) => Buffer.from(array.buffer).toString('base64');

export function badRows(good: Readonly<Record<string, number>>): BadInput[] {
  const row = (change: Record<string, unknown>, code: string, path: string): BadInput => ({
    model: FOREST,
    input: { row: { ...good, ...change } },
    code,
    path: `row/${path}`,
  });
  const without = (name: string): BadInput => {
    const { [name]: _, ...rest } = good;
    return { model: FOREST, input: { row: rest }, code: 'MISSING', path: `row/${name}` };
  };
  const raw = (name: string, json: string, code: string): BadInput => ({
    model: FOREST,
    raw: JSON.stringify({ row: { ...good, [name]: '@' } }).replace('"@"', json),
    code,
    path: `row/${name}`,
  });
  return [
    row({ 'mean radios': 1 }, 'UNKNOWN_NAME', 'mean radios'),
    row({ constructor: 1 }, 'UNKNOWN_NAME', 'constructor'),
    row({ toString: 1 }, 'UNKNOWN_NAME', 'toString'),
    row({ '': 1 }, 'UNKNOWN_NAME', ''),
    {
      model: FOREST,
      raw: JSON.stringify({ row: good }).replace('{"row":{', '{"row":{"__proto__":1,'),
      code: 'UNKNOWN_NAME',
      path: 'row/__proto__',
    },
    row({ '\ud800': 1 }, 'UNKNOWN_NAME', '\ud800'),
    // Properties of the prototype do not count as columns.
    {
      model: FOREST,
      raw: `{"row":{"__proto__":${JSON.stringify(good)}}}`,
      code: 'MISSING',
      path: 'row/mean radius',
    },
    row(Object.fromEntries(Array.from({ length: 10_000 }, (_, i) => [`column ${i}`, i])), 'UNKNOWN_NAME', 'column 0'),
    without('mean radius'),
    without('worst area'),
    row({ 'mean texture': null }, 'MISSING', 'mean texture'),
    row({ 'mean area': '1001' }, 'WRONG_TYPE', 'mean area'),
    row({ 'mean area': '\udfff' }, 'WRONG_TYPE', 'mean area'),
    row({ 'mean radius': true }, 'WRONG_TYPE', 'mean radius'),
    row({ 'mean texture': [1] }, 'WRONG_TYPE', 'mean texture'),
    row({ 'worst area': { value: 1 } }, 'WRONG_TYPE', 'worst area'),
    row({ 'mean radius': -1 }, 'OUT_OF_RANGE', 'mean radius'),
    row({ 'mean area': 1e12 }, 'OUT_OF_RANGE', 'mean area'),
    row({ 'worst texture': -0.001 }, 'OUT_OF_RANGE', 'worst texture'),
    raw('mean radius', '1e999', 'NOT_FINITE'),
    raw('mean area', '-1e999', 'NOT_FINITE'),
    { model: FOREST, input: { row: {} }, code: 'MISSING', path: 'row/mean radius' },
  ];
}

export const BAD_TYPED_ROWS: readonly BadInput[] = [
  { model: 'typed', input: { row: { count: 1.5, on: true } }, code: 'WRONG_TYPE', path: 'row/count' },
  { model: 'typed', input: { row: { count: -1, on: true } }, code: 'OUT_OF_RANGE', path: 'row/count' },
  { model: 'typed', input: { row: { count: 1, on: 1 } }, code: 'WRONG_TYPE', path: 'row/on' },
  { model: 'typed', input: { row: { on: true } }, code: 'MISSING', path: 'row/count' },
  { model: 'typed', input: { row: { count: 1 } }, code: 'MISSING', path: 'row/on' },
  // Finite as JSON, infinite in the 32 bits of the graph.
  { model: 'unbounded', input: { row: { p: 1e300, q: 0 } }, code: 'OUT_OF_RANGE', path: 'row/p' },
  { model: 'unbounded', input: { row: { p: 0, q: -1e39 } }, code: 'OUT_OF_RANGE', path: 'row/q' },
];

const DEEP = `${'['.repeat(20)}${']'.repeat(20)}`;

/** Nested as deeply as a body may be. */
export const DEEP_INPUTS: readonly BadInput[] = [
  { model: 'unbounded', raw: `{"row":{"p":${DEEP},"q":0}}`, code: 'WRONG_TYPE', path: 'row/p' },
  { model: 'typed', raw: `{"row":{"count":${DEEP},"on":${DEEP}}}`, code: 'WRONG_TYPE', path: 'row/on' },
  {
    model: 'unbounded',
    raw: `{"row":{"p":0,"q":${DEEP}}}`,
    more: { idempotencyKey: 'deep' },
    code: 'WRONG_TYPE',
    path: 'row/q',
  },
  {
    model: 'words',
    raw: `{"tensors":[{"name":"words","datatype":"BYTES","shape":[1],"data":${DEEP}}]}`,
    code: 'WRONG_TYPE',
    path: 'tensors/0/data/0',
  },
];

const TOO_LONG = 'a'.repeat(100_001);
/** In rows and tensors, by the rules for texts. */
export const BAD_STRINGS: readonly BadInput[] = [
  { model: 'notes', input: { row: { note: TOO_LONG } }, code: 'TOO_LARGE', path: 'row/note' },
  { model: 'notes', input: { row: { note: 'cut off\0 here' } }, code: 'UNREADABLE', path: 'row/note' },
  { model: 'notes', raw: '{"row":{"note":"half \\ud800 pair"}}', code: 'UNREADABLE', path: 'row/note' },
  words({ shape: [2], data: ['a', TOO_LONG] }, 'TOO_LARGE', '0/data/1'),
];

export const BAD_TEXTS: readonly BadInput[] = [
  { model: 'spam-filter', input: { text: '' }, code: 'EMPTY', path: 'text' },
  { model: 'spam-filter', input: { text: ' \n\t ' }, code: 'EMPTY', path: 'text' },
  { model: 'spam-filter', input: { text: 'a'.repeat(100_001) }, code: 'TOO_LARGE', path: 'text' },
  { model: 'spam-filter', input: { text: '💥'.repeat(500_000) }, code: 'TOO_LARGE', path: 'text' },
  { model: 'spam-filter', raw: '{"text":"\\udca5\\ud83d, the wrong way round"}', code: 'UNREADABLE', path: 'text' },
  { model: 'spam-filter', raw: '{"text":"half \\ud800 pair"}', code: 'UNREADABLE', path: 'text' },
  { model: 'spam-filter', input: { text: 'cut off\0 here' }, code: 'UNREADABLE', path: 'text' },
  { model: 'spam-filter', input: { row: { text: 'x' } }, code: 'WRONG_KIND', path: '' },
  { model: 'fashion-mlp', input: { text: 'a shirt' }, code: 'WRONG_KIND', path: '' },
  { model: 'typed', input: { image: { base64: 'aGVsbG8=' } }, code: 'WRONG_KIND', path: '' },
];

function image(text: string, code: string): BadInput {
  return { model: 'fashion-mlp', input: { image: { base64: text } }, code, path: 'image/base64' };
}

/** One image in each accepted format, and images in other formats. */
export interface Images {
  readonly png: Buffer;
  readonly jpeg: Buffer;
  readonly webp: Buffer;
  readonly others: readonly Buffer[];
}

export function badImages({ png, jpeg, webp, others }: Images): BadInput[] {
  const bytes = (buffer: Buffer, code: string) => image(buffer.toString('base64'), code);
  // A PNG without its last 12 bytes is still complete: its pixels come before them.
  const truncated = [png, jpeg, webp].flatMap((whole) =>
    [0.2, 0.5, 0.8, 0.97].map((part) => bytes(whole.subarray(0, Math.floor((whole.length - 12) * part)), 'UNREADABLE')),
  );
  const headers = [PNG_SIGNATURE, [0xff, 0xd8, 0xff, 0xe0, 0, 0], [...Buffer.from('RIFF0000WEBP')]];
  const foreign = [
    '<svg xmlns="http://www.w3.org/2000/svg"/>',
    '<?xml version="1.0"?><svg/>',
    '%PDF-1.7',
    'BM',
    'GIF89a',
  ];
  return [
    image('', 'EMPTY'),
    // The data: URL that a browser creates for an empty file.
    image('data:image/png;base64,', 'EMPTY'),
    image('not base64!', 'UNREADABLE'),
    image('data:image/png,plain', 'UNREADABLE'),
    image('data:image/png;base64,@@@', 'UNREADABLE'),
    image(`data:image/svg+xml;base64,${Buffer.from('<svg/>').toString('base64')}`, 'UNREADABLE'),
    ...foreign.map((text) => bytes(Buffer.from(text), 'UNREADABLE')),
    ...others.map((other) => bytes(other, 'UNREADABLE')),
    ...headers.map((header) => image(base64(...header), 'UNREADABLE')),
    ...truncated,
    bytes(Buffer.concat([png.subarray(0, 8), jpeg]), 'UNREADABLE'),
    bytes(withClaimedSize(png, 0, 16), 'UNREADABLE'),
    bytes(withClaimedSize(png, 4_999, 4_999), 'UNREADABLE'),
    bytes(pixelBomb(17_000, 17_000), 'TOO_LARGE'),
    bytes(pixelBomb(30_000, 30_000), 'TOO_LARGE'),
    bytes(withClaimedSize(jpeg, 17_000, 17_000), 'TOO_LARGE'),
    bytes(withClaimedSize(webp, 16_383, 16_383), 'TOO_LARGE'),
  ];
}

const FLAT = Array.from({ length: 100 }, () => 0.5);

function tensor(change: Readonly<Record<string, unknown>>, code: string, path: string): BadInput {
  const good = { name: 'input', datatype: 'FP32', shape: [1, 100], data: FLAT };
  return { model: 'fashion-mlp', input: { tensors: [{ ...good, ...change }] }, code, path: `tensors/${path}` };
}

const at = (index: number, value: unknown) => FLAT.with(index, value as number);

export const BAD_TENSORS: readonly BadInput[] = [
  { model: 'fashion-mlp', input: { tensors: [] }, code: 'MISSING', path: 'tensors' },
  tensor({ name: 'inputs' }, 'UNKNOWN_NAME', '0/name'),
  {
    model: 'fashion-mlp',
    input: { tensors: [1, 2].map(() => ({ name: 'input', datatype: 'FP32', shape: [1, 100], data: FLAT })) },
    code: 'UNKNOWN_NAME',
    path: 'tensors/1/name',
  },
  tensor({ datatype: 'FP64' }, 'WRONG_TYPE', '0/datatype'),
  tensor({ datatype: 'fp32' }, 'WRONG_TYPE', '0/datatype'),
  tensor({ shape: [100] }, 'WRONG_SHAPE', '0/shape'),
  tensor({ shape: [] }, 'WRONG_SHAPE', '0/shape'),
  tensor({ shape: [1, 99] }, 'WRONG_SHAPE', '0/shape/1'),
  tensor({ shape: [-1, 100] }, 'WRONG_SHAPE', '0/shape/0'),
  tensor({ shape: [0, 100], data: [] }, 'WRONG_SHAPE', '0/shape/0'),
  tensor({ shape: [2, 100], data: [...FLAT, ...FLAT] }, 'WRONG_SHAPE', '0/shape/0'),
  tensor({ data: FLAT.slice(1) }, 'WRONG_SHAPE', '0/data'),
  tensor({ data: 'AAAA' }, 'WRONG_TYPE', '0/data'),
  tensor({ data: { 0: 1 } }, 'WRONG_TYPE', '0/data'),
  tensor({ data: [[FLAT]] }, 'WRONG_SHAPE', '0/data/0'),
  tensor({ data: [FLAT.with(9, [0.5] as never)] }, 'WRONG_TYPE', '0/data/9'),
  tensor({ data: at(7, '0.5') }, 'WRONG_TYPE', '0/data/7'),
  tensor({ data: at(8, null) }, 'WRONG_TYPE', '0/data/8'),
  tensor({ data: at(9, [0.5]) }, 'WRONG_SHAPE', '0/data'),
  tensor({ data: at(4, 1e300) }, 'OUT_OF_RANGE', '0/data/4'),
  tensor({ data: null }, 'MISSING', '0'),
  tensor({ base64: 'AAAA' }, 'WRONG_KIND', '0'),
  tensor({ data: null, base64: '!!' }, 'UNREADABLE', '0/base64'),
  tensor({ data: null, base64: bytesOf(new Float32Array(99)) }, 'WRONG_SHAPE', '0/base64'),
  tensor({ data: null, base64: bytesOf(new Float64Array(100)) }, 'WRONG_SHAPE', '0/base64'),
  tensor({ shape: [0, 100], data: null, base64: '' }, 'WRONG_SHAPE', '0/shape/0'),
  tensor({ shape: [2 ** 31 - 1, 100] }, 'WRONG_SHAPE', '0/data'),
  tensor({ shape: [2 ** 31 - 1, 2 ** 31 - 1] }, 'WRONG_SHAPE', '0/shape/1'),
  tensor({ shape: Array(1_000).fill(2 ** 31 - 1) }, 'WRONG_SHAPE', '0/shape'),
  tensor({ data: null, base64: bytesOf(new Float32Array(100).fill(Number.NaN, 3, 4)) }, 'NOT_FINITE', '0/base64/3'),
  // A signaling NaN with a payload: 0xff800001.
  tensor(
    {
      data: null,
      base64: Buffer.alloc(400)
        .fill(Buffer.from([1, 0, 0x80, 0xff]), 396)
        .toString('base64'),
    },
    'NOT_FINITE',
    '0/base64/99',
  ),
  tensor(
    { data: null, base64: bytesOf(new Float32Array(100).fill(Number.POSITIVE_INFINITY, 5, 6)) },
    'NOT_FINITE',
    '0/base64/5',
  ),
  {
    ...tensor({}, 'NOT_FINITE', '0/data/2'),
    input: undefined,
    raw: `{"tensors":[{"name":"input","datatype":"FP32","shape":[1,100],"data":[0,0,1e999${',0'.repeat(97)}]}]}`,
  },
];

function division(a: Readonly<Record<string, unknown>>, code: string, path: string): BadInput {
  const tensors = ['a', 'b'].map((name) => ({
    name,
    datatype: 'INT32',
    shape: [1],
    data: [1],
    ...(name === 'a' ? a : {}),
  }));
  return { model: 'division', input: { tensors }, code, path: `tensors/${path}` };
}

function values(
  model: 'longs' | 'flags',
  change: Readonly<Record<string, unknown>>,
  code: string,
  path: string,
): BadInput {
  const good = { name: 'x', datatype: model === 'longs' ? 'INT64' : 'BOOL', shape: [2], data: [1, 0] };
  return { model, input: { tensors: [{ ...good, ...change }] }, code, path: `tensors/${path}` };
}

function longs(json: string, code: string): BadInput {
  const raw = `{"tensors":[{"name":"x","datatype":"INT64","shape":[2],"data":[1,${json}]}]}`;
  return { model: 'longs', raw, code, path: 'tensors/0/data/1' };
}

function words(change: Readonly<Record<string, unknown>>, code: string, path: string): BadInput {
  const good = { name: 'words', datatype: 'BYTES', shape: [1], data: ['a'] };
  return { model: 'words', input: { tensors: [{ ...good, ...change }] }, code, path: `tensors/${path}` };
}

export const BAD_TYPED_TENSORS: readonly BadInput[] = [
  division({ data: [1.5] }, 'WRONG_TYPE', '0/data/0'),
  division({ data: [2 ** 31] }, 'OUT_OF_RANGE', '0/data/0'),
  division({ data: ['9'.repeat(15)] }, 'OUT_OF_RANGE', '0/data/0'),
  division({ data: [2 ** 60] }, 'OUT_OF_RANGE', '0/data/0'),
  division({ data: ['one'] }, 'WRONG_TYPE', '0/data/0'),
  division({ shape: [2], data: [1, 2] }, 'WRONG_SHAPE', '1/shape/0'),
  division({ data: null, base64: 'AAA=' }, 'WRONG_SHAPE', '0/base64'),
  {
    model: 'division',
    input: { tensors: [{ name: 'a', datatype: 'INT32', shape: [1], data: [1] }] },
    code: 'MISSING',
    path: 'tensors',
  },
  values('longs', { data: [1, 2 ** 53] }, 'OUT_OF_RANGE', '0/data/1'),
  values('longs', { data: [1, -(2 ** 63)] }, 'OUT_OF_RANGE', '0/data/1'),
  // As JSON numbers, these lose their last digits when they are parsed.
  longs('9007199254740993', 'OUT_OF_RANGE'),
  longs('-9007199254740993', 'OUT_OF_RANGE'),
  longs('9223372036854775807', 'OUT_OF_RANGE'),
  longs('1e999', 'NOT_FINITE'),
  longs('1.5', 'WRONG_TYPE'),
  values('longs', { data: [1, '9223372036854775808'] }, 'OUT_OF_RANGE', '0/data/1'),
  values('longs', { data: [1, '0x10'] }, 'WRONG_TYPE', '0/data/1'),
  values('longs', { data: [1, true] }, 'WRONG_TYPE', '0/data/1'),
  values('longs', { data: null, base64: base64(...Array(15).fill(0)) }, 'WRONG_SHAPE', '0/base64'),
  values('flags', { data: [1, 2] }, 'OUT_OF_RANGE', '0/data/1'),
  values('flags', { data: [true, 'false'] }, 'WRONG_TYPE', '0/data/1'),
  values('flags', { data: null, base64: base64(0, 7) }, 'OUT_OF_RANGE', '0/base64/1'),
  words({ data: [1] }, 'WRONG_TYPE', '0/data/0'),
  words({ shape: [2], data: ['a', 'b\0'] }, 'UNREADABLE', '0/data/1'),
  words({ data: null, base64: 'YQ==' }, 'WRONG_KIND', '0/base64'),
  {
    ...words({}, 'UNREADABLE', '0/data/0'),
    input: undefined,
    raw: '{"tensors":[{"name":"words","datatype":"BYTES","shape":[1],"data":["\\udfff"]}]}',
  },
];

const GOOD_TEXT = { text: 'hello' };

export const BAD_OPTIONS: readonly BadInput[] = [
  { model: 'spam-filter', input: GOOD_TEXT, more: { deadlineMs: 0 }, code: 'OUT_OF_RANGE', path: '/deadlineMs' },
  { model: 'spam-filter', input: GOOD_TEXT, more: { deadlineMs: -5 }, code: 'OUT_OF_RANGE', path: '/deadlineMs' },
  {
    model: 'spam-filter',
    input: GOOD_TEXT,
    more: { deadlineMs: 3_600_001 },
    code: 'OUT_OF_RANGE',
    path: '/deadlineMs',
  },
  { model: 'spam-filter', input: GOOD_TEXT, more: { idempotencyKey: '' }, code: 'EMPTY', path: '/idempotencyKey' },
  {
    model: 'spam-filter',
    input: GOOD_TEXT,
    more: { idempotencyKey: 'k'.repeat(201) },
    code: 'TOO_LARGE',
    path: '/idempotencyKey',
  },
  {
    model: 'spam-filter',
    input: GOOD_TEXT,
    more: { idempotencyKey: 'k', record: false },
    code: 'WRONG_KIND',
    path: '/idempotencyKey',
  },
  {
    model: 'spam-filter',
    input: GOOD_TEXT,
    more: { idempotencyKey: '\ud800' },
    code: 'UNREADABLE',
    path: '/idempotencyKey',
  },
  { model: '', input: GOOD_TEXT, code: 'EMPTY', path: '/model' },
  { model: 'Spam Filter', input: GOOD_TEXT, code: 'UNREADABLE', path: '/model' },
  { model: 'spam-filter@', input: GOOD_TEXT, code: 'UNREADABLE', path: '/model' },
  { model: '../../etc/passwd', input: GOOD_TEXT, code: 'UNREADABLE', path: '/model' },
];
