/**
 * API keys: `mg_<id>_<secret>_<check>`, publishable ones `mgp_…`.
 *
 * The prefix lets secret scanners recognize a key, and the check, which is computed from the rest, lets them and the server
 * tell a key from other text without looking it up. Only a digest of the secret is stored.
 */
import { randomInt, timingSafeEqual } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { sha256 } from '../storage/blobs.js';
import type { QuotaLimits } from './quota.js';
import type { Role } from './roles.js';

export type KeyKind = 'secret' | 'publishable';

/** What is known of a key. */
export interface ApiKey {
  readonly id: string;
  /** Hexadecimal. */
  readonly secretSha256: string;
  readonly account: string;
  readonly name: string;
  readonly kind: KeyKind;
  readonly roles: readonly Role[];
  /** Root fields that it may use; null: all that its roles allow. */
  readonly operations: readonly string[] | null;
  /** Models, or single aliases of them, that it may run and change; null: all. */
  readonly models: readonly string[] | null;
  /** Origins of web pages that may send it; null: any, and programs that are no browsers. */
  readonly origins: readonly string[] | null;
  /** Null: nothing is limited, and nothing counted. */
  readonly limits: QuotaLimits | null;
  /** When they were changed after the key was made; null if they were not. */
  readonly limitsChangedAt: Date | null;
  readonly createdAt: Date;
  readonly expiresAt: Date | null;
  readonly revokedAt: Date | null;
  /** The id of the key that was made to replace it. */
  readonly replacedBy: string | null;
}

const DIGITS = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
const ID_DIGITS = 10;
/** 190 bits. */
const SECRET_DIGITS = 32;
const CHECK_DIGITS = 6;
const PREFIXES: Readonly<Record<KeyKind, string>> = { secret: 'mg', publishable: 'mgp' };
const FORMAT = new RegExp(
  `^(mgp?)_([0-9A-Za-z]{${ID_DIGITS}})_([0-9A-Za-z]{${SECRET_DIGITS}})_([0-9A-Za-z]{${CHECK_DIGITS}})$`,
);

export interface NewKey {
  readonly id: string;
  readonly secretSha256: string;
  /** The whole key. It is shown once and never stored. */
  readonly text: string;
}

export function generateKey(kind: KeyKind): NewKey {
  const [id, secret] = [randomDigits(ID_DIGITS), randomDigits(SECRET_DIGITS)];
  const text = `${PREFIXES[kind]}_${id}_${secret}`;
  return { id, secretSha256: sha256(secret), text: `${text}_${checkOf(text)}` };
}

/** The id and the digest of the secret; null if the text is no key. */
export function readKey(text: string): { readonly id: string; readonly secretSha256: string } | null {
  const [, prefix, id, secret, check] = FORMAT.exec(text) ?? [];
  if (id === undefined || secret === undefined) return null;
  return check === checkOf(`${prefix}_${id}_${secret}`) ? { id, secretSha256: sha256(secret) } : null;
}

/** Compares in time that does not depend on where they differ. */
export function isSameDigest(a: string, b: string): boolean {
  return timingSafeEqual(Buffer.from(a, 'hex'), Buffer.from(b, 'hex'));
}

function randomDigits(count: number): string {
  return Array.from({ length: count }, () => DIGITS[randomInt(DIGITS.length)]).join('');
}

function checkOf(text: string): string {
  let rest = crc32(text);
  let check = '';
  for (let i = 0; i < CHECK_DIGITS; i++) {
    check = `${DIGITS[rest % DIGITS.length]}${check}`;
    rest = Math.floor(rest / DIGITS.length);
  }
  return check;
}
