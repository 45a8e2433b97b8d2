/** Who may see what. There is one rule: `maySee` applies it in memory, `catalog/visibility.ts` as a condition in SQL. */
import { type Principal, SYSTEM } from './principal.js';

export interface Resource {
  readonly visibility: 'public' | 'private';
  /** Models have an owner; datasets do not. */
  readonly owner?: string | null;
}

/** The values that make a resource visible; one match is enough. Null if the principal sees everything. */
export function visibleValues(principal: Principal): { readonly visibility: 'public'; readonly owner: string } | null {
  return principal === SYSTEM ? null : { visibility: 'public', owner: principal.id };
}

export function maySee(principal: Principal, resource: Resource): boolean {
  const values = visibleValues(principal);
  return values === null || resource.visibility === values.visibility || resource.owner === values.owner;
}
