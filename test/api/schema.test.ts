/** The committed schema is the one that is served, it is fully described, and it follows the rules clients rely on. */
import 'reflect-metadata';
import { readFile } from 'node:fs/promises';
import {
  type GraphQLNamedType,
  type GraphQLObjectType,
  type GraphQLOutputType,
  getNamedType,
  isAbstractType,
  isEnumType,
  isInputObjectType,
  isInterfaceType,
  isLeafType,
  isObjectType,
  isSpecifiedScalarType,
} from 'graphql';
import { apolloCacheText, schemaText } from '#src/api/emit-schema.js';
import { createSchema } from '#src/api/schema.js';

const schema = createSchema();
const types = Object.values(schema.getTypeMap()).filter(({ name }) => !name.startsWith('__'));

test('schema/schema.graphql matches the code (npm run schema writes it)', async () => {
  expect(schemaText(schema)).toBe(await readFile('schema/schema.graphql', 'utf8'));
});

test('schema/apollo-cache.json matches the code (npm run schema writes it)', async () => {
  expect(apolloCacheText(schema)).toBe(await readFile('schema/apollo-cache.json', 'utf8'));
});

/** Fields of one name that a client cannot select together: see "Field Selection Merging" in the specification. */
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

/** The type of a leaf; for an object only its nullability and lists, since its fields are compared one by one. */
function shapeOf(type: GraphQLOutputType): string {
  const named = getNamedType(type);
  return isLeafType(named) ? String(type) : String(type).replace(named.name, 'an object');
}

test('in all types of an interface or union, fields with the same name have the same shape', () => {
  const clashes = types.filter(isAbstractType).flatMap((abstract) => clashesOf([...schema.getPossibleTypes(abstract)]));

  expect(clashes).toEqual([]);
});

test('inputs of which exactly one key is set are oneOf types', () => {
  const oneOf = types.filter(isInputObjectType).filter(({ isOneOf }) => isOneOf);

  expect(oneOf.map(({ name }) => name).sort()).toEqual(['ImageInput', 'ModelInput', 'RowsInput']);
});

interface Described {
  readonly place: string;
  readonly description: string | null | undefined;
}

/** A type with everything in it that can have a description: fields, arguments, input fields and enum values. */
function describedIn(type: GraphQLNamedType): Described[] {
  const { name, description } = type;
  const place = (member: { name: string; description?: string | null | undefined }): Described => ({
    place: `${name}.${member.name}`,
    description: member.description,
  });
  const members = isEnumType(type)
    ? type.getValues().map(place)
    : isInputObjectType(type)
      ? Object.values(type.getFields()).map(place)
      : isObjectType(type) || isInterfaceType(type)
        ? Object.values(type.getFields()).flatMap((field) => [
            place(field),
            ...field.args.map((arg) => place({ ...arg, name: `${field.name}(${arg.name})` })),
          ])
        : [];
  return [{ place: name, description }, ...members];
}

const described = types.filter((type) => !isSpecifiedScalarType(type)).flatMap(describedIn);

test('every type, field, argument, input field, enum value and scalar has a description', () => {
  expect(described.filter(({ description }) => !description?.trim()).map(({ place }) => place)).toEqual([]);
});

test('descriptions are statements: they begin with a capital letter or a digit and end with a period', () => {
  const odd = described.filter(({ description }) => !/^[A-Z0-9][^?]*\.$/.test(description ?? ''));

  expect(odd.map(({ place, description }) => `${place}: ${description}`)).toEqual([]);
});

test('mutations are nullable and return a payload with a nullable problem', () => {
  for (const field of Object.values(schema.getMutationType()?.getFields() ?? {})) {
    expect(String(field.type)).not.toMatch(/!$/);
    const payload = getNamedType(field.type);
    expect(isObjectType(payload) && String(payload.getFields()['problem']?.type)).toBe('Problem');
  }
});
