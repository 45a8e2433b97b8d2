/** Who sends a request. Every query function takes the principal and narrows by it. */
import type { ApiKey } from './api-key.js';
import type { Quota } from './quota.js';
import { ROLES, type Role } from './roles.js';

export interface Principal {
  /** The account, which owns predictions and models. */
  readonly id: string;
  readonly roles: readonly Role[];
  /** Null for the local principal, for requests without a key and for those with a token. */
  readonly key: ApiKey | null;
  /** Null unless the request has a token of the issuer. */
  readonly token: Token | null;
  /**
   * Tells apart callers of an account: they get equal shares of computing and of reads, and strikes for poison inputs count
   * against the caller who sent them. The key, the subject of the token, or the address of a request without either.
   */
  readonly callerId: string;
  /** What it may use; null if that is not limited. */
  readonly quota: Quota | null;
  /** Why the key or token is no longer accepted, which may have happened since the request began; null if it is. */
  readonly keyRefusal: () => KeyRefusal | null;
}

/** What is known of a verified token. */
export interface Token {
  readonly issuer: string;
  /** Who it was issued to: unique for the issuer. */
  readonly subject: string;
  readonly expiresAt: Date;
}

export type KeyRefusal = 'malformed' | 'unknown' | 'expired' | 'revoked';

const NOBODY = 'nobody';
const PAGE_ROLES: readonly Role[] = Object.freeze<Role[]>(['predictor']);
const accepted = () => null;

/** While there are no keys, everybody on this machine. Its predictions have had this owner since the first release. */
export function localPrincipal(address: string): Principal {
  return Object.freeze({
    id: 'anonymous',
    roles: ROLES,
    key: null,
    token: null,
    callerId: address,
    quota: null,
    keyRefusal: accepted,
  });
}

/** A web page of another origin, while there are no keys: it does what pages are for, and does not administer the server. */
export function localPage(address: string): Principal {
  return Object.freeze({ ...localPrincipal(address), roles: PAGE_ROLES });
}

/** A request without a key or token, while the server asks for one: it may do what is public. */
export function nobody(address: string): Principal {
  return Object.freeze({
    id: NOBODY,
    roles: [],
    key: null,
    token: null,
    callerId: address,
    quota: null,
    keyRefusal: accepted,
  });
}

/** Whether it is a page that could be trusted with more. */
export function isLocalPage({ roles }: Principal): boolean {
  return roles === PAGE_ROLES;
}

export function isNobody({ id }: Principal): boolean {
  return id === NOBODY;
}

/** Whoever may read and write the files of the data folder. */
export const COMMAND_LINE: Principal = Object.freeze({
  id: 'command-line',
  roles: ROLES,
  key: null,
  token: null,
  callerId: 'command-line',
  quota: null,
  keyRefusal: accepted,
});

/** The server itself, for example during an import or a retention sweep. */
export const SYSTEM: Principal = Object.freeze({
  id: 'system',
  roles: ROLES,
  key: null,
  token: null,
  callerId: 'system',
  quota: null,
  keyRefusal: accepted,
});
