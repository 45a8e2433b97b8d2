/**
 * What one request may ask for. The numbers are in one table, here; the README repeats it and a test compares. Those of
 * a document are enforced in `document-limits.ts`.
 *
 * Cost is what an operation may make us do: a root field costs 1, an element of a list 1 and what is selected of it, a
 * prediction 5, a count 5 for each page that has one; a list without a size of its own counts as one element.
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
  type ValidationRule,
} from 'graphql';
import { type ComplexityEstimator, getComplexity } from 'graphql-query-complexity';
import { MAX_BATCH } from '../prediction/predictions.js';
import { MAX_PAGE_SIZE } from '../storage/pages.js';
import { MAX_IMAGE_PIXELS } from '../tasks/image.js';

export const LIMITS = {
  maxBodyBytes: 16 * 1024 * 1024,
  maxDocumentBytes: 16 * 1024,
  /** With the comments. */
  maxTokens: 1_000,
  /** A thousand tokens, printed one field a line, take about 600. An error takes time for each line before its place. */
  maxLines: 600,
  /** Brackets of any kind inside each other: the parser recurses. Introspection has 13. */
  maxNesting: 64,
  maxOperations: 20,
  maxFragments: 50,
  maxVariables: 50,
  maxRootFields: 20,
  /** The operations in `schema/`, introspection and code generators use none; a page that compares needs some. */
  maxAliases: 50,
  maxDirectives: 128,
  maxDepth: 10,
  /** With those of fragments, each time they are spread. Introspection with all its options needs 240. */
  maxRecursiveSelections: 300,
  /** Of fields of one name in one place, each with each: what the rule about merging them does. */
  maxComparisons: 10_000,
  /** Those among them that differ by field or arguments: an error about them names every one. */
  maxDifferences: 50,
  maxPageSize: MAX_PAGE_SIZE,
  maxBatch: MAX_BATCH,
  maxCost: 10_000,
  maxImagePixels: MAX_IMAGE_PIXELS,
} as const;

type Variables = Readonly<Record<string, unknown>>;

const PREDICTION_COST = 5;
const COUNT_COST = 5;
/** Fields of a connection that run a count. */
const COUNTS: readonly string[] = ['totalCount', 'facets'];

/** graphql-js notices only when it executes, and then it looks like a failure of ours. */
export const knownOperations: ValidationRule = (context) => ({
  OperationDefinition(node) {
    if (context.getSchema().getRootType(node.operation)) return;
    context.reportError(new GraphQLError(`There are no ${node.operation}s here.`, { nodes: node }));
  },
});

/** Counts are done once for a page, however many elements it has. */
function estimatorFor(document: DocumentNode): ComplexityEstimator {
  return ({ type, field, args, childComplexity, node }) => {
    const counts = isConnection(getNamedType(field.type)) ? COUNT_COST * countsIn(node.selectionSet, document) : 0;
    if (isConnection(type) && COUNTS.includes(field.name)) return 0;
    return counts + priceOf(type, field, args, childComplexity);
  };
}

function priceOf(
  type: GraphQLCompositeType,
  field: GraphQLField<unknown, unknown>,
  args: Readonly<Record<string, unknown>>,
  ofChildren: number,
): number {
  if (field.name === 'predict') return PREDICTION_COST + ofChildren;
  if (field.name === 'predictMany') return sizeOf(inputsOf(args['input'])) * (PREDICTION_COST + ofChildren);
  if (typeof args['first'] === 'number') return Math.max(1, args['first']) * (1 + ofChildren);
  if (Array.isArray(args['ids'])) return sizeOf(args['ids']) * (1 + ofChildren);
  // The field that gave the connection or the payload has counted these elements already.
  const isCounted = isConnection(type) || type.name === 'PredictManyPayload';
  const isRoot = type.name === 'Query' || type.name === 'Mutation';
  const isOne = isLeafType(getNamedType(field.type)) || !isListType(getNullableType(field.type));
  return (isCounted || (isOne && !isRoot) ? 0 : 1) + ofChildren;
}

function isConnection({ name }: GraphQLNamedType): boolean {
  return name.endsWith('Connection');
}

/** How many counts are selected of a page, under different names. */
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

function sizeOf(list: unknown): number {
  return Array.isArray(list) ? Math.max(1, list.length) : 1;
}

/** Prices every operation before it runs, refuses what is too dear, and tells the price in `extensions.cost`. */
export function costLimit(limit: number): ApolloServerPlugin {
  const known = new WeakMap<OperationDefinitionNode, Map<string, number>>();
  return {
    async requestDidStart() {
      let requested: number | null = null;
      return {
        async didResolveOperation({ schema, request, document, operation }) {
          if (!operation) return;
          const variables = request.variables ?? {};
          const prices = known.get(operation) ?? new Map<string, number>();
          known.set(operation, prices);
          const key = priceKey(operation, variables);
          requested = prices.get(key) ?? price(schema, document, operation, variables);
          if (requested === null) return;
          if (prices.size < MAX_PRICES_KEPT) prices.set(key, requested);
          if (requested > limit) throw tooDear(requested, limit);
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

const MAX_PRICES_KEPT = 100;

/**
 * All that the price of an operation depends on: numbers, booleans and sizes of lists. Only of the variables that it
 * declares, in their order: names come from the caller, must not pass for values, and would be kept.
 */
function priceKey({ variableDefinitions = [] }: OperationDefinitionNode, variables: Variables): string {
  return variableDefinitions.map(({ variable }) => weightOf(variables[variable.name.value])).join();
}

function weightOf(value: unknown): string {
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  const list = Array.isArray(value) ? value : inputsOf(value);
  return Array.isArray(list) ? `[${list.length}]` : typeof value;
}

/** Null for variables that do not fit: execution answers that precisely. */
function price(
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

function tooDear(requested: number, limit: number): GraphQLError {
  const message = `The operation costs ${requested}; at most ${limit} is allowed. Ask for fewer or smaller pages.`;
  return new GraphQLError(message, { extensions: { code: 'COST_LIMIT_EXCEEDED', http: { status: 400 } } });
}
