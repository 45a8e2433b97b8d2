/**
 * Authenticated encryption of stored values: AES-256-GCM. A sealed value is a random nonce of 96 bits, the ciphertext and the
 * tag of 128 bits.
 *
 * The address of a value is authenticated with it, so that a value that was moved to another row, column or table does not
 * open there. Who seals counts the uses of a key: random nonces must stay below 2^32 of them.
 */
import { createCipheriv, createDecipheriv, randomFillSync } from 'node:crypto';

export const KEY_BYTES = 32;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
/** A sealed value is as many bytes longer than what it holds. */
export const MIN_SEALED_BYTES = NONCE_BYTES + TAG_BYTES;
const ALGORITHM = 'aes-256-gcm';

/** A text that the storage thread seals before it stores it, so that the event loop does not have to. */
export interface ToSeal {
  readonly seal: string;
  /** In base64. */
  readonly key: string;
  readonly address: string;
}

export function isToSeal(value: unknown): value is ToSeal {
  return typeof value === 'object' && value !== null && 'seal' in value;
}

/** To ask for random bytes costs as much as to use hundreds of them. */
const nonces = Buffer.alloc(256 * NONCE_BYTES);
let used = nonces.length;

function nextNonce(): Buffer {
  if (used === nonces.length) {
    randomFillSync(nonces);
    used = 0;
  }
  used += NONCE_BYTES;
  return nonces.subarray(used - NONCE_BYTES, used);
}

export function seal(value: string | Uint8Array, key: Uint8Array, address: string): Buffer {
  const nonce = nextNonce();
  const cipher = createCipheriv(ALGORITHM, key, nonce);
  cipher.setAAD(Buffer.from(address));
  const sealed = typeof value === 'string' ? cipher.update(value, 'utf8') : cipher.update(value);
  cipher.final();
  return Buffer.concat([nonce, sealed, cipher.getAuthTag()]);
}

/** Null if it was not sealed with this key for this address, or was changed. */
export function open(sealed: Uint8Array, key: Uint8Array, address: string): Buffer | null {
  if (sealed.length < MIN_SEALED_BYTES) return null;
  const decipher = createDecipheriv(ALGORITHM, key, sealed.subarray(0, NONCE_BYTES), { authTagLength: TAG_BYTES });
  decipher.setAAD(Buffer.from(address));
  decipher.setAuthTag(sealed.subarray(sealed.length - TAG_BYTES));
  const value = decipher.update(sealed.subarray(NONCE_BYTES, sealed.length - TAG_BYTES));
  try {
    decipher.final();
    return value;
  } catch {
    return null;
  }
}
