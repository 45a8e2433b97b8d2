/**
 * Who sends a request. `authenticate` runs once for each HTTP request; every query function takes the principal and
 * narrows by it.
 *
 * There are no API keys yet: everyone is `anonymous` and may read and predict. Operations for operators require a
 * connection from this machine.
 */
import { isLoopback } from '../loopback.js';

export interface Principal {
  /** Owns predictions and models. */
  readonly id: string;
  readonly isOperator: boolean;
  /**
   * Tells apart callers that share an id: they get equal shares of computing and of reads, and strikes for poison inputs
   * count against the caller who sent them. For anonymous callers: the remote address.
   */
  readonly callerId: string;
}

/** The part of an HTTP request that identifies its sender. */
interface Credentials {
  readonly socket: { readonly remoteAddress?: string | undefined };
}

/** Most requests come from the same address as the one before. */
let last: Principal | null = null;

export function authenticate({ socket: { remoteAddress } }: Credentials): Principal {
  const callerId = remoteAddress ?? 'unknown';
  if (last?.callerId === callerId) return last;
  last = Object.freeze({ id: 'anonymous', isOperator: isLoopback(callerId), callerId });
  return last;
}

/** The server itself, for example during an import or a retention sweep. */
export const SYSTEM: Principal = Object.freeze({ id: 'system', isOperator: true, callerId: 'system' });
