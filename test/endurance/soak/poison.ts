/**
 * Runs batches with one poison input, at every position of every batch size from 1 to 32. The other items must be
 * answered, and the poison input must be named. Real processes end here, by SIGFPE. Each batch comes from a different
 * address, because a caller with several strikes is confined and its inputs no longer share batches.
 */
import http from 'node:http';
import type { Data } from '../../support/graphql-client.ts';
import { startServer } from '../../support/server.ts';
import { DIVISION, PREDICT_MANY, withStore } from './known-answers.ts';

export interface PoisonReport {
  readonly batches: number;
  readonly others: number;
  readonly othersFailed: number;
  readonly poisonNotNamed: number;
  readonly seconds: number;
}

const LARGEST = 32;
const AT_ONCE = 4;

export function poison(batches: number): Promise<PoisonReport> {
  return withStore({ division: DIVISION }, async (env) => {
    const server = await startServer({ ...env, WORKERS: '2' });
    const begun = performance.now();
    const positions = positionsOf(LARGEST);
    let [next, others, othersFailed, poisonNotNamed] = [0, 0, 0, 0];
    const client = async () => {
      while (next < batches) {
        const number = next++;
        const { size, poisonAt } = positions[number % positions.length] as { size: number; poisonAt: number };
        const results = await predictFrom(addressOf(number), server.url, inputsOf(number, size, poisonAt));
        for (const [i, { prediction, problem }] of results.entries()) {
          if (i === poisonAt) poisonNotNamed += isNamed(problem) ? 0 : 1;
          else othersFailed += Number(prediction?.output.tensors[0].data[0]) === number * LARGEST + i ? 0 : 1;
        }
        others += size - 1;
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, client));
    await server.end('SIGTERM');
    const seconds = Math.round((performance.now() - begun) / 1_000);
    return { batches, others, othersFailed, poisonNotNamed, seconds };
  });
}

function positionsOf(largest: number): { size: number; poisonAt: number }[] {
  const sizes = Array.from({ length: largest }, (_, i) => i + 1);
  return sizes.flatMap((size) => Array.from({ length: size }, (_, poisonAt) => ({ size, poisonAt })));
}

function inputsOf(number: number, size: number, poisonAt: number): unknown[] {
  return Array.from({ length: size }, (_, i) =>
    i === poisonAt ? DIVISION.crashInput(number) : DIVISION.inputOf(number * LARGEST + i),
  );
}

function isNamed(problem: Data): boolean {
  return problem?.code === 'INFERENCE_FAILED' && /SIGFPE/.test(problem.message);
}

/** All of 127.0.0.0/8 is loopback. */
function addressOf(number: number): string {
  return `127.1.${Math.floor(number / 250) % 250}.${1 + (number % 250)}`;
}

async function predictFrom(localAddress: string, url: string, inputs: readonly unknown[]): Promise<Data[]> {
  const body = JSON.stringify({
    query: PREDICT_MANY,
    variables: { input: { model: 'division', inputs, record: false } },
  });
  const response = await new Promise<http.IncomingMessage>((resolve, reject) => {
    const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) };
    const request = http.request(`${url}/graphql`, { method: 'POST', localAddress, headers }, resolve);
    request.on('error', reject).end(body);
  });
  const chunks = [];
  for await (const chunk of response) chunks.push(chunk);
  return JSON.parse(Buffer.concat(chunks).toString()).data.predictMany.results;
}
