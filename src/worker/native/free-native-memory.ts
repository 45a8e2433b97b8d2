/**
 * Frees native memory that JavaScript objects own. V8 does not see its size, so it may not collect the objects in time.
 */
import { setImmediate } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

/** Collects what nobody refers to anymore. Finalizers run in the next turn of the event loop. */
export async function freeNativeMemory(): Promise<void> {
  await setImmediate();
  collectGarbage();
  await setImmediate();
}
