/** Ids of records: a prefix for the type, and a UUID version 7. */
import { randomFillSync } from 'node:crypto';
import { v7 } from 'uuid';

/** The prefix of an id tells its type. Clients treat ids as opaque. */
const PREFIXES = {
  Model: 'model',
  Version: 'version',
  Dataset: 'dataset',
  Evaluation: 'evaluation',
  Prediction: 'prediction',
  Publication: 'publication',
};
export type NodeTypeName = keyof typeof PREFIXES;

/** Ids of one type sort by creation time, those of one millisecond included. */
export function newId(type: NodeTypeName): string {
  const random = nextRandom();
  const now = Date.now();
  if (now > msecs) {
    msecs = now;
    seq = random.readUInt32LE(0) >>> 1;
  } else {
    seq = (seq + 1) >>> 0;
    if (seq === 0) msecs++;
  }
  return `${PREFIXES[type]}_${v7({ random, msecs, seq })}`;
}

/** Of the last id: the time, and a counter that begins at a random number in each millisecond (RFC 9562, section 6.2). */
let msecs = Number.NEGATIVE_INFINITY;
let seq = 0;

const ID_BYTES = 16;
/** To ask for random bytes costs as much as to use hundreds of them, so they are made for many ids at once. */
const pool = Buffer.alloc(256 * ID_BYTES);
let used = pool.length;

function nextRandom(): Buffer {
  if (used === pool.length) {
    randomFillSync(pool);
    used = 0;
  }
  used += ID_BYTES;
  return pool.subarray(used - ID_BYTES, used);
}

/** Later than any time at which an id is made, as the end of a range. */
export const END_OF_TIME_MS = 2 ** 48 - 1;

/** The smallest id that could be created at this time, for range conditions. */
export function firstIdAt(type: NodeTypeName, ms: number): string {
  const hex = Math.max(0, ms).toString(16).padStart(12, '0');
  return `${PREFIXES[type]}_${hex.slice(0, 8)}-${hex.slice(8)}-7000-8000-000000000000`;
}

export function typeOfId(id: string): NodeTypeName | undefined {
  const prefix = id.slice(0, id.indexOf('_'));
  return (Object.keys(PREFIXES) as NodeTypeName[]).find((type) => PREFIXES[type] === prefix);
}
