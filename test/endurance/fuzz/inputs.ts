/** Requests with a valid document and malformed variables: rows, texts, questions, images, tensors and arbitrary JSON. */
import { Buffer } from 'node:buffer';
import { OUTPUT, SPAN } from '../../support/output-selection.ts';
import { below, list, pick, type Random } from '../../support/seeded-random.ts';
import { mutateImage } from './images.ts';
import type { Material } from './material.ts';
import { mutateJson, oddJson, oddNumber, oddWord, raw, toJson } from './values.ts';

export interface TensorSpec {
  readonly name: string;
  readonly datatype: string;
  readonly shape: readonly (number | null)[];
}

/** A model and a valid input for it. */
export interface Target {
  readonly ref: string;
  readonly example: Readonly<Record<string, unknown>>;
  readonly inputs: readonly TensorSpec[];
}

const PAYLOAD = `{
  prediction {
    id recorded createdAt input predictedBy { ref } timing { totalMs batchSize } runtime { executionProvider }
    ${OUTPUT}
  }
  problem {
    __typename code message retryable retryAfterMs
    ... on InvalidInput { problems { path code message expected received } }
    ... on InferenceFailed { reason }
    ... on DeadlineExceeded { phase }
  }
  replayed
}`;
const PREDICT = `mutation ($input: PredictInput!) { predict(input: $input) ${PAYLOAD} } ${SPAN}`;
const PREDICT_MANY = `mutation ($input: PredictManyInput!) {
  predictMany(input: $input) { results ${PAYLOAD} problem { code message ... on InvalidInput { problems { path code } } } }
} ${SPAN}`;
const PREDICT_ROWS = `mutation ($input: PredictManyInput!) {
  predictMany(input: $input) {
    columns {
      count ids labels scores classScores values tensors { name datatype shape data base64 nonFinite { kind indices } }
      problems { row problem { __typename code message ... on InvalidInput { problems { path code message expected received } } } }
    }
    results { problem { code message } }
    problem { code message ... on InvalidInput { problems { path code } } }
  }
}`;
const HUGE_ROW_COLUMNS = 10_000;

/** The body of a request, with the variables first, so that a sample cut to 500 characters shows them. */
export function makeInput(random: Random, material: Material): string {
  const kind = random();
  if (kind < 0.2) {
    const { query, variables } = pick(random, material.operations);
    return toJson({ variables: mutateJson(random, variables), query });
  }
  if (kind < 0.9) return toJson({ variables: { input: request(random, material) }, query: PREDICT });
  const target = pick(random, material.targets);
  const { input: _, idempotencyKey: __, ...rest } = request(random, material);
  if (kind < 0.94) {
    const model = random() < 0.97 ? target.ref : rest['model'];
    return toJson({ variables: { input: { ...rest, model, rows: rows(random, target) } }, query: PREDICT_ROWS });
  }
  const inputs = list(random, 12, () => modelInput(random, material, pick(random, material.targets)));
  return toJson({ variables: { input: { ...rest, inputs } }, query: PREDICT_MANY });
}

function request(random: Random, material: Material): Record<string, unknown> {
  const target = pick(random, material.targets);
  const model = random() < 0.97 ? target.ref : random() < 0.5 ? oddWord(random) : pick(random, material.harvest.names);
  const options: Record<string, unknown> = { record: random() < 0.5 };
  if (random() < 0.05) options['deadlineMs'] = oddNumber(random);
  if (random() < 0.05) options['idempotencyKey'] = oddWord(random);
  if (random() < 0.05) options['priority'] = pick(random, ['HIGH', 'LOW', 'NORMAL', 'low', null]);
  const whole = { model, input: modelInput(random, material, target), ...options };
  return random() < 0.03 ? { ...whole, [oddWord(random)]: oddJson(random) } : whole;
}

/** An input, usually of the kind that the model accepts. */
function modelInput(random: Random, { images }: Material, { example, inputs }: Target): unknown {
  const kind = random();
  if (kind < 0.25) return { tensors: tensors(random, inputs) };
  if (kind < 0.3) return { image: { base64: mutateImage(random, images) } };
  if ('image' in example) return { image: { base64: mutateImage(random, images) } };
  if ('row' in example) return { row: row(random, example['row'] as Record<string, unknown>) };
  if ('text' in example) return { text: text(random, example['text'] as string) };
  for (const key of ['question', 'similarity', 'zeroShot', 'ranking'] as const)
    if (key in example) return { [key]: texts(random, example[key] as Record<string, unknown>) };
  return random() < 0.5 ? { tensors: tensors(random, inputs) } : mutateJson(random, example);
}

/** Rows that are sent together. */
function rows(random: Random, { example, inputs }: Target): unknown {
  const kind = random();
  if (kind < 0.05) return mutateJson(random, { columns: { a: [1] } });
  if (!('row' in example) || kind < 0.3) return { tensors: tensors(random, inputs) };
  const good = example['row'] as Readonly<Record<string, unknown>>;
  const count = 1 + below(random, 20);
  const made = Array.from({ length: count }, () => row(random, good) as Readonly<Record<string, unknown>>);
  const names = random() < 0.9 ? Object.keys(good) : list(random, 5, () => oddWord(random));
  const columns = Object.fromEntries(names.map((name) => [name, made.map((one) => one?.[name] ?? null)]));
  if (random() < 0.1) columns[pick(random, names.length > 0 ? names : ['a'])] = oddJson(random) as never;
  return random() < 0.05 ? { columns, tensors: tensors(random, inputs) } : { columns };
}

function row(random: Random, good: Readonly<Record<string, unknown>>): unknown {
  if (random() < 0.01)
    return Object.fromEntries(Array.from({ length: HUGE_ROW_COLUMNS }, (_, i) => [`column ${i}`, i]));
  if (random() < 0.3) return mutateJson(random, good);
  const values = { ...good };
  for (const name of list(random, 3, () => pick(random, Object.keys(good)))) values[name] = oddScalar(random);
  return random() < 0.2 ? Object.fromEntries([...Object.entries(values), [oddWord(random), 1]]) : values;
}

function oddScalar(random: Random): unknown {
  const kind = below(random, 5);
  if (kind === 0) return oddWord(random);
  if (kind === 1) return raw(pick(random, ['infinity', 'minusInfinity', 'beyondSafe', 'manyDigits', 'minusZero']));
  if (kind === 2) return pick(random, [null, true, false, [], {}, '0', [0.5]]);
  return oddNumber(random);
}

function text(random: Random, good: string): string {
  const at = below(random, good.length + 1);
  const kind = random();
  if (kind < 0.01) return good.repeat(20_000);
  if (kind < 0.05) return good.repeat(below(random, 600));
  if (kind < 0.3) return oddWord(random);
  return good.slice(0, at) + list(random, 4, () => oddWord(random)).join('') + good.slice(at);
}

/** Changes one or two texts of an input with several texts, or the structure around them. */
function texts(random: Random, good: Readonly<Record<string, unknown>>): unknown {
  if (random() < 0.2) return mutateJson(random, good);
  const changed = (value: unknown): unknown => {
    if (random() < 0.4) return value;
    if (typeof value === 'string') return text(random, value);
    if (typeof value === 'boolean') return !value;
    return Array.isArray(value)
      ? [...value.map(changed), ...list(random, random() < 0.05 ? 300 : 2, () => oddWord(random))]
      : value;
  };
  return Object.fromEntries(Object.entries(good).map(([key, value]) => [key, changed(value)]));
}

const DATATYPES = [
  'FP32',
  'FP64',
  'FP16',
  'INT8',
  'INT64',
  'UINT64',
  'BOOL',
  'BYTES',
  'fp32',
  '',
  '__proto__',
  'toString',
];
const SIZES = [0, 1, 2, 3, 10, 99, 100, -1, -(2 ** 31), 65_536, 2 ** 31 - 1];
const MOST_VALUES = 4_096;

function tensors(random: Random, inputs: readonly TensorSpec[]): unknown {
  const made = inputs.map((spec) => tensor(random, spec));
  if (random() < 0.05) return [...made, ...made];
  return random() < 0.05 ? mutateJson(random, made) : made;
}

function tensor(random: Random, { name, datatype, shape }: TensorSpec): unknown {
  const sizes = shape.map((size) => size ?? 1 + below(random, 4));
  const count = Math.min(
    MOST_VALUES,
    sizes.reduce((product, size) => product * size, 1),
  );
  const good = { name, datatype, shape: sizes, ...values(random, datatype, count, sizes) };
  if (random() < 0.5) return good;
  const changes: readonly (() => Record<string, unknown>)[] = [
    () => ({ name: oddWord(random) }),
    () => ({ datatype: pick(random, DATATYPES) }),
    () => ({ shape: sizes.map((size) => (random() < 0.5 ? size : pick(random, SIZES))) }),
    () => ({ shape: list(random, 8, () => pick(random, SIZES)) }),
    () => ({ shape: Array(1_000).fill(pick(random, [1, 2, 2 ** 31 - 1])) }),
    () => ({ data: oddJson(random) }),
    () => ({ data: raw('deepLists') }),
    () => ({ base64: oddWord(random) }),
    () => ({ data: null, base64: null }),
    () => ({ data: [], base64: '' }),
  ];
  return { ...good, ...pick(random, changes)() };
}

function values(random: Random, datatype: string, count: number, sizes: readonly number[]): Record<string, unknown> {
  if (datatype !== 'BYTES' && random() < 0.4) return { base64: payload(random, datatype, count) };
  const flat: unknown[] = Array.from({ length: count }, (_, i) => goodValue(datatype, i));
  for (let changes = below(random, 3); changes > 0 && count > 0; changes--)
    flat[below(random, count)] = oddScalar(random);
  if (random() < 0.1) flat.pop();
  return { data: random() < 0.3 ? nested(flat, sizes) : flat };
}

function goodValue(datatype: string, i: number): unknown {
  if (datatype === 'BYTES') return `word ${i}`;
  return datatype === 'BOOL' ? i % 2 === 0 : i;
}

function nested(flat: readonly unknown[], sizes: readonly number[]): unknown {
  const [, ...inner] = sizes;
  if (inner.length === 0) return flat;
  const step = inner.reduce((product, size) => product * size, 1);
  return Array.from({ length: sizes[0] as number }, (_, i) => nested(flat.slice(i * step, (i + 1) * step), inner));
}

/** Random bytes, which include NaN, infinities and subnormal numbers. */
function payload(random: Random, datatype: string, count: number): string {
  const width = datatype === 'BOOL' ? 1 : /64$/.test(datatype) ? 8 : 4;
  const wrong = random() < 0.1 ? below(random, 9) - 4 : 0;
  const bytes = Buffer.alloc(Math.max(0, count * width + wrong));
  const isWild = random() < 0.3;
  for (let i = 0; i < bytes.length; i++) bytes[i] = isWild ? below(random, 256) : below(random, 2);
  const text = bytes.toString('base64');
  if (random() < 0.85) return text;
  return pick(random, [
    text.slice(1),
    text.slice(0, -1),
    `${text}AAAA`,
    `${text}=`,
    ` ${text}`,
    text.replaceAll('A', '-'),
  ]);
}
