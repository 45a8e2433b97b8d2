/**
 * `npm run schema`: writes the files that clients use. `schema/schema.graphql` is the SDL; `schema/apollo-cache.json`
 * has what the caches of clients must know: `apollo-cache.ts` and `urql-cache.ts` beside it read it. A test fails if they
 * differ from the code.
 */
import 'reflect-metadata';

import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import {
  type GraphQLField,
  type GraphQLNamedType,
  type GraphQLObjectType,
  type GraphQLSchema,
  getNamedType,
  getNullableType,
  isAbstractType,
  isLeafType,
  isListType,
  isObjectType,
  printType,
  specifiedScalarTypes,
} from 'graphql';
import { createSchema } from './schema.js';

/** Sorts by name, so that the output does not depend on the order in the code. */
function typesOf(schema: GraphQLSchema): GraphQLNamedType[] {
  const types = Object.values(schema.getTypeMap()).filter(({ name }) => !name.startsWith('__'));
  return types.sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** The SDL, with the types sorted by name, so that every run writes the same bytes. */
export function schemaText(schema: GraphQLSchema): string {
  const builtIn = new Set(specifiedScalarTypes.map(({ name }) => name));
  const types = typesOf(schema).filter(({ name }) => !builtIn.has(name));
  const note = '# Written by `npm run schema`; do not edit.';
  return `${[note, ...types.map(printType)].join('\n\n')}\n`;
}

/**
 * Without `possibleTypes`, a client cannot match fragments on interfaces and unions. Objects without an id are part of
 * their parent, and are `embedded` there: if two queries select different fields of one, the cache must merge them instead
 * of replacing it. `connections` are the fields with pages, and `lists` those with lists of objects.
 */
export function apolloCacheText(schema: GraphQLSchema): string {
  const types = typesOf(schema);
  const possibleTypes = Object.fromEntries(
    types.filter(isAbstractType).map((type) => [
      type.name,
      schema
        .getPossibleTypes(type)
        .map(({ name }) => name)
        .sort(),
    ]),
  );
  const roots = new Set([schema.getQueryType(), schema.getMutationType()]);
  const objects = types.filter(isObjectType);
  const parts = objects.filter((type) => !roots.has(type) && !type.getFields()['id']);
  const merged = parts.filter(({ name }) => !/(Edge|Payload)$/.test(name));
  const typePolicies = Object.fromEntries(merged.map(({ name }) => [name, { merge: true }]));
  const cache = {
    possibleTypes,
    typePolicies,
    embedded: parts.map(({ name }) => name),
    connections: fieldsByType(objects, ({ type }) => getNamedType(type).name.endsWith('Connection')),
    lists: fieldsByType(objects, ({ type }) => isListType(getNullableType(type)) && !isLeafType(getNamedType(type))),
  };
  return `${JSON.stringify(cache, null, 2)}\n`;
}

/** The names of the fields that are chosen, by type. */
function fieldsByType(
  types: readonly GraphQLObjectType[],
  isChosen: (field: GraphQLField<unknown, unknown>) => boolean,
): Record<string, string[]> {
  const chosen = types.map((type): [string, string[]] => [
    type.name,
    Object.values(type.getFields())
      .filter(isChosen)
      .map(({ name }) => name)
      .sort(),
  ]);
  return Object.fromEntries(chosen.filter(([, fields]) => fields.length > 0));
}

if (process.argv[1] === import.meta.filename) {
  const folder = path.resolve(import.meta.dirname, '../../schema');
  const schema = createSchema();
  await writeFile(path.join(folder, 'schema.graphql'), schemaText(schema));
  await writeFile(path.join(folder, 'apollo-cache.json'), apolloCacheText(schema));
}
