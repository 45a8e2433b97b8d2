/**
 * Checks the variables of an operation before anything else reads them.
 *
 * graphql-js collects up to 50 errors, copies the whole value into each, and has no limit on lists. This check stops at the
 * fifth problem, shortens what was received, and looks at the length of a list before its elements. What it accepts,
 * graphql-js accepts too.
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
  type OperationDefinitionNode,
  typeFromAST,
} from 'graphql';
import { type InputProblem, type InputProblemCode, shortened } from '../errors.js';
import { LIMITS } from './limits.js';
import { INPUT_TYPES, shortVariables } from './short-strings.js';

export type Variables = Readonly<Record<string, unknown>>;

const MAX_PROBLEMS = 5;
const MAX_RECEIVED_CHARACTERS = 80;

/** @throws GraphQLError with the code BAD_USER_INPUT, which names up to five problems */
export function checkVariables(
  schema: GraphQLSchema,
  document: DocumentNode,
  operation: OperationDefinitionNode,
  variables: Variables,
): void {
  const declared = declaredBy(operation, schema);
  if (declared.length === 0) return;
  const short = shortVariables(schema, document);
  const walk = new Walk();
  for (const { name, type, isOptional } of declared) {
    const value = Object.hasOwn(variables, name) ? variables[name] : undefined;
    if (value === undefined && isOptional) continue;
    walk.path.push(name);
    walk.isShort = short.has(name);
    walk.check(type, value);
    walk.path.pop();
    if (walk.isOver) break;
  }
  if (walk.problems.length > 0) throw invalid(walk.problems);
}

/** A variable, or a field of an input object. */
interface Declared {
  readonly name: string;
  readonly type: GraphQLInputType;
  /** Whether it may be left out: its type is nullable, or it has a default value, which validation has checked. */
  readonly isOptional: boolean;
}

/** Documents are cached, so the variables of most operations are looked up once. */
const declaredByOperation = new WeakMap<OperationDefinitionNode, readonly Declared[]>();

function declaredBy(operation: OperationDefinitionNode, schema: GraphQLSchema): readonly Declared[] {
  const known = declaredByOperation.get(operation);
  if (known) return known;
  const declared: Declared[] = [];
  for (const { variable, type: typeNode, defaultValue } of operation.variableDefinitions ?? []) {
    const type = typeFromAST(schema, typeNode);
    if (!isInputType(type)) continue;
    declared.push({ name: variable.name.value, type, isOptional: defaultValue !== undefined || !isNonNullType(type) });
  }
  declaredByOperation.set(operation, declared);
  return declared;
}

const fieldsByType = new WeakMap<GraphQLInputObjectType, readonly Declared[]>();

function fieldsOf(type: GraphQLInputObjectType): readonly Declared[] {
  const known = fieldsByType.get(type);
  if (known) return known;
  const fields = Object.values(type.getFields()).map((field) => ({
    name: field.name,
    type: field.type,
    isOptional: field.defaultValue !== undefined || !isNonNullType(field.type),
  }));
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

  check(type: GraphQLInputType, value: unknown): void {
    const isRequired = isNonNullType(type);
    if (value === undefined || value === null) {
      if (isRequired) this.#add('MISSING', 'a value is required', String(type), value);
      return;
    }
    const nullable = isRequired ? type.ofType : type;
    if (isListType(nullable)) this.#checkList(nullable.ofType, value);
    else if (isInputObjectType(nullable)) this.#checkInputObject(nullable, value);
    else if (isLeafType(nullable)) this.#checkLeaf(nullable, value);
  }

  /** A value that is not a list counts as a list with that element. */
  #checkList(elementType: GraphQLInputType, value: unknown): void {
    if (!Array.isArray(value)) {
      this.check(elementType, value);
      return;
    }
    this.#elements += value.length;
    const tooLong = 'the list is too long';
    if (value.length > LIMITS.maxListLength) {
      this.#add('TOO_LARGE', tooLong, `at most ${LIMITS.maxListLength} elements`, value);
      return;
    }
    if (this.#elements > LIMITS.maxListElements) {
      const expected = `at most ${LIMITS.maxListElements} elements in all lists together`;
      this.#add('TOO_LARGE', tooLong, expected, value);
      return;
    }
    for (let i = 0; i < value.length && !this.isOver; i++) {
      this.path.push(i);
      this.check(elementType, value[i]);
      this.path.pop();
    }
  }

  #checkInputObject(type: GraphQLInputObjectType, value: unknown): void {
    const { isShort } = this;
    if (INPUT_TYPES.has(type.name)) this.isShort = false;
    this.#checkObject(type, value);
    this.isShort = isShort;
  }

  #checkObject(type: GraphQLInputObjectType, value: unknown): void {
    if (typeof value !== 'object' || Array.isArray(value)) {
      this.#add('WRONG_TYPE', 'the value is not an object', type.name, value);
      return;
    }
    const given = value as Readonly<Record<string, unknown>>;
    for (const { name, type: fieldType, isOptional } of fieldsOf(type)) {
      const own = given[name];
      if (own === undefined && isOptional) continue;
      this.path.push(name);
      this.check(fieldType, own);
      this.path.pop();
      if (this.isOver) return;
    }
    const fields = type.getFields();
    const keys = Object.keys(given);
    for (const key of keys) {
      if (Object.hasOwn(fields, key)) continue;
      this.path.push(shortened(key, MAX_RECEIVED_CHARACTERS));
      this.#add(
        'UNKNOWN_NAME',
        'there is no such field',
        `a field of ${type.name}`,
        shortened(key, MAX_RECEIVED_CHARACTERS),
      );
      this.path.pop();
      if (this.isOver) return;
    }
    const isOne = keys.length === 1 && given[keys[0] as string] !== null;
    if (type.isOneOf && !isOne) this.#add('WRONG_KIND', 'exactly one key is required', 'one key with a value', given);
  }

  #checkLeaf(type: GraphQLLeafType, value: unknown): void {
    const max = LIMITS.maxStringCharacters;
    if (!isAccepted(type, value)) this.#add('WRONG_TYPE', 'the value has the wrong type', type.name, value);
    else if (this.isShort && typeof value === 'string' && value.length > max)
      this.#add('TOO_LARGE', 'the string is too long', `at most ${max} characters`, value);
  }

  #add(code: InputProblemCode, message: string, expected: string, value: unknown): void {
    if (!this.isOver)
      this.problems.push({ path: this.path.map(String), code, message, expected, received: described(value) });
  }
}

const LONG: ReadonlySet<string> = new Set(['String', 'ID', 'JSON', 'JSONObject']);
/** Longer strings are not parsed as other scalars, whose errors would quote all of them. */
const MAX_PARSED_CHARACTERS = 1_000;

function isAccepted(type: GraphQLLeafType, value: unknown): boolean {
  if (isEnumType(type)) return typeof value === 'string' && type.getValue(value) !== undefined;
  if (typeof value === 'string' && value.length > MAX_PARSED_CHARACTERS)
    return LONG.has(type.name) || type.extensions['isLong'] === true;
  try {
    return type.parseValue(value) !== undefined;
  } catch {
    return false;
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
