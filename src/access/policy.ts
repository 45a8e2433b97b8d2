/**
 * Who may do what: every root field and every route declares one of these policies, and a server with one that
 * declares none does not start.
 */
import { Extensions } from 'type-graphql';
import type { Principal } from './principal.js';

export const POLICIES = {
  /** Anybody. */
  public: { allows: (_: Principal) => true, who: 'anybody' },
  read: { allows: (_: Principal) => true, who: 'readers' },
  predict: { allows: (_: Principal) => true, who: 'callers who may predict' },
  operate: { allows: (principal: Principal) => principal.isOperator, who: 'operators (connections from this machine)' },
} as const;

export type PolicyName = keyof typeof POLICIES;

/** Declares the policy of a root field. */
export function Policy(policy: PolicyName) {
  return Extensions({ policy });
}

export function isPolicyName(value: unknown): value is PolicyName {
  return typeof value === 'string' && Object.hasOwn(POLICIES, value);
}
