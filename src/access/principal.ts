/**
 * Who asks. Every query function takes the principal and narrows by it.
 *
 * Until there are keys, everybody is `anonymous`: may read and predict; what is for operators asks for a connection
 * from this machine.
 */
import { isLoopback } from '../config.js';

export interface Principal {
  readonly id: string;
  readonly isOperator: boolean;
}

export function principalOf(remoteAddress: string | undefined): Principal {
  return { id: 'anonymous', isOperator: remoteAddress !== undefined && isLoopback(remoteAddress) };
}

/** The server itself, when it imports and sweeps. */
export const SYSTEM: Principal = Object.freeze({ id: 'system', isOperator: true });
