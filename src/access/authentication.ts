/**
 * Who sends an HTTP request: the holder of the key or token in `Authorization: Bearer …`, or, while the server asks for
 * neither, everybody on this machine.
 */
import { isLoopback } from '../loopback.js';
import type { ApiKeys } from './api-keys.js';
import type { PageOrigins } from './page-origins.js';
import { localPage, localPrincipal, nobody, type Principal } from './principal.js';
import { keyRefused, type Refused, unauthenticated } from './refusals.js';
import type { Tokens } from './tokens.js';

/** What a request says about its sender. */
interface Credentials {
  readonly headers: {
    readonly authorization?: string | undefined;
    readonly origin?: string | undefined;
    readonly host?: string | undefined;
  };
  /** The address that it came from, past trusted proxies. */
  readonly ip: string;
}

interface AuthenticationParts {
  readonly keys: Pick<ApiKeys, 'find' | 'hasAny'>;
  /** Null if no issuer is trusted. */
  readonly tokens: Pick<Tokens, 'find'> | null;
  readonly origins: Pick<PageOrigins, 'isTrusted'>;
}

const BEARER = /^Bearer +(\S+)$/i;

export class Authentication {
  readonly #keys: Pick<ApiKeys, 'find' | 'hasAny'>;
  readonly #tokens: Pick<Tokens, 'find'> | null;
  readonly #origins: Pick<PageOrigins, 'isTrusted'>;
  /** Most requests without a key come from the same address as the one before, and may do the same. */
  #last: Principal | null = null;
  #lastKind: typeof localPrincipal | null = null;

  constructor({ keys, tokens, origins }: AuthenticationParts) {
    this.#keys = keys;
    this.#tokens = tokens;
    this.#origins = origins;
  }

  /** Whether everybody on this machine may send requests without a key or token. */
  get isOpen(): boolean {
    return !this.#keys.hasAny && !this.#tokens;
  }

  /** A promise only for a token that has not been verified yet. */
  authenticate(credentials: Credentials): Principal | Refused | Promise<Principal | Refused> {
    const { authorization } = credentials.headers;
    if (authorization === undefined) return this.#withoutKey(credentials);
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

  #withoutKey({ ip, headers }: Credentials): Principal {
    const kind = this.#isLocal(ip) ? (this.#isOfPage(headers) ? localPage : localPrincipal) : nobody;
    if (this.#last?.callerId !== ip || this.#lastKind !== kind) {
      this.#last = kind(ip);
      this.#lastKind = kind;
    }
    return this.#last;
  }

  #isLocal(address: string): boolean {
    return this.isOpen && isLoopback(address);
  }

  #isOfPage({ origin, host }: Credentials['headers']): boolean {
    return origin !== undefined && !this.#origins.isTrusted(origin, host);
  }
}
