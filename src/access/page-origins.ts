/** Which web pages may call the server, by the header `Origin` that browsers send. */
import { isLoopback } from '../loopback.js';

/** Listed where `CORS_ORIGINS` is not set. */
const APOLLO_STUDIO = 'https://studio.apollographql.com';

export class PageOrigins {
  readonly #listed: readonly string[];
  readonly #isListGiven: boolean;
  /** Most requests come from the same page as the one before. */
  #lastLoopback: string | null = null;

  /** `corsOrigins`: null if the operator has given no list. */
  constructor(corsOrigins: readonly string[] | null) {
    this.#listed = corsOrigins ?? [APOLLO_STUDIO];
    this.#isListGiven = corsOrigins !== null;
  }

  /** Whether browsers let a page read answers. `isOpen`: nobody but the users of this machine reaches the server, without a key. */
  mayCall(origin: string, isOpen: boolean): boolean {
    return this.#listed.includes(origin) || (isOpen && !this.#isListGiven && this.#isLoopback(origin));
  }

  #isLoopback(origin: string): boolean {
    if (origin === this.#lastLoopback) return true;
    if (!isLoopbackOrigin(origin)) return false;
    this.#lastLoopback = origin;
    return true;
  }

  /**
   * Whether a page has the rights of who opened it. Other pages have fewer, even if this machine serves them: what they
   * show may come from elsewhere, for example through a forwarded port.
   *
   * @param host the header `Host`, which for pages of the server itself names their origin
   */
  isTrusted(origin: string, host: string | undefined): boolean {
    return origin === `http://${host}` || origin === `https://${host}` || this.#listed.includes(origin);
  }
}

/** Exactly as a browser writes it: `http://localhost:5173`, but not `http://localhost:5173/` or `http://2130706433`. */
function isLoopbackOrigin(origin: string): boolean {
  const url = URL.parse(origin);
  if (url?.origin !== origin || !/^https?:$/.test(url.protocol)) return false;
  return isLoopback(url.hostname.replace(/^\[|\]$/g, ''));
}
