/** Computes the cost of each operation before it runs, refuses it above the limit, and reports it in `extensions.cost`. */
import type { ApolloServerPlugin } from '@apollo/server';
import { GraphQLError } from 'graphql';
import type { VersionName } from '../graphql/cost.js';
import type { VersionSpec } from '../tasks/tasks.js';
import { planCost } from './cost-plan.js';
import type { KnownDocuments } from './documents.js';
import { checkVariables } from './variables.js';

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
          checkVariables(schema, document, operation, variables);
          const plan = documents.planOf(source, operation) ?? planCost(schema, document, operation);
          const versions = plan.versions(variables);
          const specs: (VersionSpec | null)[] = [];
          for (const [i, version] of versions.entries()) {
            // Fields that run the same version share one lookup.
            const first = versions.findIndex((other) => isSame(other, version));
            specs.push(first < i ? (specs[first] ?? null) : version && (await findSpec(version, contextValue)));
          }
          const cost = plan.cost(variables, specs);
          requested = cost.requested;
          if (cost.limited > limit) throw tooExpensive(requested, limit);
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

function isSame(a: VersionName | null, b: VersionName | null): boolean {
  return a?.model === b?.model && a?.variant === b?.variant;
}

function tooExpensive(requested: number, limit: number): GraphQLError {
  const message = `The operation costs ${requested}; at most ${limit} is allowed. Request smaller pages, fewer fields, or fewer or smaller inputs.`;
  return new GraphQLError(message, { extensions: { code: 'COST_LIMIT_EXCEEDED', http: { status: 400 } } });
}
