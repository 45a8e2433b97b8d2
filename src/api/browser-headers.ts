/** Headers of every answer, for browsers. */

/** A year. Not for subdomains, which are other servers. */
const STRICT_TRANSPORT_SECURITY = 'max-age=31536000';

/**
 * Nothing that the API answers is kept by a cache, read as another type, shown or run as a page, loaded by a page of another
 * origin without CORS, or named to another site. Pages and files replace what they need.
 */
export function browserHeaders(isSecure: boolean): Readonly<Record<string, string>> {
  return {
    'cache-control': 'no-store',
    'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
    'cross-origin-resource-policy': 'same-origin',
    'referrer-policy': 'no-referrer',
    'x-content-type-options': 'nosniff',
    'x-frame-options': 'DENY',
    ...(isSecure && { 'strict-transport-security': STRICT_TRANSPORT_SECURITY }),
  };
}
