/**
 * Who may do what. Every root field and every route declares one of these policies; the server does not start if a root
 * field or a route declares none.
 */
import { Extensions } from 'type-graphql';
import type { Principal } from './principal.js';

export const POLICIES = {
  public: { allows: (_: Principal) => true, who: 'everyone' },
  read: { allows: (_: Principal) => true, who: 'readers' },
  predict: { allows: (_: Principal) => true, who: 'callers who may predict' },
  operate: {
    allows: (principal: Principal) => principal.isOperator,
    who: 'operators (connections from the same machine as the server)',
  },
} as const;

export type PolicyName = keyof typeof POLICIES;

/** Declares the policy of a root field. */
export function Policy(policy: PolicyName) {
  return Extensions({ policy });
}

export function isPolicyName(value: unknown): value is PolicyName {
  return typeof value === 'string' && Object.hasOwn(POLICIES, value);
}
