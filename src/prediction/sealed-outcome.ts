/**
 * An outcome as it is stored: sealed with a key derived from that of its prediction, so that it becomes unreadable with it. It
 * has what metrics need of the answer too, so that they can be computed without reading predictions.
 */
import { UnreadableRecordError } from '../errors.js';
import { MIN_SEALED_BYTES } from '../storage/sealing.js';
import type { DataKey } from '../vault/data-key.js';
import { CHUNK_BYTES, placeOf } from '../vault/file-key.js';
import type { Identity } from './sealed-contents.js';

/** A label of the version, or a number. */
export interface OutcomeContents {
  readonly truth: string | number;
  /** Null if the number that was predicted is not finite. */
  readonly predicted: string | number | null;
  /** The scores of the labels of the version, in their order: base64 of float64, little-endian. Null if there are none. */
  readonly scores: string | null;
  readonly reason: string | null;
}

/** Of versions with more labels, scores are not kept with outcomes: each of them is 11 characters. */
const MAX_KEPT_SCORES = 1_000;

export function packScores(scores: readonly (number | null)[] | null): string | null {
  if (scores === null || scores.length > MAX_KEPT_SCORES) return null;
  // JSON has null in place of numbers that are not finite.
  const { buffer } = Float64Array.from(scores, (score) => score ?? Number.NaN);
  return Buffer.from(buffer).toString('base64');
}

export function unpackScores(packed: string): Float64Array {
  const bytes = Buffer.from(packed, 'base64');
  return new Float64Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength));
}

/** The key is that of this one value, because it may be sealed again and again: see `FileKey`. */
function keyOf(key: DataKey, { id, principal_id }: Identity) {
  return key.ofFile({ table: 'outcome', column: 'sealed', row: id, account: principal_id });
}

export async function sealOutcome(key: DataKey, identity: Identity, contents: OutcomeContents): Promise<Buffer> {
  return (await keyOf(key, identity).seal(Buffer.from(JSON.stringify(contents)))).bytes;
}

/** Null if it was not sealed with this key for this prediction. */
export function openOutcome(key: DataKey, identity: Identity, sealed: Uint8Array): OutcomeContents | null {
  const chunks = Math.ceil(sealed.length / (CHUNK_BYTES + MIN_SEALED_BYTES));
  const sizeBytes = sealed.length - chunks * MIN_SEALED_BYTES;
  const own = keyOf(key, identity);
  const opened: Buffer[] = [];
  for (let at = 0; at < sizeBytes; at += CHUNK_BYTES) {
    const { chunk, offset, length } = placeOf(at, sizeBytes);
    const part = own.open(sealed.subarray(offset, offset + length), chunk, sizeBytes);
    if (!part) return null;
    opened.push(part);
  }
  return opened.length === 0 ? null : JSON.parse(Buffer.concat(opened).toString());
}

/** `key`: undefined if there is none for it. @throws UnreadableRecordError */
export function openOutcomeOrThrow(key: DataKey | undefined, identity: Identity, sealed: Uint8Array): OutcomeContents {
  const what = `the outcome of ${identity.id}`;
  if (!key) throw new UnreadableRecordError(what, 'the key that it was encrypted with was erased or is missing');
  const contents = openOutcome(key, identity, sealed);
  if (!contents) throw new UnreadableRecordError(what, 'its bytes are not those that were stored');
  return contents;
}
