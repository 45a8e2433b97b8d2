/** Why credentials are refused, in words for whoever sent them. */
import type { KeyRefusal, Principal } from './principal.js';

/** Why a request is refused before it is read. */
export interface Refused {
  readonly code: 'UNAUTHENTICATED' | 'ORIGIN_NOT_ALLOWED' | 'OVERLOADED' | 'ISSUER_UNAVAILABLE';
  readonly message: string;
  /** Null if sending it again does not help. */
  readonly retryAfterMs: number | null;
}

const KEY_REFUSALS: Readonly<Record<KeyRefusal, string>> = {
  malformed: 'This is not an API key. A key looks like mg_<id>_<secret>_<check>; check that it was copied as a whole.',
  unknown: 'This API key does not exist. Check it, or ask an administrator for a new one.',
  expired: 'This API key has expired. Ask an administrator for a new one.',
  revoked: 'This API key was revoked. Ask an administrator for a new one.',
};
export const EXPIRED_TOKEN = 'This token has expired. Get a new one from the issuer.';

export function isRefused(found: Principal | Refused): found is Refused {
  return 'code' in found;
}

export function unauthenticated(message: string): Refused {
  return { code: 'UNAUTHENTICATED', message, retryAfterMs: null };
}

export function keyRefused(refusal: KeyRefusal): Refused {
  return unauthenticated(KEY_REFUSALS[refusal]);
}

/** Why the credentials of a request are not accepted any more; null if they are. */
export function refusalOf({ keyRefusal, token }: Principal): Refused | null {
  const refusal = keyRefusal();
  if (refusal === null) return null;
  return token ? unauthenticated(EXPIRED_TOKEN) : keyRefused(refusal);
}
