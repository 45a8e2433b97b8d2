/**
 * Coerces the variables of an operation before anything else reads them.
 *
 * graphql-js collects up to 50 errors, copies the whole value into each, has no limit on lists, and takes longer. This stops at
 * the fifth problem, shortens what was received, and looks at the length of a list before its elements. The values are those
 * that graphql-js would coerce them to, so `passingVariables` lets it take them as they are.
 */
import {
  type DocumentNode,
  GraphQLError,
  type GraphQLInputObjectType,
  type GraphQLInputType,
  type GraphQLLeafType,
  type GraphQLSchema,
  isEnumType,
  isInputObjectType,
  isInputType,
  isLeafType,
  isListType,
  isNonNullType,
  Kind,
  type NamedTypeNode,
  type OperationDefinitionNode,
  typeFromAST,
  valueFromAST,
} from 'graphql';
import { type InputProblem, type InputProblemCode, shortened } from '../errors.js';
import { JSONValue } from '../graphql/scalars.js';
import { LIMITS } from './limits.js';
import { INPUT_TYPES, shortVariables } from './short-strings.js';

export type Variables = Readonly<Record<string, unknown>>;

const MAX_PROBLEMS = 5;
const MAX_RECEIVED_CHARACTERS = 80;

/**
 * The variables as resolvers get them, with default values.
 *
 * @throws GraphQLError with the code BAD_USER_INPUT, which names up to five problems
 */
export function coerceVariables(
  schema: GraphQLSchema,
  document: DocumentNode,
  operation: OperationDefinitionNode,
  sent: Variables,
): Variables {
  const declared = declaredBy(operation, schema);
  if (declared.length === 0) return {};
  const short = shortVariables(schema, document);
  // A variable may be called `__proto__`.
  const coerced: Record<string, unknown> = Object.create(null);
  const walk = new Walk();
  for (const variable of declared) {
    const { name } = variable;
    walk.isShort = short.has(name);
    walk.coerceDeclared(variable, Object.hasOwn(sent, name) ? sent[name] : undefined, coerced);
    if (walk.isOver) break;
  }
  if (walk.problems.length > 0) throw invalid(walk.problems);
  return coerced;
}

/** A scalar of the schema that takes any value as it is. */
const ANY: NamedTypeNode = { kind: Kind.NAMED_TYPE, name: { kind: Kind.NAME, value: JSONValue.name } };

/** The same document for `execute`, which takes the variables of this operation as they are. */
export function passingVariables(
  { definitions, ...document }: DocumentNode,
  own: OperationDefinitionNode,
): DocumentNode {
  const variableDefinitions =
    own.variableDefinitions?.map(({ kind, variable }) => ({ kind, variable, type: ANY })) ?? [];
  return {
    ...document,
    definitions: definitions.map((definition) => (definition === own ? { ...own, variableDefinitions } : definition)),
  };
}

/** A variable, or a field of an input object. */
interface Declared {
  readonly name: string;
  readonly type: GraphQLInputType;
  /** Undefined if there is none. */
  readonly defaultValue: unknown;
}

/** Documents are cached, so the variables of most operations are looked up once. */
const declaredByOperation = new WeakMap<OperationDefinitionNode, readonly Declared[]>();

function declaredBy(operation: OperationDefinitionNode, schema: GraphQLSchema): readonly Declared[] {
  const known = declaredByOperation.get(operation);
  if (known) return known;
  const declared: Declared[] = [];
  for (const { variable, type: typeNode, defaultValue } of operation.variableDefinitions ?? []) {
    const type = typeFromAST(schema, typeNode);
    if (isInputType(type))
      declared.push({ name: variable.name.value, type, defaultValue: valueFromAST(defaultValue, type) });
  }
  declaredByOperation.set(operation, declared);
  return declared;
}

const fieldsByType = new WeakMap<GraphQLInputObjectType, readonly Declared[]>();

function fieldsOf(type: GraphQLInputObjectType): readonly Declared[] {
  const known = fieldsByType.get(type);
  if (known) return known;
  const fields = Object.values(type.getFields()).map(({ name, type, defaultValue }) => ({ name, type, defaultValue }));
  fieldsByType.set(type, fields);
  return fields;
}

class Walk {
  readonly problems: InputProblem[] = [];
  /** Where the walk is: the variable, then keys and indices. */
  readonly path: (string | number)[] = [];
  /** Whether strings have the limit of arguments that are not part of an input. */
  isShort = false;
  #elements = 0;

  get isOver(): boolean {
    return this.problems.length >= MAX_PROBLEMS;
  }

  /** Adds the value to `coerced`, or the default value if none was sent and there is one. */
  coerceDeclared({ name, type, defaultValue }: Declared, sent: unknown, coerced: Record<string, unknown>): void {
    if (sent === undefined && defaultValue !== undefined) coerced[name] = defaultValue;
    else if (sent !== undefined || isNonNullType(type)) {
      this.path.push(name);
      coerced[name] = this.coerce(type, sent);
      this.path.pop();
    }
  }

  coerce(type: GraphQLInputType, value: unknown): unknown {
    const isRequired = isNonNullType(type);
    if (value === undefined || value === null) {
      if (isRequired) this.#add('MISSING', 'a value is required', String(type), value);
      return null;
    }
    const nullable = isRequired ? type.ofType : type;
    if (isLeafType(nullable)) return this.#coerceLeaf(nullable, value);
    if (isInputObjectType(nullable)) return this.#coerceInputObject(nullable, value);
    return isListType(nullable) ? this.#coerceList(nullable.ofType, value) : null;
  }

  /** A value that is not a list counts as a list with that element. */
  #coerceList(elementType: GraphQLInputType, value: unknown): unknown {
    if (!Array.isArray(value)) return [this.coerce(elementType, value)];
    this.#elements += value.length;
    const tooLong = 'the list is too long';
    if (value.length > LIMITS.maxListLength) {
      this.#add('TOO_LARGE', tooLong, `at most ${LIMITS.maxListLength} elements`, value);
      return null;
    }
    if (this.#elements > LIMITS.maxListElements) {
      const expected = `at most ${LIMITS.maxListElements} elements in all lists together`;
      this.#add('TOO_LARGE', tooLong, expected, value);
      return null;
    }
    const coerced: unknown[] = [];
    for (let i = 0; i < value.length && !this.isOver; i++) {
      this.path.push(i);
      coerced.push(this.coerce(elementType, value[i]));
      this.path.pop();
    }
    return coerced;
  }

  #coerceInputObject(type: GraphQLInputObjectType, value: unknown): unknown {
    const { isShort } = this;
    if (INPUT_TYPES.has(type.name)) this.isShort = false;
    const coerced = this.#coerceObject(type, value);
    this.isShort = isShort;
    return coerced;
  }

  #coerceObject(type: GraphQLInputObjectType, value: unknown): unknown {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      this.#add('WRONG_TYPE', 'the value is not an object', type.name, value);
      return null;
    }
    const given = value as Readonly<Record<string, unknown>>;
    const coerced: Record<string, unknown> = {};
    for (const field of fieldsOf(type)) {
      this.coerceDeclared(field, given[field.name], coerced);
      if (this.isOver) return null;
    }
    this.#checkKeys(type, given);
    return coerced;
  }

  #checkKeys(type: GraphQLInputObjectType, given: Readonly<Record<string, unknown>>): void {
    const fields = type.getFields();
    const keys = Object.keys(given);
    for (const key of keys) {
      if (Object.hasOwn(fields, key)) continue;
      const name = shortened(key, MAX_RECEIVED_CHARACTERS);
      this.path.push(name);
      this.#add('UNKNOWN_NAME', 'there is no such field', `a field of ${type.name}`, name);
      this.path.pop();
      if (this.isOver) return;
    }
    const isOne = keys.length === 1 && given[keys[0] as string] !== null;
    if (type.isOneOf && !isOne) this.#add('WRONG_KIND', 'exactly one key is required', 'one key with a value', given);
  }

  #coerceLeaf(type: GraphQLLeafType, value: unknown): unknown {
    const coerced = leafOf(type, value);
    const max = LIMITS.maxStringCharacters;
    if (coerced === undefined) this.#add('WRONG_TYPE', 'the value has the wrong type', type.name, value);
    else if (this.isShort && typeof value === 'string' && value.length > max)
      this.#add('TOO_LARGE', 'the string is too long', `at most ${max} characters`, value);
    return coerced;
  }

  #add(code: InputProblemCode, message: string, expected: string, value: unknown): void {
    if (!this.isOver)
      this.problems.push({ path: this.path.map(String), code, message, expected, received: described(value) });
  }
}

const LONG: ReadonlySet<string> = new Set(['String', 'ID', 'JSON', 'JSONObject']);
/** Longer strings are not parsed as other scalars, whose errors would quote all of them. */
const MAX_PARSED_CHARACTERS = 1_000;

/** Undefined if the type does not accept the value. */
function leafOf(type: GraphQLLeafType, value: unknown): unknown {
  if (isEnumType(type)) return typeof value === 'string' ? type.getValue(value)?.value : undefined;
  const isLong = LONG.has(type.name) || type.extensions['isLong'] === true;
  if (typeof value === 'string' && value.length > MAX_PARSED_CHARACTERS && !isLong) return undefined;
  try {
    return type.parseValue(value);
  } catch {
    return undefined;
  }
}

/** A short description of any value, in time that does not depend on its size. */
function described(value: unknown): string | null {
  if (value === undefined) return null;
  if (typeof value === 'string') return JSON.stringify(shortened(value, MAX_RECEIVED_CHARACTERS));
  if (Array.isArray(value)) return `a list of ${value.length} elements`;
  if (typeof value === 'object' && value !== null)
    return Object.keys(value).length === 0 ? 'an empty object' : 'an object';
  return String(value);
}

function invalid(problems: readonly InputProblem[]): GraphQLError {
  const [first] = problems as [InputProblem];
  const { path, message, expected, received } = first;
  const [variable, ...rest] = path;
  const at = rest.length > 0 ? ` at ${rest.join('.')}` : '';
  const more = problems.length > 1 ? ` (and ${problems.length - 1} more)` : '';
  const text = `Variable "$${variable}" is invalid${at}: ${message}; expected ${expected}, received ${received ?? 'nothing'}${more}.`;
  return new GraphQLError(text, { extensions: { code: 'BAD_USER_INPUT', problems, http: { status: 400 } } });
}
