/**
 * What one operation may ask for. The numbers are in one table, here; the README repeats it and a test compares.
 *
 * Depth is a validation rule. Cost is what an operation may make us do: a root field costs 1, an element of a list 1
 * and what is selected of it, a prediction 5, a count 5; a list without a size of its own counts as one element.
 */
import type { ApolloServerPlugin } from '@apollo/server';
import {
  type DocumentNode,
  type FragmentDefinitionNode,
  GraphQLError,
  type GraphQLSchema,
  getNamedType,
  getNullableType,
  isLeafType,
  isListType,
  Kind,
  type SelectionSetNode,
  type ValidationRule,
} from 'graphql';
import { type ComplexityEstimator, getComplexity } from 'graphql-query-complexity';
import { MAX_PAGE_SIZE } from '../graphql/connection.type.js';
import { MAX_BATCH } from '../prediction/predictions.js';
import { MAX_IMAGE_PIXELS } from '../tasks/image.js';

export const LIMITS = {
  maxDepth: 10,
  maxTokens: 1_000,
  maxBodyBytes: 16 * 1024 * 1024,
  maxPageSize: MAX_PAGE_SIZE,
  maxBatch: MAX_BATCH,
  maxCost: 10_000,
  maxImagePixels: MAX_IMAGE_PIXELS,
} as const;

const PREDICTION_COST = 5;
const COUNT_COST = 5;

/** Refuses operations that nest deeper than `limit`; introspection does not count. */
export const maxDepth =
  (limit: number): ValidationRule =>
  (context) => ({
    Document(document) {
      const fragments = new Map<string, FragmentDefinitionNode>();
      for (const node of document.definitions) {
        if (node.kind === Kind.FRAGMENT_DEFINITION) fragments.set(node.name.value, node);
      }
      const depthOf = depthMeter(fragments);
      for (const node of document.definitions) {
        if (node.kind !== Kind.OPERATION_DEFINITION) continue;
        const depth = depthOf(node.selectionSet);
        if (depth > limit) {
          context.reportError(
            new GraphQLError(`The operation is ${depth} levels deep; at most ${limit} are allowed.`, { nodes: node }),
          );
        }
      }
    },
  });

/** graphql-js notices only when it executes, and then it looks like a failure of ours. */
export const knownOperations: ValidationRule = (context) => ({
  OperationDefinition(node) {
    if (context.getSchema().getRootType(node.operation)) return;
    context.reportError(new GraphQLError(`There are no ${node.operation}s here.`, { nodes: node }));
  },
});

/** Each fragment is measured once: chains of spreads would otherwise cost 2^n. */
function depthMeter(fragments: ReadonlyMap<string, FragmentDefinitionNode>): (set: SelectionSetNode) => number {
  const known = new Map<string, number>();
  const ofFragment = (name: string): number => {
    if (!known.has(name)) {
      known.set(name, 0); // Ends cycles; graphql-js reports them itself.
      const fragment = fragments.get(name);
      if (fragment) known.set(name, depthOf(fragment.selectionSet));
    }
    return known.get(name) ?? 0;
  };
  const depthOf = (set: SelectionSetNode): number =>
    set.selections.reduce((deepest, selection) => {
      if (selection.kind === Kind.INLINE_FRAGMENT) return Math.max(deepest, depthOf(selection.selectionSet));
      if (selection.kind === Kind.FRAGMENT_SPREAD) return Math.max(deepest, ofFragment(selection.name.value));
      if (selection.name.value.startsWith('__')) return deepest;
      return Math.max(deepest, 1 + (selection.selectionSet ? depthOf(selection.selectionSet) : 0));
    }, 0);
  return depthOf;
}

const estimate: ComplexityEstimator = ({ type, field, args, childComplexity }) => {
  if (field.name === 'predict') return PREDICTION_COST + childComplexity;
  if (field.name === 'predictMany') return sizeOf(args['input']?.inputs) * (PREDICTION_COST + childComplexity);
  if (field.name === 'totalCount' || field.name === 'facets') return COUNT_COST + childComplexity;
  if (typeof args['first'] === 'number') return Math.max(1, args['first']) * (1 + childComplexity);
  if (Array.isArray(args['ids'])) return sizeOf(args['ids']) * (1 + childComplexity);
  // The field that gave the connection or the payload has counted these elements already.
  const isCounted = /Connection$|^PredictManyPayload$/.test(type.name);
  const isRoot = type.name === 'Query' || type.name === 'Mutation';
  const isOne = isLeafType(getNamedType(field.type)) || !isListType(getNullableType(field.type));
  return (isCounted || (isOne && !isRoot) ? 0 : 1) + childComplexity;
};

function sizeOf(list: unknown): number {
  return Array.isArray(list) ? Math.max(1, list.length) : 1;
}

/** Prices every operation before it runs, refuses what is too dear, and tells the price in `extensions.cost`. */
export function costLimit(limit: number): ApolloServerPlugin {
  const known = new WeakMap<DocumentNode, Map<string, number>>();
  return {
    async requestDidStart() {
      let requested: number | null = null;
      return {
        async didResolveOperation({ schema, request, document, operationName }) {
          const variables = request.variables ?? {};
          const prices = known.get(document) ?? new Map<string, number>();
          known.set(document, prices);
          const key = priceKey(operationName, variables);
          requested = prices.get(key) ?? price(schema, document, operationName, variables);
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

/** All that the price of a document depends on: which variables there are, numbers, booleans and sizes of lists. */
function priceKey(operationName: string | null, variables: Readonly<Record<string, unknown>>): string {
  // As JSON: names come from the caller, and must not be able to pass for several variables.
  return JSON.stringify([
    operationName,
    ...Object.entries(variables).map(([name, value]) => [name, typeof value, weightOf(value)]),
  ]);
}

function weightOf(value: unknown): string {
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  const list = Array.isArray(value) ? value : (value as { inputs?: unknown } | null)?.inputs;
  return Array.isArray(list) ? String(list.length) : '';
}

/** Null for variables that do not fit: execution answers that precisely. */
function price(
  schema: GraphQLSchema,
  document: DocumentNode,
  operationName: string | null,
  variables: Readonly<Record<string, unknown>>,
): number | null {
  try {
    const named = operationName === null ? {} : { operationName };
    return getComplexity({ schema, query: document, variables, estimators: [estimate], ...named });
  } catch {
    return null;
  }
}

function tooDear(requested: number, limit: number): GraphQLError {
  const message = `The operation costs ${requested}; at most ${limit} is allowed. Ask for fewer or smaller pages.`;
  return new GraphQLError(message, { extensions: { code: 'COST_LIMIT_EXCEEDED', http: { status: 400 } } });
}
