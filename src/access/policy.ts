/**
 * Who may do what. Every root field and every route declares one of these policies; the server does not start if a root
 * field or a route declares none. A field below the roots may declare one as well. A type that declares one is reached only
 * by those whom it allows, or the server does not start. `introspect` is the policy of `__schema` and `__type`.
 */
import { Extensions } from 'type-graphql';
import { isLocalPage, type Principal } from './principal.js';
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
  publish: { roles: ['publisher'], isForPublishableKeys: false },
  contribute: { roles: ['publisher', 'evaluator'], isForPublishableKeys: false },
  audit: { roles: ['auditor'], isForPublishableKeys: false },
  operate: { roles: [], isForPublishableKeys: false },
} as const satisfies Record<string, PolicyRule>;

export type PolicyName = keyof typeof POLICIES;

/** Declares the policy of a root field, of another field, or of a type. */
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

/** Whether everybody whom `policy` allows is also allowed by `other`. */
export function isWithin(policy: PolicyName, other: PolicyName): boolean {
  const inner: PolicyRule = POLICIES[policy];
  const outer: PolicyRule = POLICIES[other];
  if (outer.roles === null) return true;
  if (inner.roles === null || (inner.isForPublishableKeys && !outer.isForPublishableKeys)) return false;
  return inner.roles.every((role) => outer.roles?.includes(role));
}

/** Who is allowed, for messages to a principal who is not: because of the policy, or else of the operations of the key. */
export function whoMay(policy: PolicyName, principal: Principal): string {
  const { roles, isForPublishableKeys }: PolicyRule = POLICIES[policy];
  if (principal.key?.kind === 'publishable' && !isForPublishableKeys) return 'keys that are not publishable';
  if (allows(policy, principal)) return 'keys that list it among their operations';
  if (isLocalPage(principal)) return 'programs on this machine and web pages of the origins in CORS_ORIGINS';
  return `callers with the role ${[...(roles ?? []), 'admin'].join(' or ')}`;
}
