/**
 * fast-check arbitraries for inputs of every kind: any bytes as an image, any row, any tensors. About half of them
 * are valid enough to be answered. `texts.ts` has those with texts.
 */
import { Buffer } from 'node:buffer';
import fc, { type Arbitrary } from 'fast-check';
import { VOCABULARY } from '../../support/hugging-face/text-folder.ts';
import { seeded } from '../../support/seeded-random.ts';
import { dress, mutateOnce } from '../fuzz/images.ts';
import { raw } from '../fuzz/values.ts';
import { pieces } from './texts.ts';

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

// ── images ──

const MAGIC = ['', 'ffd8ff', '89504e470d0a1a0a', '5249464600000000574542505650', '47494638', '00'];

/** An image with several changes, or random bytes with or without the signature of a format. */
export const imageInput = (images: readonly Buffer[]) =>
  fc
    .tuple(
      fc.oneof(
        {
          weight: 8,
          arbitrary: fc
            .tuple(fc.constantFrom(...images.keys()), fc.oneof(fc.constant([]), fc.array(fc.nat(), { maxLength: 3 })))
            .map(([i, changes]) =>
              changes.reduce((bytes, seed) => mutateOnce(seeded(seed), bytes, images), images[i] as Buffer),
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

// ── files ──

/** A short file, empty now and then. */
export const fileInput = fc
  .tuple(fc.uint8Array({ maxLength: 100 }), fc.constantFrom('', 'data:text/plain;base64,', 'data:,'))
  .map(([bytes, prefix]) => prefix + Buffer.from(bytes).toString('base64'));

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
