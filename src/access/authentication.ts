/**
 * Who sends an HTTP request: the holder of the key or token in `Authorization: Bearer …`, or, while the server asks for
 * neither, everybody on this machine.
 */
import { isLoopback } from '../loopback.js';
import type { ApiKeys } from './api-keys.js';
import { isNobody, localPrincipal, nobody, type Principal } from './principal.js';
import { keyRefused, type Refused, unauthenticated } from './refusals.js';
import type { Tokens } from './tokens.js';

/** What a request says about its sender. */
interface Credentials {
  readonly headers: { readonly authorization?: string | undefined; readonly origin?: string | undefined };
  /** The address that it came from, past trusted proxies. */
  readonly ip: string;
}

const BEARER = /^Bearer +(\S+)$/i;

export class Authentication {
  readonly #keys: Pick<ApiKeys, 'find' | 'hasAny'>;
  readonly #tokens: Pick<Tokens, 'find'> | null;
  /** Most requests without a key come from the same address as the one before. */
  #last: Principal | null = null;

  /** `tokens`: null if no issuer is trusted. */
  constructor(keys: Pick<ApiKeys, 'find' | 'hasAny'>, tokens: Pick<Tokens, 'find'> | null) {
    this.#keys = keys;
    this.#tokens = tokens;
  }

  /** A promise only for a token that has not been verified yet. */
  authenticate(credentials: Credentials): Principal | Refused | Promise<Principal | Refused> {
    const { authorization } = credentials.headers;
    if (authorization === undefined) return this.#withoutKey(credentials.ip);
    const [, text] = BEARER.exec(authorization) ?? [];
    if (text === undefined) return unauthenticated('Send the key as "Authorization: Bearer mg_…".');
    // Tokens have dots, and keys have none.
    if (this.#tokens && text.includes('.')) return this.#tokens.find(text, credentials.ip);
    return this.#withKey(text, credentials.headers.origin);
  }

  #withKey(text: string, origin: string | undefined): Principal | Refused {
    const found = this.#keys.find(text);
    if (typeof found === 'string') return keyRefused(found);
    const { origins = null } = found.key ?? {};
    if (origins === null || (origin !== undefined && origins.includes(origin))) return found;
    const message = `This API key is bound to the web pages of ${origins.join(', ')}; this request came from ${origin ?? 'none'}.`;
    return { code: 'ORIGIN_NOT_ALLOWED', message, retryAfterMs: null };
  }

  #withoutKey(address: string): Principal {
    const isLocal = isLoopback(address) && !this.#keys.hasAny && !this.#tokens;
    if (this.#last?.callerId !== address || isNobody(this.#last) === isLocal)
      this.#last = isLocal ? localPrincipal(address) : nobody(address);
    return this.#last;
  }
}
