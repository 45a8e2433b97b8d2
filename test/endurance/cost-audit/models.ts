/** The models of the audit: those of the store, tiny ones of every task, and graphs and tokenizers that cost much more. */
import type { TestStore } from '../../support/model-store.ts';
import { fillModels } from '../fuzz/material.ts';

/** Returns the path of the folder with all models. */
export async function fillAuditedModels(store: TestStore): Promise<string> {
  return fillModels(store);
}
