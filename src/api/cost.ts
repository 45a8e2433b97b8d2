/** Computes the cost of each operation before it runs, refuses it above the limit, and reports it in `extensions.cost`. */
import type { ApolloServerPlugin } from '@apollo/server';
import { GraphQLError } from 'graphql';
import type { VersionName } from '../graphql/cost.js';
import type { VersionSpec } from '../tasks/tasks.js';
import { type CostPlan, planCost } from './cost-plan.js';
import type { KnownDocuments } from './documents.js';
import { checkVariables, type Variables } from './variables.js';

/** The spec of a version that the caller may run; null if there is none. */
export type FindSpec<Context> = (version: VersionName, context: Context) => Promise<VersionSpec | null>;

/** Also checks the variables, which the cost depends on. */
export function costLimit<Context extends object>(
  limit: number,
  documents: KnownDocuments,
  findSpec: FindSpec<Context>,
): ApolloServerPlugin<Context> {
  return {
    async requestDidStart() {
      let requested: number | null = null;
      return {
        async didResolveOperation({ schema, request, source, document, operation, contextValue }) {
          if (!operation) return;
          const variables = request.variables ?? {};
          checkVariables(schema, operation, variables);
          const plan = documents.planOf(source, operation) ?? planCost(schema, document, operation);
          requested = await costOf(plan, variables, (version) => findSpec(version, contextValue));
          if (requested > limit) throw tooExpensive(requested, limit);
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

async function costOf(
  plan: CostPlan,
  variables: Variables,
  find: (version: VersionName) => Promise<VersionSpec | null>,
): Promise<number> {
  const versions = plan.versions(variables);
  if (versions.length === 0) return plan.cost(variables, () => null);
  const specs = new Map<string, VersionSpec | null>();
  for (const version of versions) {
    const key = keyOf(version);
    if (!specs.has(key)) specs.set(key, await find(version));
  }
  return plan.cost(variables, (version) => (version && specs.get(keyOf(version))) ?? null);
}

function keyOf({ model, variant }: VersionName): string {
  return variant === null ? model : `${model}\n${variant}`;
}

function tooExpensive(requested: number, limit: number): GraphQLError {
  const message = `The operation costs ${requested}; at most ${limit} is allowed. Request smaller pages, fewer fields, or fewer or smaller inputs.`;
  return new GraphQLError(message, { extensions: { code: 'COST_LIMIT_EXCEEDED', http: { status: 400 } } });
}
