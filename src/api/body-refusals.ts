/** Why a body is refused: what was expected, what came, and what to do. */
import type { ScanFault, ScanLimits } from '../json-scan.js';
import { LIMITS } from './limits.js';
import { NOT_RECEIVED, RefusedRequest, refusal, SEND_JSON } from './refusals.js';

export function tooLarge(received: number): RefusedRequest {
  const allowed = LIMITS.maxBodyBytes;
  const message = `The body is larger than ${allowed} bytes. Send fewer or smaller inputs per request.`;
  return new RefusedRequest(413, refusal('BODY_TOO_LARGE', message, { limit: 'maxBodyBytes', received, allowed }));
}

const FAULTS: Readonly<Record<keyof ScanLimits, readonly [status: number, subject: string, advice: string]>> = {
  maxBodyValues: [
    413,
    'values and keys',
    'Send tensors and images as base64, which is one value each, or fewer inputs per request.',
  ],
  maxBodyDepth: [400, 'levels of nested lists and objects', 'Send a flatter input.'],
};

export function faulty(fault: ScanFault): RefusedRequest {
  if (fault === 'syntax') return notJson('The body is not valid JSON.');
  if (fault === 'notANumber') {
    const message =
      'The body contains NaN or Infinity, which JSON does not have. Leave a missing value of a row out or send null; other inputs take finite numbers.';
    return new RefusedRequest(400, refusal('BODY_NOT_JSON', message));
  }
  const [status, subject, advice] = FAULTS[fault];
  const allowed = LIMITS[fault];
  // Counting stops here, so this is the least that was sent.
  const received = allowed + 1;
  const message = `The body has more than ${allowed} ${subject} (${fault}). ${advice}`;
  return new RefusedRequest(status, refusal('BODY_LIMIT_EXCEEDED', message, { limit: fault, received, allowed }));
}

export function notJson(what: string): RefusedRequest {
  return new RefusedRequest(400, refusal('BODY_NOT_JSON', `${what} ${SEND_JSON}`));
}

export function tooSlow(): RefusedRequest {
  return new RefusedRequest(408, refusal('REQUEST_TIMEOUT', NOT_RECEIVED));
}

export function cutOff(): RefusedRequest {
  const message = 'The connection was closed before the body was complete.';
  return new RefusedRequest(400, refusal('BAD_REQUEST', message));
}

export function tooMuchInFlight(): RefusedRequest {
  const message = 'Requests that are not yet answered hold as many bytes as the server allows. Try again in 1 s.';
  return new RefusedRequest(503, refusal('BODY_BUDGET_EXCEEDED', message), 1);
}

export function tooManyRefused(waitMs: number): RefusedRequest {
  const seconds = Math.ceil(waitMs / 1_000);
  const message = `Too many large bodies of yours were refused. Correct them, and try again in ${seconds} s.`;
  return new RefusedRequest(503, refusal('REFUSAL_BUDGET_EXCEEDED', message), seconds);
}

export function shuttingDown(): RefusedRequest {
  const message = 'The server is shutting down. Try again in a few seconds.';
  return new RefusedRequest(503, refusal('SHUTTING_DOWN', message), 2, true);
}
