/** Quotas of requests as a whole, before they are read and when they are answered: their bytes, and callers who have used up all. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Quota } from '../access/quota.js';
import type { QuotaExceededError } from '../errors.js';
import { extensionsOf, retryAfterSeconds } from './quota-meter.js';
import { refusal, sendRefusal } from './refusals.js';

/** The status of a request that a quota has refused. */
const TOO_MANY_REQUESTS = 429;

declare module 'fastify' {
  interface FastifyRequest {
    /** Of its body, taken from the quota of its caller; null if none were. */
    quotaBytes: number | null;
  }
}

/** Takes the bytes that the request says its body has, unless its route reads it as a stream. Calls `done`, or refuses the request. */
export function takeRequest(request: FastifyRequest, reply: FastifyReply, quota: Quota, done: () => void): void {
  const { 'content-length': length, 'transfer-encoding': encoding } = request.headers;
  const { streamsBody = false } = request.routeOptions.config;
  const bytes = streamsBody ? 0 : length === undefined && encoding !== undefined ? null : Number(length ?? 0);
  const exceeded = quota.takeRequest(bytes);
  if (exceeded) {
    sendExceeded(reply, exceeded);
    return;
  }
  request.quotaBytes = bytes ?? 0;
  done();
}

/**
 * Takes what the request was answered with, and what arrived of a body of unknown length. Unread bodies are given back. A
 * request that was wrong counts as an operation, since it was read: none of its own can have run.
 */
export function takeAnswer({ principal, incoming, quotaBytes }: FastifyRequest, status: number, bytes: number): void {
  const { quota } = principal;
  if (!quota || quotaBytes === null) return;
  const received = incoming?.receivedBytes ?? null;
  const ofBody = received ?? (status < 400 ? quotaBytes : 0);
  quota.correct({ operations: 0, computeMs: 0, bytes: bytes + ofBody - quotaBytes }, quota.day);
  if (status >= 400 && status < 500 && status !== TOO_MANY_REQUESTS) quota.takeOperation();
}

export function sendExceeded(reply: FastifyReply, exceeded: QuotaExceededError): void {
  const { code, ...more } = extensionsOf(exceeded);
  reply.header('retry-after', retryAfterSeconds(exceeded));
  sendRefusal(reply, TOO_MANY_REQUESTS, refusal(code, exceeded.message, more));
}
