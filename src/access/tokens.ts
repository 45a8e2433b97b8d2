/**
 * Access tokens (JWTs) of one OpenID issuer. A token is verified once and then kept until it ends, so that the requests after
 * the first cost what those with an API key cost.
 */
import {
  errors,
  type JWTHeaderParameters,
  type JWTPayload,
  type JWTVerifyGetKey,
  type JWTVerifyResult,
  jwtVerify,
} from 'jose';
import { fitsShare, Shares } from '../fair-share.js';
import { accountOfToken, CLAIM_VALUE, isClaimValue } from './account.js';
import { type IssuerAddress, IssuerKeys, IssuerUnavailableError } from './issuer-keys.js';
import type { Principal } from './principal.js';
import { EXPIRED_TOKEN, type Refused, unauthenticated } from './refusals.js';
import { ROLES } from './roles.js';

export interface Issuer extends IssuerAddress {
  readonly audience: string;
  readonly algorithms: readonly string[];
  /** Since `iat`. */
  readonly maxAgeSeconds: number;
  readonly accountClaim: string;
  readonly rolesClaim: string;
}

interface Options {
  /** Ends requests to the issuer when the server stops. */
  readonly signal: AbortSignal;
  readonly onError: (error: Error) => void;
  readonly now?: () => number;
}

interface Verified {
  readonly principal: Principal;
  readonly endsAt: number;
}

/** Verified tokens in memory; the one that was verified first is forgotten first. */
const MAX_TOKENS = 10_000;
/** Of all of them: a header may have 16 KiB. */
const MAX_CHARACTERS = 16 * 1024 * 1024;
/** Tokens that are being verified, of all addresses; they wait for the issuer if its keys are not known. */
const MAX_VERIFYING = 1_000;
/** By which the clocks of the issuer and of this machine may differ. */
const CLOCK_TOLERANCE_SECONDS = 60;
/** Types of access tokens. Others of the same issuer, such as those for logout, are for something else. */
const TYPES: readonly (string | undefined)[] = ['at+jwt', 'application/at+jwt', 'jwt', undefined];

export class Tokens {
  readonly #issuer: Issuer;
  readonly #keys: IssuerKeys;
  readonly #now: () => number;
  readonly #verified = new Map<string, Verified>();
  #characters = 0;
  /** Of the keys that the tokens in memory were verified with. */
  #revision = 0;
  readonly #verifying = new Map<string, Promise<Principal | Refused>>();
  readonly #verifyingOf = new Shares();

  constructor(issuer: Issuer, { signal, onError, now = Date.now }: Options) {
    this.#issuer = issuer;
    this.#keys = new IssuerKeys(issuer, { signal, onError, now });
    this.#now = now;
  }

  /** Reads the keys of the issuer, so that the first token does not wait for them. Returns at once. */
  start(): void {
    this.#keys.refreshIfStale();
  }

  /** The principal of a token, at once if it was verified before. `caller`: the address that it came from. */
  find(text: string, caller: string): Principal | Refused | Promise<Principal | Refused> {
    this.#keys.refreshIfStale();
    // An issuer withdraws a key by no longer listing it.
    if (this.#revision !== this.#keys.revision) this.#forgetAll();
    const known = this.#verified.get(text);
    if (!known) return this.#verifying.get(text) ?? this.#verify(text, caller);
    if (this.#now() < known.endsAt) return known.principal;
    this.#forget(text);
    return unauthenticated(EXPIRED_TOKEN);
  }

  #verify(text: string, caller: string): Refused | Promise<Principal | Refused> {
    const shares = this.#verifyingOf;
    if (!fitsShare(1, shares.total, shares.of(caller), MAX_VERIFYING)) return TOO_MANY;
    shares.add(caller, 1);
    const { issuer, audience, algorithms, maxAgeSeconds } = this.#issuer;
    let revision = 0;
    const keyOf: JWTVerifyGetKey = async (header, token) => {
      const key = await this.#keys.keyOf(header, token);
      ({ revision } = this.#keys);
      return key;
    };
    const verifying = jwtVerify(text, keyOf, {
      issuer,
      audience,
      algorithms: [...algorithms],
      maxTokenAge: maxAgeSeconds,
      clockTolerance: CLOCK_TOLERANCE_SECONDS,
      requiredClaims: ['exp', 'sub'],
      currentDate: new Date(this.#now()),
    })
      .then((result) => this.#accept(result, (verified) => this.#remember(text, verified, revision)), refusalOf)
      .finally(() => {
        this.#verifying.delete(text);
        shares.giveBack(caller, 1);
      });
    this.#verifying.set(text, verifying);
    return verifying;
  }

  #accept({ payload, protectedHeader }: JWTVerifyResult, remember: (verified: Verified) => void): Principal | Refused {
    const account = claimOf(payload, this.#issuer.accountClaim);
    if (!isAccessToken(protectedHeader)) return unauthenticated('This token is not an access token (`typ`).');
    if (!isClaimValue(payload.sub)) return unauthenticated(`The subject of this token ("sub") is not ${CLAIM_VALUE}.`);
    if (!isClaimValue(account)) {
      const message = `The claim "${this.#issuer.accountClaim}" of this token, its account, is not ${CLAIM_VALUE}.`;
      return unauthenticated(message);
    }
    const verified = this.#known(payload, payload.sub, account);
    remember(verified);
    return verified.principal;
  }

  #known(payload: JWTPayload, subject: string, account: string): Verified {
    const { issuer, maxAgeSeconds, rolesClaim } = this.#issuer;
    const { exp = 0, iat = 0 } = payload;
    const expiresAt = 1_000 * Math.min(exp, iat + maxAgeSeconds);
    const endsAt = expiresAt + 1_000 * CLOCK_TOLERANCE_SECONDS;
    const principal: Principal = Object.freeze({
      id: accountOfToken(account),
      roles: rolesOf(claimOf(payload, rolesClaim)),
      key: null,
      token: Object.freeze({ issuer, subject, expiresAt: new Date(expiresAt) }),
      callerId: `token ${issuer} ${subject}`,
      quota: null,
      keyRefusal: () => (this.#now() < endsAt ? null : 'expired'),
    });
    return { principal, endsAt };
  }

  /** `revision`: of the keys that it was verified with, which may have changed since. */
  #remember(text: string, verified: Verified, revision: number): void {
    if (revision !== this.#keys.revision) return;
    if (revision !== this.#revision) this.#forgetAll();
    this.#forget(text);
    this.#verified.set(text, verified);
    this.#characters += text.length;
    for (const oldest of this.#verified.keys()) {
      if (this.#verified.size <= MAX_TOKENS && this.#characters <= MAX_CHARACTERS) return;
      this.#forget(oldest);
    }
  }

  #forget(text: string): void {
    if (this.#verified.delete(text)) this.#characters -= text.length;
  }

  #forgetAll(): void {
    this.#verified.clear();
    this.#characters = 0;
    this.#revision = this.#keys.revision;
  }
}

function isAccessToken({ typ }: JWTHeaderParameters): boolean {
  return TYPES.includes(typeof typ === 'string' ? typ.toLowerCase() : typ);
}

/** Roles of other services are left out. */
function rolesOf(claim: unknown): Principal['roles'] {
  const listed: readonly unknown[] = typeof claim === 'string' ? claim.split(' ') : Array.isArray(claim) ? claim : [];
  return Object.freeze(ROLES.filter((role) => listed.includes(role)));
}

/** A claim by its name, which may contain dots, or else by the path to it, such as "realm_access.roles". */
function claimOf(payload: JWTPayload, name: string): unknown {
  if (Object.hasOwn(payload, name)) return payload[name];
  let value: unknown = payload;
  for (const key of name.split('.')) value = propertyOf(value, key);
  return value;
}

function propertyOf(value: unknown, key: string): unknown {
  const isObject = typeof value === 'object' && value !== null && Object.hasOwn(value, key);
  return isObject ? (value as Record<string, unknown>)[key] : undefined;
}

const TOO_MANY: Refused = {
  code: 'OVERLOADED',
  message: 'Too many tokens are being verified. Try again in 1 s.',
  retryAfterMs: 1_000,
};

const REASONS: Readonly<Record<string, string>> = {
  ERR_JWT_EXPIRED: EXPIRED_TOKEN,
  ERR_JWS_INVALID: 'This is neither an API key nor a token. Check that it was copied as a whole.',
  ERR_JWT_INVALID: 'The claims of this token are not readable.',
  ERR_JOSE_ALG_NOT_ALLOWED: 'This token is signed with an algorithm that this server does not accept.',
  ERR_JOSE_NOT_SUPPORTED: 'This token needs an extension that this server does not support.',
  ERR_JWS_SIGNATURE_VERIFICATION_FAILED: 'The signature of this token is wrong.',
  ERR_JWKS_NO_MATCHING_KEY: 'This token is signed with a key that its issuer does not list.',
  ERR_JWKS_MULTIPLE_MATCHING_KEYS: 'This token does not say which key of its issuer it is signed with (`kid`).',
};
const CLAIM_REASONS: Readonly<Record<string, string>> = {
  iss: 'This token is of another issuer.',
  aud: 'This token is for another audience.',
  iat: 'The time at which this token was issued (`iat`) is in the future, or missing.',
  nbf: 'This token is not valid yet (`nbf`).',
  exp: 'This token has no time at which it expires (`exp`).',
  sub: 'This token has no subject (`sub`).',
};

function refusalOf(error: unknown): Refused {
  if (error instanceof IssuerUnavailableError) {
    const { retryAfterMs } = error;
    const message = `The issuer of tokens cannot be reached, so this token cannot be verified. Try again in ${retryAfterMs / 1_000} s.`;
    return { code: 'ISSUER_UNAVAILABLE', message, retryAfterMs };
  }
  if (error instanceof errors.JWTExpired)
    return unauthenticated(
      error.claim === 'iat' ? 'This token is too old. Get a new one from the issuer.' : EXPIRED_TOKEN,
    );
  if (error instanceof errors.JWTClaimValidationFailed)
    return unauthenticated(CLAIM_REASONS[error.claim] ?? 'The claims of this token are not accepted.');
  const reason = error instanceof errors.JOSEError ? REASONS[error.code] : undefined;
  return unauthenticated(reason ?? 'This token could not be verified.');
}
