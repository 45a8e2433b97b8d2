/** Takes what an operation uses from the quota of its caller: of a query at once, of a mutation field by field. */
import { HeaderMap } from '@apollo/server';
import { GraphQLError } from 'graphql';
import type { Quota } from '../access/quota.js';
import type { ComputeMeter } from '../engine/queue.js';
import type { QuotaExceededError } from '../errors.js';
import type { OperationCost, RootCost } from './cost-plan.js';

/** Of a core: what a point stands for. */
const MS_PER_POINT = 0.05;

/** Takes what a query costs. @throws GraphQLError with the status 429 if it may not run */
export function takeQuery(quota: Quota, { requested, roots }: OperationCost): void {
  const refusal = quota.take({ operations: roots.length, computeMs: requested * MS_PER_POINT, bytes: 0 });
  if (!refusal) return;
  const headers = new HeaderMap([['retry-after', String(retryAfterSeconds(refusal))]]);
  const extensions = { ...extensionsOf(refusal), http: { status: 429, headers } };
  throw new GraphQLError(refusal.message, { extensions });
}

export function extensionsOf({ code, retryable, retryAfterMs, quota, limit, used }: QuotaExceededError) {
  return { code, retryable, retryAfterMs, quota, limit, used };
}

/** For the header Retry-After. What never fits is refused until the day ends, and then again. */
export function retryAfterSeconds({ retryAfterMs }: QuotaExceededError): number {
  return Math.ceil((retryAfterMs ?? 86_400_000) / 1_000);
}

/** Of one mutation. Its root fields run one after another. */
export class QuotaMeter implements ComputeMeter {
  readonly #quota: Quota;
  readonly #day: number;
  readonly #roots: readonly RootCost[];
  unknownMs = 0;

  constructor(quota: Quota, { roots }: OperationCost) {
    this.#quota = quota;
    this.#day = quota.day;
    this.#roots = roots;
  }

  /** To be called before a root field runs: takes what it costs, except for running models. Returns why it may not run. */
  begin(name: string | number): QuotaExceededError | null {
    const { points = 0, runPoints = 0, inputs = 0 } = this.#roots.find((root) => root.name === name) ?? {};
    this.unknownMs = inputs > 0 ? (runPoints * MS_PER_POINT) / inputs : 0;
    return this.#quota.take({ operations: 1, computeMs: points * MS_PER_POINT, bytes: 0 });
  }

  take(predictedMs: number): QuotaExceededError | null {
    return this.#quota.take({ operations: 0, computeMs: predictedMs, bytes: 0 });
  }

  correct(predictedMs: number, actualMs: number): void {
    this.#quota.correct({ operations: 0, computeMs: actualMs - predictedMs, bytes: 0 }, this.#day);
  }
}
