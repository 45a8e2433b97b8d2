/** First version: replaced by the real explorer. */
import type { FastifyInstance } from 'fastify';

export function explorerPage(_kind: string): { html: string; headers: Record<string, string> } | undefined {
  return undefined;
}

export async function registerExplorer(_app: FastifyInstance, _options: { kind: string }): Promise<void> {}
