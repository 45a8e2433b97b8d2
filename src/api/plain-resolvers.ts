/**
 * Replaces the resolvers that type-graphql makes by functions that call the decorated methods directly.
 *
 * type-graphql's resolvers find the parameters of a method anew for each call, copy input objects into instances of their
 * classes, and return a promise for each method that has arguments. Nothing here needs that: classes of inputs have no
 * methods, and no middleware or validation is in use. Fields without a method are read by graphql-js itself.
 */
import { type GraphQLFieldResolver, type GraphQLSchema, isObjectType } from 'graphql';
import type { ClassType } from 'type-graphql';

type Target = abstract new (...args: never[]) => object;
type Resolve = GraphQLFieldResolver<unknown, unknown, Readonly<Record<string, unknown>>>;
type Read = (...call: Parameters<Resolve>) => unknown;

/** What type-graphql keeps of a parameter of a method. */
interface Parameter {
  readonly kind: 'arg' | 'args' | 'context' | 'info' | 'root' | 'custom';
  readonly index: number;
  /** Of an argument. */
  readonly name?: string;
  readonly propertyName?: string;
  /** Of the root: the class of the object; undefined where the method takes any object. */
  readonly getType?: () => unknown;
}

interface Handler {
  readonly schemaName: string;
  readonly methodName: string;
  readonly target: Target;
  readonly params?: readonly Parameter[];
  readonly middlewares?: readonly unknown[];
}

interface FieldHandler extends Handler {
  /** `internal`: a method or getter of the class of the object itself. */
  readonly kind: 'internal' | 'external';
  readonly getObjectType?: () => unknown;
}

interface ObjectMetadata {
  readonly name: string;
  readonly target: Target;
  readonly fields?: readonly { readonly name: string; readonly schemaName: string }[];
}

/** type-graphql keeps its metadata in a global variable, and exports no function that returns it. */
interface Metadata {
  readonly queries: readonly Handler[];
  readonly mutations: readonly Handler[];
  readonly fieldResolvers: readonly FieldHandler[];
  readonly objectTypes: readonly ObjectMetadata[];
}

/** @throws Error for a decorator that only type-graphql's own resolvers support */
export function plainResolvers(schema: GraphQLSchema, instanceOf: (resolver: ClassType) => object): GraphQLSchema {
  const { TypeGraphQLMetadataStorage: metadata } = globalThis as unknown as { TypeGraphQLMetadataStorage: Metadata };
  const handlers = { Query: metadata.queries, Mutation: metadata.mutations };
  for (const [name, ofRoot] of Object.entries(handlers)) {
    const fields = schema.getType(name);
    if (!isObjectType(fields)) continue;
    for (const handler of ofRoot) {
      const field = fields.getFields()[handler.schemaName];
      if (field) field.resolve = external(handler, instanceOf);
    }
  }
  for (const object of metadata.objectTypes) {
    const type = schema.getType(object.name);
    if (!isObjectType(type)) continue;
    for (const field of Object.values(type.getFields())) {
      const declared = declaredField(object.target, field.name, metadata);
      if (!declared) continue;
      const { target, name } = declared;
      const handler = metadata.fieldResolvers.find(
        ({ methodName, getObjectType }) => methodName === name && getObjectType?.() === target,
      );
      if (handler?.kind === 'internal') field.resolve = internal(target, handler);
      else if (handler) field.resolve = external(handler, instanceOf);
      else if (name === field.name) delete field.resolve;
    }
  }
  return schema;
}

/** The class that declares a field of a type: its own or one that it extends. */
function declaredField(
  own: Target,
  schemaName: string,
  { objectTypes }: Metadata,
): { target: Target; name: string } | null {
  for (let target: Target | null = own; typeof target === 'function'; target = Object.getPrototypeOf(target)) {
    const fields = objectTypes.find((object) => object.target === target)?.fields;
    const field = fields?.find((one) => one.schemaName === schemaName);
    if (field) return { target, name: field.name };
  }
  return null;
}

/** A method of a resolver class. */
function external(handler: Handler, instanceOf: (resolver: ClassType) => object): Resolve {
  const { target, methodName } = handler;
  const reads = readsOf(handler);
  let instance: Readonly<Record<string, Method>> | null = null;
  return (root, args, context, info) => {
    // On the first call, because a schema can be made without the parts that resolvers need.
    instance ??= instanceOf(target as unknown as ClassType) as Readonly<Record<string, Method>>;
    return (instance[methodName] as Method)(...reads.map((read) => read(root, args, context, info)));
  };
}

/** A method or a getter of the object. */
function internal(target: Target, handler: Handler): Resolve {
  const reads = readsOf(handler);
  return (root, args, context, info) => {
    const object = asInstance(target, root) as Readonly<Record<string, unknown>>;
    const value = object[handler.methodName];
    if (typeof value !== 'function') return value;
    return value.apply(
      object,
      reads.map((read) => read(root, args, context, info)),
    );
  };
}

type Method = (...values: unknown[]) => unknown;

function readsOf({ target, methodName, params = [], middlewares = [] }: Handler): readonly Read[] {
  const unsupported = params.some(({ kind }) => kind === 'custom') || middlewares.length > 0;
  if (unsupported) throw new Error(`${target.name}.${methodName} has a middleware or a parameter of its own kind.`);
  return params.toSorted((a, b) => a.index - b.index).map(readOf);
}

function readOf({ kind, name, propertyName, getType }: Parameter): Read {
  if (kind === 'arg') return (_, args) => args[name as string];
  if (kind === 'args') return (_, args) => args;
  if (kind === 'info') return (_root, _args, _context, info) => info;
  const of: Read = kind === 'root' ? rootReader(getType) : (_root, _args, context) => context;
  if (propertyName === undefined) return of;
  return (...call) => (of(...call) as Readonly<Record<string, unknown>>)[propertyName];
}

function rootReader(getType: (() => unknown) | undefined): Read {
  const target = getType?.();
  return typeof target === 'function' ? (root) => asInstance(target as Target, root) : (root) => root;
}

/** Resolvers may return plain objects for a class. */
function asInstance(target: Target, root: unknown): unknown {
  if (root instanceof target || typeof root !== 'object' || root === null) return root;
  return Object.assign(Object.create(target.prototype), root);
}
