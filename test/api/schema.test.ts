/** The committed schema is the served one, and keeps the promises that clients build on. */
import 'reflect-metadata';
import { readFile } from 'node:fs/promises';
import { getNamedType, isAbstractType, isInputObjectType, isObjectType } from 'graphql';
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

test('no two types under one interface or union give a field two shapes', () => {
  const clashes = types.filter(isAbstractType).flatMap((abstract) => {
    const shapes = new Map<string, Set<string>>();
    for (const type of schema.getPossibleTypes(abstract)) {
      for (const field of Object.values(type.getFields())) {
        shapes.set(field.name, (shapes.get(field.name) ?? new Set()).add(String(field.type)));
      }
    }
    return Array.from(shapes).filter(([, found]) => found.size > 1);
  });

  expect(clashes).toEqual([]);
});

test('exactly one key of ModelInput and ImageInput is given', () => {
  const oneOf = types.filter(isInputObjectType).filter(({ isOneOf }) => isOneOf);

  expect(oneOf.map(({ name }) => name).sort()).toEqual(['ImageInput', 'ModelInput']);
});

test('every type is described', () => {
  const silent = types
    .filter(isObjectType)
    .filter(({ name, description }) => !description && !/^(Query|Mutation)$/.test(name));

  expect(silent.map(({ name }) => name)).toEqual([]);
});

test('mutations are nullable and answer a payload with a nullable problem', () => {
  for (const field of Object.values(schema.getMutationType()?.getFields() ?? {})) {
    expect(String(field.type)).not.toMatch(/!$/);
    const payload = getNamedType(field.type);
    expect(isObjectType(payload) && String(payload.getFields()['problem']?.type)).toBe('Problem');
  }
});
