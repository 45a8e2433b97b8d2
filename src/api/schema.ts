/**
 * The executable schema: built from the slices' resolvers, with `@oneOf` applied and policies enforced.
 */
import { type GraphQLSchema, isInputObjectType, validateSchema } from 'graphql';
import { buildSchemaSync, type ClassType } from 'type-graphql';
import { PROBLEM_TYPES } from '../graphql/problem.type.js';
import { DateTime } from '../graphql/scalars.js';
import { boundAnswers } from './answers.js';
import { plainResolvers } from './plain-resolvers.js';
import { enforcePolicies } from './policies.js';
import { RESOLVERS, type ResolverClass, type ResolverParts } from './resolvers.js';

/** Without `parts` the schema has its shape and its policies, but no resolver can be called. */
export function createSchema(parts?: ResolverParts): GraphQLSchema {
  const instances = new Map<ResolverClass, object>();
  const instanceOf = (resolver: ResolverClass): object => {
    const instance = instances.get(resolver) ?? RESOLVERS.get(resolver)?.(partsOrThrow(parts));
    if (!instance) throw new Error(`${resolver.name} is missing in api/resolvers.ts. This is a bug.`);
    instances.set(resolver, instance);
    return instance;
  };
  const schema = buildSchemaSync({
    resolvers: [...RESOLVERS.keys()] as unknown as [ClassType, ...ClassType[]],
    orphanedTypes: [...PROBLEM_TYPES],
    scalarsMap: [{ type: Date, scalar: DateTime }],
    container: { get: instanceOf },
    validate: false,
    // It would answer the introspection query; `applyOneOf` validates the schema.
    skipCheck: true,
  });
  return enforcePolicies(boundAnswers(plainResolvers(applyOneOf(describeRoots(schema)), instanceOf)));
}

const ROOT_DESCRIPTIONS: Readonly<Record<string, string>> = {
  Query: 'Operations that read: the catalog, your stored predictions, and the state of the server.',
  Mutation:
    'Operations that run models or change data. Fields at the top level run one after another, in the order of the document.',
};

/** type-graphql has no option for descriptions of root types. */
function describeRoots(schema: GraphQLSchema): GraphQLSchema {
  for (const root of [schema.getQueryType(), schema.getMutationType()])
    if (root) root.description = ROOT_DESCRIPTIONS[root.name];
  return schema;
}

function partsOrThrow(parts: ResolverParts | undefined): ResolverParts {
  if (!parts) throw new Error('This schema was created without parts, so its resolvers cannot be called.');
  return parts;
}

/** type-graphql keeps `@oneOf` as a directive on the AST only; without this both keys would be accepted. */
function applyOneOf(schema: GraphQLSchema): GraphQLSchema {
  for (const type of Object.values(schema.getTypeMap())) {
    const isMarked =
      type.astNode?.kind === 'InputObjectTypeDefinition' &&
      type.astNode.directives?.some(({ name }) => name.value === 'oneOf');
    if (isInputObjectType(type) && isMarked) type.isOneOf = true;
  }
  const errors = validateSchema(schema);
  if (errors.length > 0) throw new AggregateError(errors, errors.map(({ message }) => message).join('; '));
  return schema;
}
