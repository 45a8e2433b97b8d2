/**
 * The cost of an operation: an upper bound of the work that it causes.
 *
 * A root field costs 1. An element of a list costs 1 plus its selection; a list without a size counts as one element. A
 * prediction costs 5, and so does each count of a page.
 */
import type { ApolloServerPlugin } from '@apollo/server';
import {
  type DocumentNode,
  type GraphQLCompositeType,
  GraphQLError,
  type GraphQLField,
  type GraphQLNamedType,
  type GraphQLSchema,
  getNamedType,
  getNullableType,
  isLeafType,
  isListType,
  Kind,
  type OperationDefinitionNode,
  type SelectionSetNode,
} from 'graphql';
import { type ComplexityEstimator, getComplexity } from 'graphql-query-complexity';
import type { KnownDocuments } from './documents.js';

type Variables = Readonly<Record<string, unknown>>;

const PREDICTION_COST = 5;
const COUNT_COST = 5;
/** Fields of a connection that run a count. */
const COUNTS: readonly string[] = ['totalCount', 'totalCountCapped', 'facets'];

/** Adds the cost of a connection's counts once, however many elements the page has. */
function estimatorFor(document: DocumentNode): ComplexityEstimator {
  return ({ type, field, args, childComplexity, node }) => {
    const counts = isConnection(getNamedType(field.type)) ? COUNT_COST * countsIn(node.selectionSet, document) : 0;
    if (isConnection(type) && COUNTS.includes(field.name)) return 0;
    return counts + costOfField(type, field, args, childComplexity);
  };
}

function costOfField(
  type: GraphQLCompositeType,
  field: GraphQLField<unknown, unknown>,
  args: Readonly<Record<string, unknown>>,
  ofChildren: number,
): number {
  if (field.name === 'predict') return PREDICTION_COST + ofChildren;
  if (field.name === 'predictMany') return elementsOf(inputsOf(args['input'])) * (PREDICTION_COST + ofChildren);
  if (typeof args['first'] === 'number') return Math.max(1, args['first']) * (1 + ofChildren);
  if (Array.isArray(args['ids'])) return elementsOf(args['ids']) * (1 + ofChildren);
  // The field of the connection or payload has counted these elements already.
  const isCounted = isConnection(type) || type.name === 'PredictManyPayload';
  const isRoot = type.name === 'Query' || type.name === 'Mutation';
  const isOne = isLeafType(getNamedType(field.type)) || !isListType(getNullableType(field.type));
  return (isCounted || (isOne && !isRoot) ? 0 : 1) + ofChildren;
}

function isConnection({ name }: GraphQLNamedType): boolean {
  return name.endsWith('Connection');
}

/** The number of counts that are selected on a page. The same count under two aliases is counted twice. */
function countsIn(selectionSet: SelectionSetNode | undefined, { definitions }: DocumentNode): number {
  const names = new Set<string>();
  const open = new Set([selectionSet]);
  for (const set of open) {
    for (const node of set?.selections ?? []) {
      if (node.kind === Kind.INLINE_FRAGMENT) open.add(node.selectionSet);
      else if (node.kind === Kind.FIELD && COUNTS.includes(node.name.value)) names.add((node.alias ?? node.name).value);
      else if (node.kind === Kind.FRAGMENT_SPREAD) {
        const fragment = definitions.find(
          (d) => d.kind === Kind.FRAGMENT_DEFINITION && d.name.value === node.name.value,
        );
        if (fragment?.kind === Kind.FRAGMENT_DEFINITION) open.add(fragment.selectionSet);
      }
    }
  }
  return names.size;
}

function inputsOf(value: unknown): unknown {
  return (value as { inputs?: unknown } | null | undefined)?.inputs;
}

function elementsOf(list: unknown): number {
  return Array.isArray(list) ? Math.max(1, list.length) : 1;
}

/** Computes the cost of each operation before it runs, refuses it above `limit`, and reports the cost in `extensions.cost`. */
export function costLimit(limit: number, documents: KnownDocuments): ApolloServerPlugin {
  return {
    async requestDidStart() {
      let requested: number | null = null;
      return {
        async didResolveOperation({ schema, request, source, document, operation }) {
          if (!operation) return;
          const variables = request.variables ?? {};
          const compute = () => costOf(schema, document, operation, variables);
          requested = documents.costOf(source, costKey(operation, variables), compute);
          if (requested !== null && requested > limit) throw tooExpensive(requested, limit);
        },
        async willSendResponse({ response }) {
          if (requested === null || response.body.kind !== 'single') return;
          const result = response.body.singleResult;
          result.extensions = { ...result.extensions, cost: { requested, limit } };
        },
      };
    },
  };
}

/**
 * Everything that the cost of an operation depends on: its name, and the numbers, booleans and list sizes among its
 * declared variables, in order. Other values are left out, because clients could fill the cache with them.
 */
function costKey({ name, variableDefinitions = [] }: OperationDefinitionNode, variables: Variables): string {
  const weights = variableDefinitions.map(({ variable }) => weightOf(variables[variable.name.value]));
  return `${name?.value ?? ''}(${weights.join()})`;
}

function weightOf(value: unknown): string {
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  const list = Array.isArray(value) ? value : inputsOf(value);
  return Array.isArray(list) ? `[${list.length}]` : typeof value;
}

/** The cost of an operation; null if its variables are invalid, which execution reports. */
function costOf(
  schema: GraphQLSchema,
  document: DocumentNode,
  { name }: OperationDefinitionNode,
  variables: Variables,
): number | null {
  try {
    const named = name ? { operationName: name.value } : {};
    return getComplexity({ schema, query: document, variables, estimators: [estimatorFor(document)], ...named });
  } catch {
    return null;
  }
}

function tooExpensive(requested: number, limit: number): GraphQLError {
  const message = `The operation costs ${requested}; at most ${limit} is allowed. Request smaller pages or fewer inputs.`;
  return new GraphQLError(message, { extensions: { code: 'COST_LIMIT_EXCEEDED', http: { status: 400 } } });
}
