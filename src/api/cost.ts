/** Limits the cost of operations, and reports it in `extensions.cost` of the answer. */
import type { ApolloServerPlugin } from '@apollo/server';
import {
  type DocumentNode,
  GraphQLError,
  type GraphQLSchema,
  type OperationDefinitionNode,
  OperationTypeNode,
} from 'graphql';
import { allows } from '../access/policy.js';
import type { Principal } from '../access/principal.js';
import type { Quota } from '../access/quota.js';
import type { ComputeMeter } from '../engine/queue.js';
import type { VersionName } from '../graphql/cost.js';
import type { VersionSpec } from '../tasks/tasks.js';
import type { OperationCost } from './cost-plan.js';
import { type KnownDocuments, type KnownOperation, planned } from './documents.js';
import { forbidden } from './forbidden.js';
import { QuotaMeter, takeQuery } from './quota-meter.js';
import { coerceVariables, type Variables } from './variables.js';

/** The spec of a version that the caller may run; null if there is none. */
export type FindSpec<Context> = (version: VersionName, context: Context) => Promise<VersionSpec | null>;

/** Whether an operation may be executed: decided once for a request. */
export interface Admission {
  /** The cost, in points; null if the variables are invalid, so that it is unknown. */
  readonly requested: number | null;
  /** Why the operation is not executed; null if it is. */
  readonly refusal: unknown;
  readonly execution: Execution | null;
  /** Of a mutation whose caller has a quota; null of others. */
  readonly meter: QuotaMeter | null;
}

/** What `execute` is given, if the variables are valid. */
interface Execution {
  readonly document: DocumentNode;
  readonly variables: Variables;
}

/** A request keeps its admission here, so that it is not decided again where Apollo Server answers the request. */
export interface AdmittedContext {
  readonly principal: Principal;
  readonly connection: { meter: ComputeMeter | null };
  admission: Admission | null;
}

export class OperationLimits<Context extends AdmittedContext> {
  constructor(
    readonly maxCost: number,
    private readonly schema: GraphQLSchema,
    private readonly findSpec: FindSpec<Context>,
  ) {}

  /** Also coerces the variables, which the cost depends on. */
  async admit(known: KnownOperation, variables: Variables, context: Context): Promise<Admission> {
    const { document, operation, plan, executable } = known;
    try {
      if (plan.introspects && !allows('introspect', context.principal))
        throw forbidden('Introspection', 'introspect', context.principal, true);
      const coerced = coerceVariables(this.schema, document, operation, variables);
      const versions = plan.versions(variables);
      const specs: (VersionSpec | null)[] = [];
      for (const [i, version] of versions.entries()) {
        // Fields that run the same version share one lookup.
        const first = versions.findIndex((other) => isSame(other, version));
        specs.push(first < i ? (specs[first] ?? null) : version && (await this.findSpec(version, context)));
      }
      const cost = plan.cost(variables, specs);
      const { requested, limited } = cost;
      const refusal = limited > this.maxCost ? tooExpensive(requested, this.maxCost) : null;
      const { quota } = context.principal;
      const meter = quota && !refusal ? meterOf(quota, operation, cost) : null;
      if (meter) context.connection.meter = meter;
      return { requested, refusal, execution: { document: executable, variables: coerced }, meter };
    } catch (error) {
      return { requested: null, refusal: error, execution: null, meter: null };
    }
  }

  /** The `extensions` of an answer. */
  extensionsOf({ requested }: Admission): { readonly cost: object } | undefined {
    return requested === null ? undefined : { cost: { requested, limit: this.maxCost } };
  }
}

/** Applies the limits to the requests that Apollo Server answers. */
export function costLimit<Context extends AdmittedContext>(
  limits: OperationLimits<Context>,
  documents: KnownDocuments,
): ApolloServerPlugin<Context> {
  return {
    async requestDidStart() {
      return {
        async didResolveOperation({ schema, request, source, document, operation, contextValue }) {
          if (!operation) return;
          if (!contextValue.admission) {
            // The document may have been evicted since the request arrived.
            const known = documents.operationOf(source, request.operationName) ?? planned(schema, document, operation);
            contextValue.admission = await limits.admit(known, request.variables ?? {}, contextValue);
          }
          if (contextValue.admission.refusal) throw contextValue.admission.refusal;
        },
        async willSendResponse({ response, contextValue: { admission } }) {
          const extensions = admission && limits.extensionsOf(admission);
          if (!extensions || response.body.kind !== 'single') return;
          const result = response.body.singleResult;
          result.extensions = { ...result.extensions, ...extensions };
        },
      };
    },
  };
}

/** @throws GraphQLError if a query may not run */
function meterOf(quota: Quota, { operation }: OperationDefinitionNode, cost: OperationCost): QuotaMeter | null {
  if (operation === OperationTypeNode.MUTATION) return new QuotaMeter(quota, cost);
  takeQuery(quota, cost);
  return null;
}

function isSame(a: VersionName | null, b: VersionName | null): boolean {
  return a?.model === b?.model && a?.variant === b?.variant;
}

function tooExpensive(requested: number, limit: number): GraphQLError {
  const message = `The operation costs ${requested}; at most ${limit} is allowed. Request smaller pages, fewer fields, or fewer or smaller inputs.`;
  return new GraphQLError(message, { extensions: { code: 'COST_LIMIT_EXCEEDED', http: { status: 400 } } });
}
