/** The dearest requests that run models: for each model and each key of its input, the largest input, alone and in lists. */
import {
  type GraphQLInputObjectType,
  type GraphQLObjectType,
  type GraphQLSchema,
  getNamedType,
  isLeafType,
  isUnionType,
} from 'graphql';
import sharp from 'sharp';
import type { Audited, AuditRequest } from './requests.ts';

export interface Subject {
  readonly model: string;
  readonly example: Readonly<Record<string, unknown>>;
  readonly inputs: readonly {
    readonly name: string;
    readonly datatype: string;
    readonly shape: readonly (number | null)[];
  }[];
  /** The type of its answer. */
  readonly output: string;
}

const COUNTS = [1_000, 300, 100, 30, 10, 3, 1];
/** Of one variable in a list literal; as many as the tokens of a document allow. */
const PLACES = [440, 100, 20, 5, 1];
const OUTPUT_ALIASES = [45, 15, 5, 1];
const LONGEST = 100_000;
const MAX_BODY_BYTES = 16_000_000;

export async function auditPredictions(schema: GraphQLSchema, subjects: readonly Subject[]): Promise<Audited[]> {
  const audited: Audited[] = [];
  for (const subject of subjects) {
    audited.push(...rowsOf(schema, subject));
    for (const { kind, input, isVariation, isLarge } of await inputsOf(schema, subject)) {
      const name = `predictMany ${subject.model} ${kind}`;
      audited.push({ name, sizes: countsOf(input).map((count) => () => many(name, subject, input, count)) });
      if (!isVariation) {
        const places = `predictMany ${subject.model} ${kind}, one variable in many places`;
        audited.push({ name: places, sizes: PLACES.map((count) => () => inPlaces(places, subject, input, count)) });
      }
      if (isLarge) continue;
      const fields = outputFields(schema, subject.output);
      // The fields do not depend on what is in a text, so one is enough for the other texts.
      for (const field of isVariation ? fields.slice(0, 1) : fields) {
        const one = `predict ${subject.model} ${kind} ${subject.output}.${field.name}`;
        audited.push({
          name: one,
          sizes: OUTPUT_ALIASES.map((aliases) => () => outputRequest(one, subject, input, field.text, aliases)),
        });
      }
      if (isVariation) continue;
      const echo = `predict ${subject.model} ${kind} Prediction.input`;
      audited.push({
        name: echo,
        sizes: OUTPUT_ALIASES.map((aliases) => () => echoRequest(echo, subject, input, aliases)),
      });
    }
  }
  return audited;
}

const ROW_COUNTS = [1_000, 300, 100, 30, 10, 3, 1];
const COLUMN_ALIASES = [45, 15, 5, 1];

/** Rows that are sent together: each field of the columns, and the results. */
function rowsOf(schema: GraphQLSchema, { model, example, inputs }: Subject): Audited[] {
  const isFloat = inputs.every(({ datatype }) => datatype.startsWith('FP'));
  const kinds: [kind: string, rows: (count: number) => unknown][] = [
    ...(isFloat
      ? [
          [
            'tensors, one bad value',
            (count: number) => ({ tensors: inputs.map((tensor) => stacked(tensor, count, 0xff)) }),
          ] as const,
        ]
      : []
    ).map(([kind, rows]): [string, (count: number) => unknown] => [kind, rows]),

    ['tensors', (count) => ({ tensors: inputs.map((tensor) => stacked(tensor, count)) })],
  ];
  const row = example['row'] as Readonly<Record<string, unknown>> | undefined;
  if (row) {
    const columns = (count: number, value: (name: string) => unknown) =>
      Object.fromEntries(Object.keys(row).map((name) => [name, Array.from({ length: count }, () => value(name))]));
    kinds.push(['columns', (count) => ({ columns: columns(count, (name) => row[name]) })]);
    kinds.push(['columns, one bad value', (count) => ({ columns: withBadValue(columns(count, (name) => row[name])) })]);
    kinds.push(['bad columns', (count) => ({ columns: columns(count, () => 'x'.repeat(50)) })]);
  }
  const columns = schema.getType('PredictionColumns') as GraphQLObjectType;
  const fields = Object.values(columns.getFields());
  return kinds.flatMap(([kind, make]) => {
    const name = `predictMany rows ${model} ${kind}`;
    const request = (query: string, count: number, record: boolean): AuditRequest => ({
      name,
      query: `mutation ($input: PredictManyInput!) { predictMany(input: $input) { ${query} problem { code } } }`,
      variables: { input: { model, rows: make(count), record } },
    });
    const all = `columns { ${fields.map((field) => selection(columns, field.name)).join(' ')} }`;
    const ofField = (field: string, aliases: number) =>
      `columns { ${Array.from({ length: aliases }, (_, i) => `a${i}: ${selection(columns, field)}`).join(' ')} }`;
    return [
      { name: `${name}, all columns`, sizes: ROW_COUNTS.map((count) => () => request(all, count, false)) },
      { name: `${name}, recorded`, sizes: ROW_COUNTS.map((count) => () => request('columns { ids }', count, true)) },
      {
        name: `${name}, results`,
        sizes: ROW_COUNTS.map(
          (count) => () => request('results { prediction { id truncated } problem { code } }', count, false),
        ),
      },
      ...fields.map((field) => ({
        name: `${name}, ${field.name}`,
        sizes: COLUMN_ALIASES.map((aliases) => () => request(ofField(field.name, aliases), 1_000, false)),
      })),
    ];
  });
}

function withBadValue(columns: Readonly<Record<string, unknown[]>>): unknown {
  const [first] = Object.keys(columns);
  return { ...columns, ...(first && { [first]: [{}, ...(columns[first] ?? []).slice(1)] }) };
}

/** As many rows as asked for, if they fit into a body. `firstBytes`: of the first value. */
function stacked({ name, datatype, shape }: Subject['inputs'][number], count: number, firstBytes = 0) {
  const perRow = shape.slice(1).reduce<number>((product, size) => product * (size ?? 1), 1);
  const width = DATATYPE_BYTES[datatype] ?? 1;
  const rows = Math.max(1, Math.min(count, Math.floor(MAX_BODY_BYTES / 2 / perRow / width)));
  const sizes = [rows, ...shape.slice(1).map((size) => size ?? 1)];
  if (datatype === 'BYTES')
    return { name, datatype, shape: sizes, data: Array.from({ length: rows * perRow }, () => 'a') };
  const bytes = Buffer.alloc(rows * perRow * width);
  // All ones are NaN.
  return { name, datatype, shape: sizes, base64: bytes.fill(firstBytes, 0, width).toString('base64') };
}

/** How many of an input fit into a body. */
function countsOf(input: unknown): number[] {
  const bytes = JSON.stringify(input).length;
  return COUNTS.filter((count) => bytes * count <= MAX_BODY_BYTES);
}

function many(name: string, { model }: Subject, input: unknown, count: number): AuditRequest {
  const query =
    'mutation ($input: PredictManyInput!) { predictMany(input: $input) { results { prediction { id truncated } problem { code } } problem { code } } }';
  const inputs = Array.from({ length: count }, () => input);
  return { name, query, variables: { input: { model, inputs, record: false } } };
}

/** The same input as `many`, sent once: the body is small, and everything that reads each place is multiplied. */
function inPlaces(name: string, { model }: Subject, input: unknown, count: number): AuditRequest {
  const places = Array.from({ length: count }, () => '$input').join(' ');
  const query = `mutation ($input: ModelInput!) { predictMany(input: { model: "${model}", record: false, inputs: [${places}] }) { results { problem { code message } } problem { code } } }`;
  return { name, query, variables: { input } };
}

function outputRequest(
  name: string,
  { model, output }: Subject,
  input: unknown,
  field: string,
  aliases: number,
): AuditRequest {
  const fields = Array.from({ length: aliases }, (_, i) => `a${i}: ${field}`).join(' ');
  const query = `mutation ($input: PredictInput!) { predict(input: $input) { prediction { output { ... on ${output} { ${fields} } } } problem { code } } }`;
  return { name, query, variables: { input: { model, input, record: false } } };
}

function echoRequest(name: string, { model }: Subject, input: unknown, aliases: number): AuditRequest {
  const fields = Array.from({ length: aliases }, (_, i) => `a${i}: input`).join(' ');
  const query = `mutation ($input: PredictInput!) { predict(input: $input) { prediction { ${fields} } problem { code } } }`;
  return { name, query, variables: { input: { model, input, record: true } } };
}

export interface StoredPrediction {
  readonly id: string;
  readonly model: string;
  /** The type of its answer. */
  readonly output: string;
}

/** The input of each stored prediction, and each field of its answer. */
export function auditStored(schema: GraphQLSchema, stored: readonly StoredPrediction[]): Audited[] {
  return stored.flatMap(({ id, model, output }) => {
    const ofOutput = outputFields(schema, output).map(({ name, text }) => ({
      name: `stored ${model} ${output}.${name}`,
      select: (aliased: (field: string) => string) => `output { ... on ${output} { ${aliased(text)} } }`,
    }));
    const input = {
      name: `stored ${model} Prediction.input`,
      select: (aliased: (field: string) => string) => aliased('input'),
    };
    return [...ofOutput, input].map(({ name, select }) => ({
      name,
      sizes: OUTPUT_ALIASES.map((count) => () => {
        const aliased = (field: string) => Array.from({ length: count }, (_, i) => `a${i}: ${field}`).join(' ');
        const query = `query ($id: ID!) { prediction(id: $id) { ${select(aliased)} } }`;
        return { name, query, variables: { id } };
      }),
    }));
  });
}

/** The fields of a type of answer, each with everything below it. */
function outputFields(schema: GraphQLSchema, output: string): { name: string; text: string }[] {
  const union = schema.getType('Output');
  const type = isUnionType(union) ? union.getTypes().find(({ name }) => name === output) : undefined;
  return Object.values(type?.getFields() ?? {}).map((field) => ({
    name: field.name,
    text: selection(type as GraphQLObjectType, field.name),
  }));
}

function selection(type: GraphQLObjectType, name: string): string {
  const field = type.getFields()[name];
  const below = field && getNamedType(field.type);
  const args = field?.args.some((arg) => arg.name === 'first')
    ? `(first: ${type.name === 'Fillings' ? 20 : 2_000_000_000})`
    : '';
  const every = field?.args.some((arg) => arg.name === 'aggregation')
    ? '(aggregation: NONE)'
    : field?.args.some((arg) => arg.name === 'threshold')
      ? '(threshold: 0.05)'
      : args;
  if (!below || isLeafType(below)) return name;
  const object = below as GraphQLObjectType;
  return `${name}${every} { ${Object.keys(object.getFields())
    .map((one) => selection(object, one))
    .join(' ')} }`;
}

interface LargeInput {
  readonly kind: string;
  readonly input: unknown;
  /** Whether it is like another one, with other characters. */
  readonly isVariation?: boolean;
  /** Whether it fills a body, so that it is not worth asking about each field of its answer. */
  readonly isLarge?: boolean;
}

/** The largest input for each key that the model takes. */
async function inputsOf(schema: GraphQLSchema, subject: Subject): Promise<LargeInput[]> {
  const { example, inputs } = subject;
  const [key = 'tensors'] = Object.keys(example);
  const fields = Object.keys((schema.getType('ModelInput') as GraphQLInputObjectType).getFields());
  if (!fields.includes(key)) throw new Error(`ModelInput has no key ${key}`);
  const tensors = (['one row', 'many rows'] as const).map((rows) => ({
    kind: `tensors, ${rows}`,
    input: { tensors: inputs.map((tensor) => largestTensor(tensor, inputs, rows)) },
  }));
  return [...(await inputsOfKey(key, subject)), ...tensors];
}

async function inputsOfKey(key: string, { model, example, output }: Subject): Promise<LargeInput[]> {
  if (key === 'row') {
    const wide = Object.fromEntries(Array.from({ length: 10_000 }, (_, i) => [`c${i}`, i]));
    return [
      { kind: 'example', input: example },
      { kind: 'of 10,000 columns', input: { row: wide } },
      { kind: 'with a key of 15 MB', input: { row: { ['k'.repeat(15_000_000)]: 1 } }, isLarge: true },
    ];
  }
  if (key === 'text') {
    // A token for each character gives the most spans.
    const usual = output === 'Tokens' ? [...USUAL_TEXTS, 'punctuation'] : USUAL_TEXTS;
    const chosen = Object.entries(TEXTS).filter(([kind]) => model.startsWith('tokenizer-') || usual.includes(kind));
    return chosen.map(([kind, text]) => ({ kind, input: { text }, isVariation: !USUAL_TEXTS.includes(kind) }));
  }
  const words = TEXTS['words'] ?? '';
  if (key === 'question') return [{ kind: 'words', input: { question: { question: 'where', context: words } } }];
  if (key === 'similarity') {
    const sentences = Array.from({ length: 256 }, () => words.slice(0, 2_000));
    return [{ kind: '256 sentences', input: { similarity: { source: 'a', sentences } } }];
  }
  if (key === 'ranking') {
    const documents = Array.from({ length: 256 }, () => words.slice(0, 2_000));
    return [{ kind: '256 documents', input: { ranking: { query: 'a', documents } } }];
  }
  if (key === 'zeroShot') {
    const labels = Array.from({ length: 100 }, (_, i) => `label ${i}`);
    return [{ kind: '100 labels', input: { zeroShot: { text: words, labels } } }];
  }
  if (key !== 'image') return [];
  const flat = sharp({ create: { width: 5_000, height: 5_000, channels: 3, background: '#888' } });
  return [
    {
      kind: 'flat PNG of 25 MP',
      input: { image: { base64: (await flat.png().toBuffer()).toString('base64') } },
    },
    { kind: 'example', input: example },
  ];
}

/** Those that all models are asked about; the others only tell tokenizers apart. */
const USUAL_TEXTS: readonly string[] = ['words', 'one word', 'short'];

/** Texts of the maximum length, by what a tokenizer makes of them, and a short one. */
const TEXTS: Readonly<Record<string, string>> = {
  words: 'model '.repeat(LONGEST / 6),
  'one word': 'a'.repeat(LONGEST),
  'long words': `${'a'.repeat(999)} `.repeat(LONGEST / 1_000),
  letters: 'a '.repeat(LONGEST / 2),
  punctuation: '!?'.repeat(LONGEST / 2),
  ideographs: '漢字'.repeat(LONGEST / 2),
  'Hangul syllables': '한국'.repeat(LONGEST / 2),
  'Cyrillic letters': 'ж ш '.repeat(LONGEST / 4),
  emoji: '🙂'.repeat(LONGEST / 2),
  'characters that expand': '\u{fdfa}'.repeat(LONGEST),
  'some characters that expand': '\u{fdfa}'.repeat(LONGEST / 20),
  short: 'good',
};

/** Within the limit of values of a body. More values are sent as base64. */
const MAX_TENSOR_VALUES = 200_000;

function largestTensor(
  { name, datatype, shape }: Subject['inputs'][number],
  { length: tensors }: Subject['inputs'],
  rows: 'one row' | 'many rows',
) {
  const isOpen = (i: number) => shape[i] === null && (i > 0 || rows === 'many rows');
  const known = shape.reduce<number>((product, size) => product * (size ?? 1), 1);
  const open = shape.filter((_, i) => isOpen(i)).length;
  const size = Math.max(1, Math.floor((MAX_TENSOR_VALUES / tensors / known) ** (1 / Math.max(1, open))));
  const sizes = shape.map((given, i) => given ?? (isOpen(i) ? size : 1));
  const count = sizes.reduce((product, one) => product * one, 1);
  const bytes = count * (DATATYPE_BYTES[datatype] ?? 1);
  return count > MAX_TENSOR_VALUES / tensors
    ? { name, datatype, shape: sizes, base64: Buffer.alloc(bytes).toString('base64') }
    : { name, datatype, shape: sizes, data: Array.from({ length: count }, () => (datatype === 'BYTES' ? 'a' : 0)) };
}

const DATATYPE_BYTES: Readonly<Record<string, number>> = { FP16: 2, FP32: 4, INT32: 4, INT64: 8 };
