/**
 * Who may do what. Every root field and every route declares one of these policies; the server does not start if a root
 * field or a route declares none. `introspect` is that of `__schema` and `__type`.
 */
import { Extensions } from 'type-graphql';
import type { Principal } from './principal.js';
import type { Role } from './roles.js';

interface PolicyRule {
  /** Any of them suffices; null: nobody needs a role. `admin` may do everything. */
  readonly roles: readonly Role[] | null;
  /** Whether the holder of a publishable key may do it: such a key is known to everybody. */
  readonly isForPublishableKeys: boolean;
}

export const POLICIES = {
  public: { roles: null, isForPublishableKeys: true },
  read: { roles: ['viewer', 'predictor', 'publisher', 'evaluator', 'auditor'], isForPublishableKeys: true },
  introspect: { roles: ['viewer', 'predictor', 'publisher', 'evaluator', 'auditor'], isForPublishableKeys: false },
  predict: { roles: ['predictor'], isForPublishableKeys: true },
  history: { roles: ['predictor'], isForPublishableKeys: false },
  audit: { roles: ['auditor'], isForPublishableKeys: false },
  operate: { roles: [], isForPublishableKeys: false },
} as const satisfies Record<string, PolicyRule>;

export type PolicyName = keyof typeof POLICIES;

/** Declares the policy of a root field. */
export function Policy(policy: PolicyName) {
  return Extensions({ policy });
}

export function isPolicyName(value: unknown): value is PolicyName {
  return typeof value === 'string' && Object.hasOwn(POLICIES, value);
}

export function allows(policy: PolicyName, { roles, key }: Principal): boolean {
  const rule: PolicyRule = POLICIES[policy];
  if (rule.roles === null) return true;
  if (key?.kind === 'publishable' && !rule.isForPublishableKeys) return false;
  return roles.includes('admin') || roles.some((role) => rule.roles?.includes(role));
}

/** Who is allowed, for messages. `asking`: the principal who is not. */
export function whoMay(policy: PolicyName, { key }: Principal): string {
  const { roles }: PolicyRule = POLICIES[policy];
  if (key?.kind === 'publishable') return 'keys that are not publishable, or list it among their operations,';
  const names = [...(roles ?? []), 'admin'];
  return `callers with the role ${names.join(' or ')}`;
}
