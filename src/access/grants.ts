/**
 * What a key that is bound to models may run and change, and whose predictions it may read. Each entry of its list is a model,
 * "spam-filter", or one alias of a model, "spam-filter@canary".
 */
import { ForbiddenError } from '../errors.js';
import type { Principal } from './principal.js';

/** `ref`: the model, one of its aliases or one of its versions, as "name", "name@alias" or "name:number". @throws ForbiddenError */
export function checkGrant({ key }: Principal, name: string, ref: string, action = 'Running'): void {
  if (key?.models && !key.models.includes(name) && !key.models.includes(ref))
    throw new ForbiddenError(`${action} "${ref}"`, 'keys that list it');
}

/** Names of the models whose predictions may be read; null for all. Predictions do not say which alias they were asked of. */
export function readableModels({ key }: Principal): readonly string[] | null {
  return key?.models ? [...new Set(key.models.map(modelOf))] : null;
}

export function mayReadPredictionsOf(principal: Principal, ref: string): boolean {
  return readableModels(principal)?.includes(modelOf(ref)) ?? true;
}

/** Whether a list grants what another one does. Operations are not divided any further. */
export function grants(own: readonly string[], wanted: readonly string[] | null): boolean {
  return wanted?.every((one) => own.includes(one) || own.includes(modelOf(one))) ?? false;
}

/** What is left of a list when a model is deleted: another model may have its name later. */
export function withoutModel(models: readonly string[], name: string): readonly string[] {
  return models.filter((ref) => modelOf(ref) !== name);
}

function modelOf(ref: string): string {
  return ref.split(/[@:]/, 1)[0] as string;
}
