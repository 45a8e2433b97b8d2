/**
 * Deny by default: every root field declares a policy and is guarded by it, fields below the roots are guarded by those that
 * they declare, and a type that declares one is reached in no other way.
 */
import {
  defaultFieldResolver,
  GraphQLError,
  type GraphQLField,
  type GraphQLObjectType,
  type GraphQLSchema,
  getNamedType,
  getNullableType,
  isAbstractType,
  isListType,
  isNonNullType,
  isObjectType,
} from 'graphql';
import { allows, isPolicyName, isWithin, type PolicyName, whoMay } from '../access/policy.js';
import { isNobody, type Principal } from '../access/principal.js';
import { refusalOf } from '../access/refusals.js';
import { type AppError, ForbiddenError } from '../errors.js';
import { problemOf } from '../graphql/problem.type.js';
import { forbidden } from './forbidden.js';
import type { QuotaMeter } from './quota-meter.js';

interface Context {
  readonly principal: Principal;
  readonly admission?: { readonly meter: QuotaMeter | null } | null;
}
type Field = GraphQLField<unknown, Context>;

interface Guarded {
  readonly field: Field;
  /** Such as "Query.models". */
  readonly name: string;
  readonly policy: PolicyName;
  readonly isRoot: boolean;
}

/**
 * @throws Error for a root field that declares no policy, a policy that does not exist, a field that can be refused and is
 * not nullable, and a type that is reached by callers whom its policy does not allow
 */
export function enforcePolicies(schema: GraphQLSchema): GraphQLSchema {
  const roots = rootsOf(schema);
  for (const type of objectTypesOf(schema)) {
    const isRoot = roots.includes(type);
    for (const field of Object.values(type.getFields())) {
      const name = `${type.name}.${field.name}`;
      const policy = declared(name, field);
      if (policy === null && isRoot) throw new Error(`${name} declares no policy; put @Policy('…') above it.`);
      if (policy !== null) guard({ field, name, policy, isRoot }, type === schema.getSubscriptionType());
    }
  }
  checkPrivateTypes(schema);
  return schema;
}

/** A type that declares a policy is reached only by callers whom it allows. */
function checkPrivateTypes(schema: GraphQLSchema): void {
  for (const [type, ways] of waysToTypes(schema)) {
    const own = declared(type.name, type);
    for (const [policy, field] of own === null ? [] : ways) {
      if (!isWithin(policy, own as PolicyName))
        throw new Error(`${type.name} is for the policy ${own}, but ${field} leads to it with the policy ${policy}.`);
    }
  }
}

/** For each type of object the policies by which callers reach it, each with a field that leads there. */
export function waysToTypes(schema: GraphQLSchema): ReadonlyMap<GraphQLObjectType, ReadonlyMap<PolicyName, string>> {
  const ways = new Map<GraphQLObjectType, Map<PolicyName, string>>();
  const open: { type: GraphQLObjectType; policy: PolicyName | null }[] = [];
  for (const type of rootsOf(schema)) open.push({ type, policy: null });
  for (let next = open.pop(); next; next = open.pop()) {
    for (const field of Object.values(next.type.getFields())) {
      const name = `${next.type.name}.${field.name}`;
      const policy = narrower(next.policy, declared(name, field));
      for (const type of objectsOf(schema, field)) {
        const known = ways.get(type) ?? new Map<PolicyName, string>();
        if (known.has(policy)) continue;
        ways.set(type, known.set(policy, name));
        open.push({ type, policy });
      }
    }
  }
  return ways;
}

/** Of a field: its own policy, unless that of the way to its type allows nobody else. Root fields have one. */
function narrower(ofType: PolicyName | null, own: PolicyName | null): PolicyName {
  return own !== null && (ofType === null || !isWithin(ofType, own)) ? own : (ofType as PolicyName);
}

function objectsOf(schema: GraphQLSchema, field: Field): readonly GraphQLObjectType[] {
  const type = getNamedType(field.type);
  if (isAbstractType(type)) return schema.getPossibleTypes(type);
  return isObjectType(type) ? [type] : [];
}

function rootsOf(schema: GraphQLSchema): GraphQLObjectType[] {
  return [schema.getQueryType(), schema.getMutationType(), schema.getSubscriptionType()].filter(isObjectType);
}

function objectTypesOf(schema: GraphQLSchema): GraphQLObjectType[] {
  return Object.values(schema.getTypeMap()).filter(
    (type) => isObjectType(type) && !type.name.startsWith('__'),
  ) as GraphQLObjectType[];
}

function declared(name: string, { extensions }: Pick<Field, 'extensions'>): PolicyName | null {
  const policy: unknown = extensions['policy'];
  if (policy === undefined) return null;
  if (!isPolicyName(policy)) throw new Error(`${name} declares the policy ${policy}, which does not exist.`);
  return policy;
}

function guard({ field, name, policy, isRoot }: Guarded, isSubscription: boolean): void {
  if (policy === 'public') return;
  if ((policy !== 'read' || !isRoot) && isNonNullType(field.type))
    throw new Error(`${name} must be nullable: a refusal by the policy ${policy} would empty the whole response.`);
  const { resolve = defaultFieldResolver, subscribe = defaultFieldResolver } = field;
  const mayUse = ({ principal }: { principal: Principal }) =>
    allows(policy, principal) && (!isRoot || (principal.key?.operations?.includes(field.name) ?? true));
  field.resolve = (root, args, context, info) => {
    checkCredentials(context.principal);
    if (!mayUse(context)) return refuse(name, policy, field, context.principal);
    const exceeded = isRoot ? context.admission?.meter?.begin(info.path.key) : null;
    return exceeded ? refuseAsProblem(field, exceeded) : resolve(root, args, context, info);
  };
  if (!isSubscription) return;
  field.subscribe = (root, args, context, info) => {
    checkCredentials(context.principal);
    if (!mayUse(context)) throw forbidden(name, policy, context.principal);
    return subscribe(root, args, context, info);
  };
}

/** A key or token may end while the fields of a mutation run, one after the other. @throws GraphQLError */
function checkCredentials(principal: Principal): void {
  const refused = refusalOf(principal);
  if (refused) throw new GraphQLError(refused.message, { extensions: { code: refused.code } });
}

/** Refuses as a problem if the caller is known and the payload has a problem, else as a GraphQL error. */
function refuse(name: string, policy: PolicyName, field: Field, principal: Principal): unknown {
  if (isNobody(principal) || !hasProblem(field)) throw forbidden(name, policy, principal);
  return payloadWith(new ForbiddenError(name, whoMay(policy, principal)), field);
}

/** @throws the error if the payload has no problem */
function refuseAsProblem(field: Field, error: AppError): unknown {
  if (!hasProblem(field)) throw error;
  return payloadWith(error, field);
}

/** Fields that are never null are empty lists and false, or a client that selects them would get an internal error. */
function payloadWith(error: AppError, { type }: Field): object {
  const others = isObjectType(type) ? Object.values(type.getFields()).filter((one) => isNonNullType(one.type)) : [];
  const empty = others.map((one) => [one.name, isListType(getNullableType(one.type)) ? [] : false]);
  return { ...Object.fromEntries(empty), problem: problemOf(error) };
}

function hasProblem({ type }: Field): boolean {
  return isObjectType(type) && type.getFields()['problem'] !== undefined;
}
