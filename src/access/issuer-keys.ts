/**
 * The keys with which an OpenID issuer signs its tokens: read from its web address, and kept in memory.
 *
 * The issuer is asked at most once per `COOLDOWN_MS`, whether it answers or not, so that tokens with unknown keys cannot flood
 * it. A read is limited in time and bytes, and follows no redirect. A token never says where keys are read from.
 */
import { createLocalJWKSet, errors, type JWTVerifyGetKey } from 'jose';
import { isHttpsOrLoopback } from '../loopback.js';

/** The keys are read again in the background after this time, and at once for a token whose key is not among them. */
const STALE_AFTER_MS = 600_000;
/** Older keys are not used, even if the issuer does not answer. */
const MAX_AGE_MS = 3_600_000;
export const COOLDOWN_MS = 10_000;
/** Of a read, which is at most two requests. Shorter than the cooldown, so that reads do not overlap. */
const READ_TIMEOUT_MS = 5_000;
const MAX_ANSWER_BYTES = 256 * 1024;

export interface IssuerAddress {
  readonly issuer: string;
  /** Null to ask the issuer's `/.well-known/openid-configuration`. */
  readonly jwksUrl: string | null;
}

export interface IssuerKeysOptions {
  /** Ends reads when the server stops. */
  readonly signal: AbortSignal;
  readonly onError: (error: Error) => void;
  readonly now: () => number;
}

/** The keys could not be read, or not lately enough. */
export class IssuerUnavailableError extends Error {
  constructor(readonly retryAfterMs: number) {
    super('the keys of the issuer could not be read');
  }
}

export class IssuerKeys {
  readonly #address: IssuerAddress;
  readonly #options: IssuerKeysOptions;
  #find: JWTVerifyGetKey | null = null;
  #text = '';
  /** When the keys in memory were read. */
  #readAt = Number.NEGATIVE_INFINITY;
  /** When the last read began, and what became of it. */
  #begunAt = Number.NEGATIVE_INFINITY;
  #read: Promise<void> = Promise.resolve();
  /** Increases when the keys in memory change. */
  revision = 0;

  constructor(address: IssuerAddress, options: IssuerKeysOptions) {
    this.#address = address;
    this.#options = options;
  }

  /** The key that a token was signed with. @throws IssuerUnavailableError; JOSEError if there is none */
  readonly keyOf: JWTVerifyGetKey = async (header, token) => {
    const age = this.#options.now() - this.#readAt;
    if (age > MAX_AGE_MS) await this.#refreshed();
    else this.refreshIfStale();
    try {
      return await this.#keys(header, token);
    } catch (error) {
      if (!(error instanceof errors.JWKSNoMatchingKey)) throw error;
    }
    await this.#refreshed();
    return this.#keys(header, token);
  };

  /** Returns at once. */
  refreshIfStale(): void {
    if (this.#options.now() - this.#readAt > STALE_AFTER_MS) this.#refreshed().catch(() => {});
  }

  get #keys(): JWTVerifyGetKey {
    if (!this.#find) throw new IssuerUnavailableError(COOLDOWN_MS);
    return this.#find;
  }

  /** Resolves when the keys are not older than the cooldown. @throws IssuerUnavailableError */
  #refreshed(): Promise<void> {
    const now = this.#options.now();
    if (now - this.#begunAt < COOLDOWN_MS) return this.#read;
    this.#begunAt = now;
    this.#read = this.#readAll(now).catch((error: Error) => {
      this.#options.onError(error);
      throw new IssuerUnavailableError(COOLDOWN_MS);
    });
    // Nobody may be waiting for it.
    this.#read.catch(() => {});
    return this.#read;
  }

  async #readAll(now: number): Promise<void> {
    const signal = AbortSignal.any([AbortSignal.timeout(READ_TIMEOUT_MS), this.#options.signal]);
    const text = await textAt(this.#address.jwksUrl ?? (await this.#discover(signal)), signal);
    if (text !== this.#text) {
      this.#find = createLocalJWKSet(JSON.parse(text));
      this.#text = text;
      this.revision++;
    }
    this.#readAt = now;
  }

  async #discover(signal: AbortSignal): Promise<string> {
    const { issuer } = this.#address;
    const url = `${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`;
    const { issuer: named, jwks_uri: found } = JSON.parse(await textAt(url, signal)) ?? {};
    if (named !== issuer) throw new Error(`${url} is the configuration of another issuer than OIDC_ISSUER=${issuer}`);
    if (typeof found !== 'string' || !isHttpsOrLoopback(found)) throw new Error(`${url} has no jwks_uri with https://`);
    return found;
  }
}

/** @throws Error if the answer is no success, too large or too late */
async function textAt(url: string, signal: AbortSignal): Promise<string> {
  const response = await fetch(url, { signal, redirect: 'error', headers: { accept: 'application/json' } });
  if (!response.ok || !response.body) {
    await response.body?.cancel();
    throw new Error(`${url} answered with status ${response.status}`);
  }
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of response.body) {
    bytes += chunk.byteLength;
    if (bytes > MAX_ANSWER_BYTES) throw new Error(`${url} answered with more than ${MAX_ANSWER_BYTES} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}
