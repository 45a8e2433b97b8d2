/** The workers of an engine that take batches now. */
import type { Engine } from '#src/engine/engine.js';

export function readyWorkers(engine: Engine) {
  return engine.workers.filter(({ purpose, isReady }) => purpose === 'pool' && isReady);
}
