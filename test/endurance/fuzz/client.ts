/** An HTTP client that keeps its connections open. */
import { Agent, request } from 'node:http';
import { text } from 'node:stream/consumers';
import { DEADLINE_MS } from '../../support/until.ts';
import type { Answer } from './judge.ts';

export interface Client {
  /** @throws Error if no answer arrives in time or the server has ended */
  readonly send: (body: string) => Promise<Answer>;
  readonly close: () => void;
}

/** Longer than the server's default deadline. */
const LONGEST_ANSWER_MS = 2 * DEADLINE_MS;

export function openClient(url: string, connections: number): Client {
  const agent = new Agent({ keepAlive: true, maxSockets: connections });
  const send = (body: string) =>
    new Promise<Answer>((resolve, reject) => {
      const bytes = Buffer.from(body);
      const headers = { 'content-type': 'application/json', 'content-length': bytes.length };
      const sent = request(`${url}/graphql`, { method: 'POST', agent, headers, timeout: LONGEST_ANSWER_MS });
      sent.on('response', (response) => {
        const { statusCode: status = 0, headers: own } = response;
        text(response).then((body) => resolve({ status, type: own['content-type'] ?? '', text: body }), reject);
      });
      sent.on('timeout', () => sent.destroy(new Error(`no answer within ${LONGEST_ANSWER_MS} ms`)));
      sent.on('error', reject);
      sent.end(bytes);
    });
  return { send, close: () => agent.destroy() };
}
