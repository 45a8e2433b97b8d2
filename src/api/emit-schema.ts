/**
 * `npm run schema`: writes the files that clients use. `schema/schema.graphql` is the SDL; `schema/apollo-cache.json`
 * has Apollo Client's `possibleTypes` and `typePolicies`. A test fails if they differ from the code.
 */
import 'reflect-metadata';

import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import {
  type GraphQLNamedType,
  type GraphQLSchema,
  isAbstractType,
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
 * their parent: if two queries select different fields of one, the cache must merge them instead of replacing it.
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
  const parts = types.filter(isObjectType).filter((type) => !roots.has(type) && !type.getFields()['id']);
  const merged = parts.filter(({ name }) => !/(Connection|Edge|Payload|PageInfo)$/.test(name));
  const typePolicies = Object.fromEntries(merged.map(({ name }) => [name, { merge: true }]));
  return `${JSON.stringify({ possibleTypes, typePolicies }, null, 2)}\n`;
}

if (process.argv[1] === import.meta.filename) {
  const folder = path.resolve(import.meta.dirname, '../../schema');
  const schema = createSchema();
  await writeFile(path.join(folder, 'schema.graphql'), schemaText(schema));
  await writeFile(path.join(folder, 'apollo-cache.json'), apolloCacheText(schema));
}
