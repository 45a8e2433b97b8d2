/**
 * The dearest requests for every field and argument of a schema: aliases × the largest pages × the largest values. Of each
 * kind there are several sizes, largest first, because the price of the largest is often above the limit.
 */
import {
  type GraphQLArgument,
  type GraphQLField,
  type GraphQLInputType,
  type GraphQLObjectType,
  type GraphQLSchema,
  getNamedType,
  isAbstractType,
  isInputObjectType,
  isLeafType,
  isNonNullType,
  isObjectType,
  isRequiredArgument,
} from 'graphql';
import { LONGEST_TEXT, largestValue, type Names, namingValue } from './values.ts';

export interface AuditRequest {
  /** The field and argument under audit: "Model.versions(first)". */
  readonly name: string;
  readonly query: string;
  readonly variables: Readonly<Record<string, unknown>>;
}

/** The requests of one field or argument, the largest first. */
export interface Audited {
  readonly name: string;
  readonly sizes: readonly (() => AuditRequest)[];
}

type Field = GraphQLField<unknown, unknown>;
interface Step {
  readonly parent: GraphQLObjectType;
  readonly field: Field;
}

const ALIASES = [45, 18, 8, 3, 1];
const PAGES = [100, 20, 5, 1];

/** Predictions are audited with their inputs, see `predictions.ts`. A first API key would lock the audit out. */
const LEFT_OUT: readonly string[] = ['predict', 'predictMany', 'createApiKey'];

export function auditFields(schema: GraphQLSchema, names: Names): Audited[] {
  const routes = routesOf(schema);
  return [...routes].flatMap(([type, route]) =>
    Object.values(type.getFields())
      .filter((field) => !LEFT_OUT.includes(field.name))
      .flatMap((field) =>
        [null, ...field.args.filter((arg) => !isRequiredArgument(arg))].map((arg) => {
          const name = `${type.name}.${field.name}${arg ? `(${arg.name})` : ''}`;
          return { name, sizes: sizesOf({ name, schema, names, route, type, field, arg }) };
        }),
      ),
  );
}

/** The shortest way from a root to each type of object. */
function routesOf(schema: GraphQLSchema): Map<GraphQLObjectType, readonly Step[]> {
  const roots = [schema.getQueryType(), schema.getMutationType()].filter(isObjectType);
  const routes = new Map<GraphQLObjectType, readonly Step[]>(roots.map((root) => [root, []]));
  for (const [parent, route] of routes) {
    for (const field of Object.values(parent.getFields())) {
      for (const type of objectsOf(schema, field)) {
        if (!routes.has(type) && !LEFT_OUT.includes(field.name)) routes.set(type, [...route, { parent, field }]);
      }
    }
  }
  return routes;
}

function objectsOf(schema: GraphQLSchema, field: Field): readonly GraphQLObjectType[] {
  const type = getNamedType(field.type);
  // Every object with an id is found elsewhere too.
  if (isAbstractType(type)) return type.name === 'Node' ? [] : schema.getPossibleTypes(type);
  return isObjectType(type) ? [type] : [];
}

interface Subject {
  readonly name: string;
  readonly schema: GraphQLSchema;
  readonly names: Names;
  readonly route: readonly Step[];
  readonly type: GraphQLObjectType;
  readonly field: Field;
  readonly arg: GraphQLArgument | null;
}

function sizesOf(subject: Subject): (() => AuditRequest)[] {
  const longest = subject.arg && takesString(subject.arg.type) ? [() => longestRequest(subject)] : [];
  return [...longest, ...sizesOfPages(subject)];
}

/** With one string that fills a body, in three fields. */
function longestRequest(subject: Subject): AuditRequest {
  const request = requestOf(subject, 1, 3);
  const variables = Object.entries(request.variables).map(([name, value]) => [name, withLongest(value)]);
  return { ...request, variables: Object.fromEntries(variables) };
}

/** The value with its first long string replaced. */
function withLongest(value: unknown): unknown {
  let isReplaced = false;
  return JSON.parse(JSON.stringify(value), (_, part: unknown) => {
    if (isReplaced || typeof part !== 'string' || part.length < 500) return part;
    isReplaced = true;
    return LONGEST_TEXT;
  });
}

function takesString(type: GraphQLInputType): boolean {
  const named = getNamedType(type);
  if (isInputObjectType(named)) return Object.values(named.getFields()).some((field) => takesString(field.type));
  return named.name === 'String' || named.name === 'ID';
}

function sizesOfPages(subject: Subject): (() => AuditRequest)[] {
  return PAGES.flatMap((page) => ALIASES.map((aliases) => () => requestOf(subject, page, aliases)));
}

function requestOf(subject: Subject, page: number, aliases: number): AuditRequest {
  const { name, schema, route, type, field, arg } = subject;
  const call = new Call(subject.names, page);
  const given = call.args(field, arg);
  const below = leavesOf(schema, field, call);
  const fields = Array.from({ length: aliases }, (_, i) => `a${i}: ${field.name}${given} ${below}`).join(' ');
  const query = route.reduceRight((inner, step) => {
    const on = isAbstractType(getNamedType(step.field.type))
      ? `... on ${typeAfter(step, route, type).name} { ${inner} }`
      : inner;
    return `${step.field.name}${call.args(step.field, null)} { ${on} }`;
  }, fields);
  const root = (route[0]?.parent ?? type) === schema.getMutationType() ? 'mutation' : 'query';
  return { name, query: `${root} ${call.declarations()} { ${query} }`, variables: call.variables };
}

function typeAfter(step: Step, route: readonly Step[], last: GraphQLObjectType): GraphQLObjectType {
  return route[route.indexOf(step) + 1]?.parent ?? last;
}

/** The arguments of the fields of one operation, each as a variable. */
class Call {
  readonly variables: Record<string, unknown> = {};
  readonly #names: Names;
  readonly #page: number;
  readonly #types: string[] = [];

  constructor(names: Names, page: number) {
    this.#names = names;
    this.#page = page;
  }

  args(field: Field, audited: GraphQLArgument | null): string {
    const given = field.args.filter((arg) => arg === audited || arg.name === 'first' || isRequiredArgument(arg));
    if (given.length === 0) return '';
    return `(${given.map((arg) => `${arg.name}: $${this.#declare(field, arg)}`).join(', ')})`;
  }

  declarations(): string {
    return this.#types.length === 0 ? '' : `(${this.#types.join(', ')})`;
  }

  #declare({ name }: Field, arg: GraphQLArgument): string {
    const variable = `v${this.#types.length}`;
    const isNaming = isNonNullType(arg.type) && arg.defaultValue === undefined;
    const argName = name === 'dataset' && arg.name === 'name' ? 'dataset' : arg.name;
    this.variables[variable] =
      arg.name === 'first'
        ? this.#page
        : isNaming
          ? namingValue(argName, arg.type, this.#names)
          : largestValue(argName, arg.type, this.#names);
    this.#types.push(`$${variable}: ${arg.type}`);
    return variable;
  }
}

/** All scalar fields of what a field returns. */
function leavesOf(schema: GraphQLSchema, field: Field, call: Call): string {
  const named = getNamedType(field.type);
  if (isLeafType(named)) return '';
  // Its fields are audited on the types that implement it.
  if (named.name === 'Node') return '{ __typename id }';
  if (isAbstractType(named)) {
    const types = schema.getPossibleTypes(named);
    const parts = types.map((type) => `... on ${type.name} { ${leavesOfType(type, call, clashesOf(types))} }`);
    return `{ __typename ${parts.join(' ')} }`;
  }
  return isObjectType(named) ? `{ ${leavesOfType(named, call, new Set())} }` : '';
}

/** Names of fields whose types differ between these: both can only be selected under aliases, of which there are few. */
function clashesOf(types: readonly GraphQLObjectType[]): ReadonlySet<string> {
  const found = new Map<string, string>();
  const clashes = new Set<string>();
  for (const { name, type } of types.flatMap((one) => Object.values(one.getFields()))) {
    if ((found.get(name) ?? String(type)) !== String(type)) clashes.add(name);
    found.set(name, String(type));
  }
  return clashes;
}

function leavesOfType(type: GraphQLObjectType, call: Call, clashes: ReadonlySet<string>): string {
  const leaves = Object.values(type.getFields()).filter((field) => isLeafType(getNamedType(field.type)));
  // Nodes of a page are what a page is for.
  const nodes = type.getFields()['nodes'];
  return [
    '__typename',
    ...leaves.map((leaf) => {
      const alias = clashes.has(leaf.name) ? `${type.name}_${leaf.name}: ` : '';
      return `${alias}${leaf.name}${call.args(leaf, null)}`;
    }),
    ...(nodes ? [`nodes { ${identifierOf(nodes)} }`] : []),
  ].join(' ');
}

/** `id`, or the first scalar of a type without one. */
function identifierOf(nodes: Field): string {
  const type = getNamedType(nodes.type) as GraphQLObjectType;
  const fields = Object.values(type.getFields());
  return (
    (fields.find(({ name }) => name === 'id') ?? fields.find((field) => isLeafType(getNamedType(field.type))))?.name ??
    '__typename'
  );
}
