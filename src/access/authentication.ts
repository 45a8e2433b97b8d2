/**
 * Who sends an HTTP request: the holder of the key in `Authorization: Bearer …`, or, while there are no keys, everybody on
 * this machine.
 */
import { isLoopback } from '../loopback.js';
import type { ApiKeys } from './api-keys.js';
import { type KeyRefusal, localPrincipal, nobody, type Principal } from './principal.js';

/** What a request says about its sender. */
interface Credentials {
  readonly headers: { readonly authorization?: string | undefined; readonly origin?: string | undefined };
  /** The address that it came from, past trusted proxies. */
  readonly ip: string;
}

/** Why a request is refused before it is read. */
export interface Refused {
  readonly code: 'UNAUTHENTICATED' | 'ORIGIN_NOT_ALLOWED';
  readonly message: string;
}

const BEARER = /^Bearer +(\S+)$/i;
export const KEY_REFUSALS: Readonly<Record<KeyRefusal, string>> = {
  malformed: 'This is not an API key. A key looks like mg_<id>_<secret>_<check>; check that it was copied as a whole.',
  unknown: 'This API key does not exist. Check it, or ask an administrator for a new one.',
  expired: 'This API key has expired. Ask an administrator for a new one.',
  revoked: 'This API key was revoked. Ask an administrator for a new one.',
};

export class Authentication {
  readonly #keys: Pick<ApiKeys, 'find' | 'hasAny'>;
  /** Most requests without a key come from the same address as the one before. */
  #last: Principal | null = null;

  constructor(keys: Pick<ApiKeys, 'find' | 'hasAny'>) {
    this.#keys = keys;
  }

  authenticate({ headers: { authorization, origin }, ip }: Credentials): Principal | Refused {
    if (authorization === undefined) return this.#withoutKey(ip);
    const [, text] = BEARER.exec(authorization) ?? [];
    if (text === undefined) return unauthenticated('Send the key as "Authorization: Bearer mg_…".');
    const found = this.#keys.find(text);
    if (typeof found === 'string') return unauthenticated(KEY_REFUSALS[found]);
    const { origins = null } = found.key ?? {};
    if (origins === null || (origin !== undefined && origins.includes(origin))) return found;
    const message = `This API key is bound to the web pages of ${origins.join(', ')}; this request came from ${origin ?? 'none'}.`;
    return { code: 'ORIGIN_NOT_ALLOWED', message };
  }

  #withoutKey(address: string): Principal {
    const isLocal = isLoopback(address) && !this.#keys.hasAny;
    if (this.#last?.callerId !== address || (this.#last.id === 'nobody') === isLocal)
      this.#last = isLocal ? localPrincipal(address) : nobody(address);
    return this.#last;
  }
}

export function isRefused(found: Principal | Refused): found is Refused {
  return 'code' in found;
}

function unauthenticated(message: string): Refused {
  return { code: 'UNAUTHENTICATED', message };
}
