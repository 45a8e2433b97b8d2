/** What keys may do with a model ends with the model: another one may have its name later. */
import type { Transaction } from 'kysely';
import type { CatalogTables } from '../storage/database.js';
import { findKeysBoundTo, setModels } from './api-key.queries.js';
import { type Actor, stateOf } from './api-keys.js';
import { appendAudit } from './audit.queries.js';
import { withoutModel } from './grants.js';

/** To be called in the transaction that deletes the model. The keys in memory follow with `ApiKeys.load`. */
export async function endGrants(
  trx: Transaction<CatalogTables>,
  name: string,
  { principal, reason }: Actor,
): Promise<void> {
  for (const before of await findKeysBoundTo(trx, name)) {
    const after = { ...before, models: withoutModel(before.models ?? [], name) };
    await setModels(trx, before.id, after.models);
    const states = { before: stateOf(before), after: stateOf(after) };
    await appendAudit(trx, principal, { action: 'deleteModel', target: `API key ${before.id}`, reason, ...states });
  }
}
