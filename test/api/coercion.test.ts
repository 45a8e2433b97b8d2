/** Our own coercion of variables gives what graphql-js gives, for every input type of the schema. */
import 'reflect-metadata';
import {
  buildSchema,
  execute,
  type GraphQLInputType,
  getVariableValues,
  isEnumType,
  isInputObjectType,
  isInputType,
  isListType,
  isNonNullType,
  Kind,
  type OperationDefinitionNode,
  parse,
} from 'graphql';
import { createSchema } from '#src/api/schema.js';
import { coerceVariables, passingVariables } from '#src/api/variables.js';
import { list, pick, type Random, seeded } from '../support/seeded-random.ts';

const schema = createSchema();
const CASES_PER_TYPE = 300;
const LEAVES: readonly unknown[] = [
  0,
  1,
  -7,
  2 ** 40,
  1.5,
  '',
  'a',
  '7',
  'penguins:1',
  true,
  false,
  [],
  {},
  [1],
  { a: [null] },
];

const types = Object.values(schema.getTypeMap())
  .filter((type) => isInputType(type) && !type.name.startsWith('__'))
  .map(({ name }) => name);

/** A value that fits often: each part may be missing, null, of the wrong kind, alone in place of a list, or too much. */
function valueFor(type: GraphQLInputType, random: Random, depth = 0): unknown {
  if (random() < 0.04) return pick(random, [...LEAVES, null]);
  if (isNonNullType(type)) return valueFor(type.ofType, random, depth);
  if (random() < 0.1) return null;
  if (isListType(type)) {
    const element = () => valueFor(type.ofType, random, depth + 1);
    return random() < 0.2 ? element() : list(random, 3, element);
  }
  if (isEnumType(type)) return random() < 0.9 ? pick(random, type.getValues()).name : 'NONE';
  if (!isInputObjectType(type)) return pick(random, LEAVES);
  const fields = Object.values(type.getFields());
  const given = type.isOneOf
    ? [pick(random, fields)]
    : fields.filter((field) => isNonNullType(field.type) || random() < 0.4);
  const value = Object.fromEntries(given.map((field) => [field.name, valueFor(field.type, random, depth + 1)]));
  if (random() < 0.03) value['unknown'] = 1;
  return depth > 5 ? null : value;
}

function operationWith(declaration: string): {
  document: ReturnType<typeof parse>;
  operation: OperationDefinitionNode;
} {
  const document = parse(`query (${declaration}) { __typename }`);
  const [operation] = document.definitions;
  if (operation?.kind !== Kind.OPERATION_DEFINITION) throw new Error('not an operation');
  return { document, operation };
}

/** By name, because one may be `__proto__`. The reference makes objects without a prototype. */
function entriesOf(coerced: Readonly<Record<string, unknown>>): [string, unknown][] {
  return Object.entries(coerced).map(([name, value]) => [name, structuredClone(value)]);
}

function ours(declaration: string, sent: Record<string, unknown>): unknown {
  const { document, operation } = operationWith(declaration);
  try {
    return entriesOf(coerceVariables(schema, document, operation, sent));
  } catch {
    return 'refused';
  }
}

function reference(declaration: string, sent: Record<string, unknown>): unknown {
  const { operation } = operationWith(declaration);
  const { coerced } = getVariableValues(schema, operation.variableDefinitions ?? [], sent);
  return coerced ? entriesOf(coerced) : 'refused';
}

test.each(types)('values of %s are coerced as graphql-js coerces them', (name) => {
  const random = seeded(name.length * 7_919 + name.charCodeAt(0));
  let accepted = 0;
  for (let i = 0; i < CASES_PER_TYPE; i++) {
    const declared = pick(random, [name, `${name}!`, `[${name}!]`, `[${name}]!`]);
    const inner = schema.getType(name) as GraphQLInputType;
    const element = () => valueFor(inner, random);
    const value = declared.startsWith('[') && random() < 0.8 ? list(random, 3, element) : element();
    const sent = random() < 0.05 ? {} : { value };
    const expected = reference(`$value: ${declared}`, sent);
    expect({ sent, is: ours(`$value: ${declared}`, sent) }).toStrictEqual({ sent, is: expected });
    if (expected !== 'refused') accepted++;
  }
  expect(accepted).toBeGreaterThan(CASES_PER_TYPE / 20);
});

test.each([
  ['$value: Int = 5', {}],
  ['$value: Int = 5', { value: null }],
  ['$value: Int = 5', { value: 7 }],
  ['$value: Int! = 5', {}],
  ['$value: Int! = 5', { value: null }],
  ['$value: [Int!] = [1, 2]', {}],
  ['$value: Priority = HIGH', {}],
  ['$value: PredictInput = { model: "penguins", input: { text: "a" } }', {}],
  ['$value: Int, $other: Int = 1', { toString: 1 }],
  ['$__proto__: Int', JSON.parse('{ "__proto__": 1 }')],
  ['$constructor: Int, $__proto__: [Int]', JSON.parse('{ "__proto__": 1 }')],
])('defaults of %s with %j are those of graphql-js', (declaration, sent) => {
  expect(ours(declaration, sent)).toStrictEqual(reference(declaration, sent));
});

test('a variable called __proto__ reaches the field that it is sent for', async () => {
  const { document, operation } = operationWith('$__proto__: Int!');
  const sent = JSON.parse('{ "__proto__": 7 }');
  const coerced = coerceVariables(schema, document, operation, sent);
  expect(Object.entries(coerced)).toEqual([['__proto__', 7]]);
});

test('the document for `execute` takes variables as they are', async () => {
  const own = buildSchema('scalar JSON type Query { echo(value: Int!, list: [Int]): String }');
  const document = parse('query A($v: Int!, $l: [Int]) { echo(value: $v, list: $l) } query B($v: Int) { __typename }');
  const before = structuredClone(document);
  const passing = passingVariables(document, document.definitions[0] as OperationDefinitionNode);
  const variableValues = { v: { any: 'object' }, l: new Map() };
  const rootValue = {
    echo: (args: object) =>
      JSON.stringify(Object.values(args).map((value) => value === variableValues.v || value === variableValues.l)),
  };
  const result = await execute({ schema: own, document: passing, operationName: 'A', variableValues, rootValue });

  expect(result).toEqual({ data: { echo: '[true,true]' } });
  expect(structuredClone(document)).toEqual(before);
});
