/** Accounts own models and predictions. They have a name and nothing else: a key or a `model.yaml` that names one suffices. */

const FORMAT = /^[a-z0-9][a-z0-9-]{0,63}$/;
/** Accounts that the server itself uses. */
const RESERVED = ['anonymous', 'nobody', 'system', 'command-line'];

/** What is accepted, for messages. */
export const ACCOUNT_NAME = `1 to 64 of a-z, 0-9 and "-", none of ${RESERVED.join(', ')}`;

export function isAccountName(text: string): boolean {
  return FORMAT.test(text) && !RESERVED.includes(text);
}

/** Before the accounts of tokens. Those of keys have no colon, so that neither can be taken for the other. */
const TOKEN_PREFIX = 'oidc:';
const CLAIM = /^[!-~]{1,255}$/;
/** What is accepted as a subject or account of a token, for messages: what OpenID has for `sub`. */
export const CLAIM_VALUE = '1 to 255 visible ASCII characters';

export function isClaimValue(value: unknown): value is string {
  return typeof value === 'string' && CLAIM.test(value);
}

export function accountOfToken(claim: string): string {
  return `${TOKEN_PREFIX}${claim}`;
}

export function isAccountOfToken(text: string): boolean {
  return text.startsWith(TOKEN_PREFIX) && isClaimValue(text.slice(TOKEN_PREFIX.length));
}
