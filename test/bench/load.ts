/**
 * Closed-loop load by autocannon. Runs as a child; reads `LoadOptions` from stdin and prints `LoadResult`.
 */
import { text } from 'node:stream/consumers';
import autocannon from 'autocannon';
import { type Spread, spreadOf } from './numbers.ts';
import { isAnswered } from './requests.ts';

export interface LoadOptions {
  readonly url: string;
  readonly connections: number;
  readonly seconds: number;
  readonly bodies: readonly string[];
}

export interface LoadResult {
  readonly answered: number;
  readonly requestsPerSecond: number;
  readonly latency: Spread;
  readonly meanBatch: number;
  /** Answers with another status or a problem, broken connections and timeouts. */
  readonly failures: number;
  /** The first failed answer. */
  readonly failure: string | null;
}

const SAMPLED = 16;
const TIMEOUT_SECONDS = 30;

async function load(options: LoadOptions): Promise<LoadResult> {
  const times: number[] = [];
  const batches: number[] = [];
  let failure: string | null = null;
  const running = start(options, {
    verify: (body) => {
      const isFine = isAnswered(body);
      if (!isFine) failure ??= body.slice(0, 500);
      return isFine;
    },
    sample: (body) => {
      if (times.length % SAMPLED === 0) batches.push(Number(/"batchSize":(\d+)/.exec(body)?.[1]));
    },
  });
  running.on('response', (_client, _status, _bytes, ms) => times.push(ms));
  const result = await running;
  return {
    answered: result['2xx'],
    requestsPerSecond: result['2xx'] / result.duration,
    latency: spreadOf(times),
    meanBatch: batches.reduce((sum, size) => sum + size, 0) / batches.length,
    failures: result.non2xx + result.errors + result.mismatches,
    failure,
  };
}

function start(
  { url, connections, seconds, bodies }: LoadOptions,
  { verify, sample }: { verify: (body: string) => boolean; sample: (body: string) => void },
) {
  return autocannon({
    url,
    connections,
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    duration: seconds,
    timeout: TIMEOUT_SECONDS,
    requests: bodies.map((body) => ({ body, onResponse: (_status, answer) => sample(answer) })),
    verifyBody: verify,
  });
}

console.log(JSON.stringify(await load(JSON.parse(await text(process.stdin)))));
