/**
 * Bounds the answers of a schema: what an answer holds and what is read for it is reserved in its budget, and aliases of
 * a field of an object with the same arguments share one call of its resolver.
 *
 * Only fields that can be large or that have a resolver are wrapped. A field that does not fit is null, and so is the
 * nearest nullable field around it; however many do not fit, the answer has one error for them.
 */
import {
  defaultFieldResolver,
  type FieldNode,
  GraphQLError,
  type GraphQLField,
  type GraphQLResolveInfo,
  type GraphQLSchema,
  isNonNullType,
  isObjectType,
  Kind,
  type OperationDefinitionNode,
  OperationTypeNode,
  print,
  responsePathAsArray,
  visit,
} from 'graphql';
import { Sized } from '../graphql/sized.js';
import { bytesOfElement, type Measure, measureOf } from './answer-size.js';
import { type AnswerBudget, type BudgetRefusal, RETRY_AFTER_MS } from './response-budget.js';

interface LeftOut {
  fields: number;
  readonly error: GraphQLError;
}

/** What is kept for the answer of one request. Most answers need neither map, so they are created on first use. */
export class AnswerState {
  /** The results of resolvers, by root field (mutations only), then by object, then by field and arguments. */
  results: Map<string, WeakMap<object, Map<string, unknown>>> | null = null;
  leftOut: Map<BudgetRefusal, LeftOut> | null = null;

  constructor(readonly budget: AnswerBudget) {}
}

interface AnswerContext {
  readonly answer: AnswerState;
}

type Field = GraphQLField<unknown, AnswerContext>;
type Resolve = NonNullable<Field['resolve']>;

export function boundAnswers(schema: GraphQLSchema): GraphQLSchema {
  for (const type of Object.values(schema.getTypeMap())) {
    if (!isObjectType(type) || type.name.startsWith('__')) continue;
    for (const field of Object.values(type.getFields()) as Field[]) {
      const measure = measureOf(field.type);
      const resolve = field.resolve && once(field.resolve);
      if (measure || resolve) field.resolve = bounded(resolve ?? defaultFieldResolver, measure);
    }
  }
  return schema;
}

function bounded(resolve: Resolve, measure: Measure | null): Resolve {
  return (source, args, context, info) => {
    const value = resolve(source, args, context, info);
    if (!isPromise(value)) return admit(value, measure, context, info);
    return value.then((resolved) => admit(resolved, measure, context, info));
  };
}

function isPromise(value: unknown): value is Promise<unknown> {
  return typeof (value as { then?: unknown } | null | undefined)?.then === 'function';
}

/** The value, if it fits into the budget. Large values are made and completed in turns. */
function admit(value: unknown, measure: Measure | null, context: AnswerContext, info: GraphQLResolveInfo): unknown {
  if (value === null || value === undefined) return value;
  if (value instanceof Sized) return admitSized(value, measure, context, info);
  if (!measure) return value;
  const bytes = measure(value, info);
  const refusal = context.answer.budget.reserve(bytes, 0);
  return refusal ? leaveOut(refusal, context, info) : inTurn(bytes, () => value, context, info);
}

function admitSized(value: Sized<unknown>, measure: Measure | null, context: AnswerContext, info: GraphQLResolveInfo) {
  const { readBytes = 0, jsonBytes, elements, isRecorded = false } = value.size;
  if (isRecorded) context.answer.budget.hasRecordedContents = true;
  const answerBytes = jsonBytes ?? (elements === undefined ? 0 : elements * bytesOfElement(info));
  const refusal = context.answer.budget.reserve(answerBytes, value.isReserved ? 0 : readBytes);
  if (refusal) return leaveOut(refusal, context, info);
  value.isReserved = true;
  const made = value.isDecoded
    ? value.value((decode) => inTurn(readBytes + answerBytes, decode, context, info))
    : inTurn(answerBytes, () => value.value(), context, info);
  if (!measure || jsonBytes !== undefined || elements !== undefined) return made;
  return isPromise(made)
    ? made.then((resolved) => admit(resolved, measure, context, info))
    : admit(made, measure, context, info);
}

/** Calls `work` in a turn, unless nobody waits for the answer anymore. */
function inTurn(bytes: number, work: () => unknown, context: AnswerContext, info: GraphQLResolveInfo): unknown {
  const { budget } = context.answer;
  return budget.inTurn(bytes, () => (budget.isClosed ? leaveOut('inFlight', context, info) : work()));
}

/** Null, for a field that does not fit. @throws GraphQLError if the field must not be null, or is the first */
function leaveOut(refusal: BudgetRefusal, { answer }: AnswerContext, info: GraphQLResolveInfo): null {
  answer.leftOut ??= new Map();
  const leftOut = answer.leftOut.get(refusal);
  if (!leftOut) {
    const error = errorOf(refusal, answer.budget.maxBytes, 1, {
      nodes: info.fieldNodes,
      path: responsePathAsArray(info.path),
    });
    answer.leftOut.set(refusal, { fields: 1, error });
    throw error;
  }
  leftOut.fields++;
  // The first error stands for all: graphql-js does not wrap an error that has a path, so this costs nothing.
  if (isNonNullType(info.returnType)) throw leftOut.error;
  return null;
}

/** Where the first field is that was left out. */
interface Where {
  readonly nodes?: GraphQLError['nodes'];
  readonly path?: GraphQLError['path'];
}

function errorOf(refusal: BudgetRefusal, maxBytes: number, fields: number, { nodes, path }: Where): GraphQLError {
  const subject = fields === 1 ? 'This field was left out' : `${fields} fields were left out, this one first`;
  const where = { nodes: nodes ?? null, path: path ?? null };
  if (refusal === 'answer') {
    const message = `${subject}: the answer, or the data to be read for it, would exceed ${maxBytes} bytes (maxResponseBytes). Select fewer fields or objects per operation.`;
    return new GraphQLError(message, { ...where, extensions: { code: 'RESPONSE_TOO_LARGE', leftOut: fields } });
  }
  const message = `${subject}: the answers that are being made or sent hold as many bytes as you may use. Receive yours, and try again in ${RETRY_AFTER_MS} ms.`;
  const retry = { retryable: true, retryAfterMs: RETRY_AFTER_MS };
  return new GraphQLError(message, { ...where, extensions: { code: 'OVERLOADED', ...retry, leftOut: fields } });
}

/** Leaves one error for each reason why fields were left out, with their number. Changes the list. */
export function mergeErrors({ leftOut, budget }: AnswerState, errors: GraphQLError[]): void {
  for (const [refusal, { error, fields }] of leftOut ?? []) {
    const others = errors.filter((other) => other !== error);
    errors.splice(0, errors.length, errorOf(refusal, budget.maxBytes, fields, error), ...others);
  }
}

/** Calls the resolver once for equal fields of an object. Documents without aliases have no equal fields. */
function once(resolve: Resolve): Resolve {
  return (source, args, context, info) => {
    // Root fields of a mutation are operations of their own, and what they return is not kept.
    const isOperation = !info.path.prev && info.operation.operation === OperationTypeNode.MUTATION;
    if (isOperation || !hasAliases(info)) return resolve(source, args, context, info);
    const results = resultsOf(source ?? context, context, info);
    const key = fieldKey(info.fieldNodes[0] as FieldNode);
    if (results.has(key)) return results.get(key);
    const value = resolve(source, args, context, info);
    results.set(key, value);
    return value;
  };
}

/** A mutation may change what the fields of the next one return, so each has results of its own. */
function resultsOf(source: object, { answer }: AnswerContext, { operation, path }: GraphQLResolveInfo) {
  let root = path;
  if (operation.operation === OperationTypeNode.MUTATION) while (root.prev) root = root.prev;
  const scope = operation.operation === OperationTypeNode.MUTATION ? String(root.key) : '';
  answer.results ??= new Map();
  const bySource = answer.results.get(scope) ?? new WeakMap<object, Map<string, unknown>>();
  answer.results.set(scope, bySource);
  const results = bySource.get(source) ?? new Map<string, unknown>();
  bySource.set(source, results);
  return results;
}

const aliased = new WeakMap<OperationDefinitionNode, boolean>();

function hasAliases({ operation, fragments }: GraphQLResolveInfo): boolean {
  const known = aliased.get(operation);
  if (known !== undefined) return known;
  let found = false;
  const definitions = [operation, ...Object.values(fragments)];
  visit(
    { kind: Kind.DOCUMENT, definitions },
    {
      Field(node) {
        if (node.alias) found = true;
      },
    },
  );
  aliased.set(operation, found);
  return found;
}

const keys = new WeakMap<FieldNode, string>();

/** The field and its arguments as they are written. Variables have one value in a request, so their names suffice. */
function fieldKey(node: FieldNode): string {
  const known = keys.get(node) ?? `${node.name.value}(${(node.arguments ?? []).map(print).sort().join()})`;
  keys.set(node, known);
  return known;
}
