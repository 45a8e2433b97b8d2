/** The committed schema is the served one, and keeps the promises that clients build on. */
import 'reflect-metadata';
import { readFile } from 'node:fs/promises';
import {
  type GraphQLObjectType,
  type GraphQLOutputType,
  getNamedType,
  isAbstractType,
  isInputObjectType,
  isInterfaceType,
  isLeafType,
  isObjectType,
} from 'graphql';
import { apolloCacheText, schemaText } from '#src/api/emit-schema.js';
import { createSchema } from '#src/api/schema.js';

const schema = createSchema(new Map());
const types = Object.values(schema.getTypeMap()).filter(({ name }) => !name.startsWith('__'));

test('schema/schema.graphql is what the code builds (npm run schema writes it)', async () => {
  expect(schemaText(schema)).toBe(await readFile('schema/schema.graphql', 'utf8'));
});

test('schema/apollo-cache.json is what the code builds (npm run schema writes it)', async () => {
  expect(apolloCacheText(schema)).toBe(await readFile('schema/apollo-cache.json', 'utf8'));
});

/** Fields of one name whose values a client could not read alike: see "Field Selection Merging" in the specification. */
function clashesOf(candidates: readonly GraphQLObjectType[]): string[] {
  const fields = Map.groupBy(
    candidates.flatMap((type) => Object.values(type.getFields())),
    ({ name }) => name,
  );
  return Array.from(fields).flatMap(([name, found]) => {
    const shapes = new Set(found.map(({ type }) => shapeOf(type)));
    if (shapes.size > 1) return [`${name}: ${[...shapes].join(' or ')}`];
    const objects = new Set(found.map(({ type }) => getNamedType(type)).filter(isObjectType));
    return objects.size > 1 ? clashesOf([...objects]).map((clash) => `${name}.${clash}`) : [];
  });
}

/** Objects are alike as long as their fields are. */
function shapeOf(type: GraphQLOutputType): string {
  const named = getNamedType(type);
  return isLeafType(named) ? String(type) : String(type).replace(named.name, 'an object');
}

test('no two types under one interface or union give a field two shapes', () => {
  const clashes = types.filter(isAbstractType).flatMap((abstract) => clashesOf([...schema.getPossibleTypes(abstract)]));

  expect(clashes).toEqual([]);
});

test('exactly one key of ModelInput and ImageInput is given', () => {
  const oneOf = types.filter(isInputObjectType).filter(({ isOneOf }) => isOneOf);

  expect(oneOf.map(({ name }) => name).sort()).toEqual(['ImageInput', 'ModelInput']);
});

test('every type is described', () => {
  const silent = types
    .filter((type) => isObjectType(type) || isInputObjectType(type))
    .filter(({ name, description }) => !description && !/^(Query|Mutation)$/.test(name));

  expect(silent.map(({ name }) => name)).toEqual([]);
});

test('every field is described', () => {
  const silent = types
    .filter((type) => isObjectType(type) || isInterfaceType(type) || isInputObjectType(type))
    .flatMap((type) => Object.values(type.getFields()).map((field) => ({ type, field })))
    .filter(({ field }) => !field.description);

  expect(silent.map(({ type, field }) => `${type.name}.${field.name}`)).toEqual([]);
});

test('mutations are nullable and answer a payload with a nullable problem', () => {
  for (const field of Object.values(schema.getMutationType()?.getFields() ?? {})) {
    expect(String(field.type)).not.toMatch(/!$/);
    const payload = getNamedType(field.type);
    expect(isObjectType(payload) && String(payload.getFields()['problem']?.type)).toBe('Problem');
  }
});
