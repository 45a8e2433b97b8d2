/**
 * The executable schema: built from the slices' resolvers, with `@oneOf` applied and every root field guarded by the
 * policy it declares.
 */
import {
  defaultFieldResolver,
  GraphQLError,
  type GraphQLField,
  type GraphQLSchema,
  isInputObjectType,
  isNonNullType,
  isObjectType,
  validateSchema,
} from 'graphql';
import { buildSchemaSync, type ClassType } from 'type-graphql';
import { KEY_REFUSALS } from '../access/authentication.js';
import { allows, isPolicyName, type PolicyName, whoMay } from '../access/policy.js';
import type { Principal } from '../access/principal.js';
import { ForbiddenError } from '../errors.js';
import { PROBLEM_TYPES, problemOf } from '../graphql/problem.type.js';
import { DateTime } from '../graphql/scalars.js';
import { boundAnswers } from './answers.js';
import { forbidden } from './forbidden.js';
import { plainResolvers } from './plain-resolvers.js';
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

/** @throws Error for a root field that declares no policy, or one that can be refused and is not nullable */
export function enforcePolicies(schema: GraphQLSchema): GraphQLSchema {
  const roots = [schema.getQueryType(), schema.getMutationType(), schema.getSubscriptionType()];
  for (const root of roots) {
    const isSubscription = root === schema.getSubscriptionType();
    for (const field of Object.values(root?.getFields() ?? {})) {
      enforce(`${root?.name}.${field.name}`, field, { isSubscription });
    }
  }
  return schema;
}

type RootField = GraphQLField<unknown, { principal: Principal }>;

function enforce(name: string, field: RootField, { isSubscription }: { isSubscription: boolean }): void {
  const policy: unknown = field.extensions['policy'];
  if (!isPolicyName(policy)) throw new Error(`${name} declares no policy; put @Policy('…') above it.`);
  if (policy === 'public') return;
  if (policy !== 'read' && isNonNullType(field.type))
    throw new Error(`${name} must be nullable: a refusal by the policy ${policy} would empty the whole response.`);
  const { resolve = defaultFieldResolver, subscribe = defaultFieldResolver } = field;
  field.resolve = (root, args, context, info) => {
    checkKey(context.principal);
    return mayUse(field.name, policy, context.principal)
      ? resolve(root, args, context, info)
      : refuse(name, policy, field, context.principal);
  };
  if (!isSubscription) return;
  field.subscribe = (root, args, context, info) => {
    checkKey(context.principal);
    if (!mayUse(field.name, policy, context.principal)) throw forbidden(name, policy, context.principal);
    return subscribe(root, args, context, info);
  };
}

/** A key may end while the fields of a mutation run, one after the other. @throws GraphQLError */
function checkKey({ keyRefusal }: Principal): void {
  const refusal = keyRefusal();
  if (refusal !== null) throw new GraphQLError(KEY_REFUSALS[refusal], { extensions: { code: 'UNAUTHENTICATED' } });
}

function mayUse(field: string, policy: PolicyName, principal: Principal): boolean {
  return allows(policy, principal) && (principal.key?.operations?.includes(field) ?? true);
}

/** Refuses as a problem if there is a key and the payload has a problem, else as a GraphQL error. */
function refuse(name: string, policy: PolicyName, field: RootField, principal: Principal): unknown {
  if (principal.roles.length > 0 && isObjectType(field.type) && field.type.getFields()['problem']) {
    return { problem: problemOf(new ForbiddenError(name, whoMay(policy, principal))) };
  }
  throw forbidden(name, policy, principal);
}
