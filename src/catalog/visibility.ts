/** What a principal may see, as conditions that every query of the catalog includes. */
import type { ExpressionBuilder } from 'kysely';
import type { Principal } from '../access/principal.js';
import type { CatalogTables } from '../storage/database.js';

export function maySeeModel(principal: Principal) {
  return (eb: ExpressionBuilder<CatalogTables, 'model'>) =>
    eb.or([
      eb('model.visibility', '=', 'public'),
      eb('model.owner', '=', principal.id),
      eb.val(principal.id === 'system'),
    ]);
}

export function maySeeDataset(principal: Principal) {
  return (eb: ExpressionBuilder<CatalogTables, 'dataset'>) =>
    eb.or([eb('dataset.visibility', '=', 'public'), eb.val(principal.id === 'system')]);
}
