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
const OUTPUT_ALIASES = [45, 15, 5, 1];
const LONGEST = 100_000;
const MAX_BODY_BYTES = 16_000_000;

export async function auditPredictions(schema: GraphQLSchema, subjects: readonly Subject[]): Promise<Audited[]> {
  const audited: Audited[] = [];
  for (const subject of subjects) {
    for (const [kind, input] of await inputsOf(schema, subject)) {
      const name = `predictMany ${subject.model} ${kind}`;
      audited.push({ name, sizes: countsOf(input).map((count) => () => many(name, subject, input, count)) });
      for (const field of outputFields(schema, subject.output)) {
        const one = `predict ${subject.model} ${kind} ${subject.output}.${field.name}`;
        audited.push({
          name: one,
          sizes: OUTPUT_ALIASES.map((aliases) => () => outputRequest(one, subject, input, field.text, aliases)),
        });
      }
      const echo = `predict ${subject.model} ${kind} Prediction.input`;
      audited.push({
        name: echo,
        sizes: OUTPUT_ALIASES.map((aliases) => () => echoRequest(echo, subject, input, aliases)),
      });
    }
  }
  return audited;
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

/** The largest input for each key that the model takes. */
async function inputsOf(schema: GraphQLSchema, { example, inputs }: Subject): Promise<[string, unknown][]> {
  const [kind = 'tensors'] = Object.keys(example);
  const found: [string, unknown][] = [];
  const fields = Object.keys((schema.getType('ModelInput') as GraphQLInputObjectType).getFields());
  if (!fields.includes(kind)) throw new Error(`ModelInput has no key ${kind}`);
  const words = 'model '.repeat(LONGEST / 6);
  const token = 'a'.repeat(LONGEST);
  if (kind === 'row') {
    const wide = Object.fromEntries(Array.from({ length: 10_000 }, (_, i) => [`c${i}`, i]));
    found.push(['example', example], ['of 10,000 columns', { row: wide }]);
  } else if (kind === 'text')
    found.push(['words', { text: words }], ['one token', { text: token }], ['short', { text: 'good' }]);
  else if (kind === 'question') found.push(['words', { question: { question: 'where', context: words } }]);
  else if (kind === 'similarity') {
    found.push([
      '256 sentences',
      { similarity: { source: 'a', sentences: Array.from({ length: 256 }, () => words.slice(0, 2_000)) } },
    ]);
  } else if (kind === 'zeroShot') {
    found.push([
      '100 labels',
      { zeroShot: { text: words, labels: Array.from({ length: 100 }, (_, i) => `label ${i}`) } },
    ]);
  } else if (kind === 'image') {
    const flat = sharp({ create: { width: 5_000, height: 5_000, channels: 3, background: '#888' } });
    found.push(['flat PNG of 25 MP', { image: { base64: (await flat.png().toBuffer()).toString('base64') } }]);
    found.push(['example', example]);
  }
  found.push(['tensors', { tensors: inputs.map((tensor) => largestTensor(tensor, inputs)) }]);
  return found;
}

/** Within the limit of values of a body. */
const MAX_TENSOR_VALUES = 200_000;

function largestTensor({ name, datatype, shape }: Subject['inputs'][number], { length: tensors }: Subject['inputs']) {
  const known = shape.reduce<number>((product, size) => product * (size ?? 1), 1);
  const open = shape.filter((size) => size === null).length;
  const size = Math.max(1, Math.floor((MAX_TENSOR_VALUES / tensors / known) ** (1 / Math.max(1, open - 1))));
  // The first open dimension is usually the batch.
  const sizes = shape.map((given, i) => given ?? (i === 0 && open > 1 ? 1 : size));
  const count = sizes.reduce((product, one) => product * one, 1);
  return { name, datatype, shape: sizes, data: Array.from({ length: count }, () => (datatype === 'BYTES' ? 'a' : 0)) };
}
