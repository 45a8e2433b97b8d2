/** The rule of `access/visibility.ts` as conditions that every query of the catalog adds. */
import type { ExpressionBuilder } from 'kysely';
import type { Principal } from '../access/principal.js';
import { visibleValues } from '../access/visibility.js';
import type { CatalogTables } from '../storage/database.js';

export function maySeeModel(principal: Principal) {
  const values = visibleValues(principal);
  return (eb: ExpressionBuilder<CatalogTables, 'model'>) =>
    values === null
      ? eb.lit(true)
      : eb.or([eb('model.visibility', '=', values.visibility), eb('model.owner', '=', values.owner)]);
}

export function maySeeDataset(principal: Principal) {
  const values = visibleValues(principal);
  return (eb: ExpressionBuilder<CatalogTables, 'dataset'>) =>
    values === null ? eb.lit(true) : eb('dataset.visibility', '=', values.visibility);
}
