/**
 * Who may see what. The rules are in `visibleValues`: `maySee` applies them in memory, `catalog/visibility.ts` as conditions
 * in SQL.
 */
import { type Principal, SYSTEM } from './principal.js';

export interface Resource {
  readonly visibility: 'public' | 'private';
  /** Models have an owner; datasets do not. */
  readonly owner?: string | null;
}

/**
 * The rules: a resource is visible if one of its columns has the value that is here. Null if the principal sees
 * everything. They depend on nothing but the id, so that one query serves all principals.
 */
export function visibleValues(principal: Pick<Principal, 'id'>) {
  return principal === SYSTEM ? null : ({ visibility: 'public', owner: principal.id } as const);
}
type Values = NonNullable<ReturnType<typeof visibleValues>>;

export type VisibilityColumn = keyof Values;

export function maySee(principal: Principal, resource: Resource): boolean {
  const values = visibleValues(principal);
  if (values === null) return true;
  return (Object.keys(values) as VisibilityColumn[]).some((column) => resource[column] === values[column]);
}
