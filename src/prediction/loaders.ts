/** Predictions as one request sees them: batched, and cached for that request only. */
import type DataLoader from 'dataloader';
import type { Principal } from '../access/principal.js';
import type { CatalogContext } from '../catalog/loaders.js';
import type { CallerConnection } from '../engine/queue.js';
import type { PredictionDatabase } from '../storage/database.js';
import { loadOne } from '../storage/loaders.js';
import { findPredictionsByIds } from './prediction.queries.js';
import type { Prediction } from './prediction.type.js';

/** The part of the request context that resolvers of predictions need. */
export interface PredictionContext extends CatalogContext {
  readonly predictionById: PredictionLoader;
  readonly connection: CallerConnection;
}

export type PredictionLoader = DataLoader<string, Prediction | null>;

export function predictionLoader(db: PredictionDatabase, principal: Principal): PredictionLoader {
  return loadOne(
    (ids) => findPredictionsByIds(db, principal, ids),
    ({ id }) => id,
  );
}
