/**
 * Who may see what. The rules are in `visibleValues`: `maySee` applies them in memory, `catalog/visibility.ts` as conditions
 * in SQL.
 */
import { allows } from './policy.js';
import type { Principal } from './principal.js';

export interface Resource {
  readonly visibility: 'public' | 'private';
  /** That owns it; null if it is the operator's. */
  readonly account?: string | null;
}

/** All that the rules read of a principal. */
export type Viewer = Pick<Principal, 'id' | 'roles'>;

/**
 * The rules: a resource is visible if one of its columns has the value that is here. Null if the principal sees
 * everything, as administrators do. They depend on nothing else but the account, so that one query serves all accounts.
 */
export function visibleValues({ id, roles }: Viewer) {
  return roles.includes('admin') ? null : ({ visibility: 'public', account: id } as const);
}
type Values = NonNullable<ReturnType<typeof visibleValues>>;

export type VisibilityColumn = keyof Values;

export function maySee(principal: Principal, resource: Resource): boolean {
  const values = visibleValues(principal);
  if (values === null) return true;
  return (Object.keys(values) as VisibilityColumn[]).some((column) => resource[column] === values[column]);
}

/**
 * The account whose predictions the principal may read, wherever a document asks for them: below `prediction`, `node` or a
 * version. Nobody's for roles that may not read predictions, and for publishable keys: all visitors of a web page have the
 * same one, and must not read what others have sent.
 */
export function readableOwner(principal: Principal): string {
  return allows('history', principal) ? principal.id : '';
}
