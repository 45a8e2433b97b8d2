/**
 * Open-loop requests at a low, steady rate, each timed from the moment it was due, so that a stalled server is charged
 * for every request that waited. Runs as a child; reads `SteadyOptions` from stdin and prints a `Spread` in ms.
 */
import http from 'node:http';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { spreadOf } from './numbers.ts';

export interface SteadyOptions {
  readonly url: string;
  /** Of every request; its answer must contain data. */
  readonly body: string;
  readonly perSecond: number;
  readonly seconds: number;
}

const WARM_UP_REQUESTS = 20;
const agent = new http.Agent({ keepAlive: true });

function send(url: string, body: string): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const request = http.request(url, { method: 'POST', agent, headers: { 'content-type': 'application/json' } });
  request.on('response', async (response) => {
    const answer = await text(response);
    if (answer.includes('"data"')) resolve();
    else reject(new Error(answer.slice(0, 500)));
  });
  request.on('error', reject);
  request.end(body);
  return promise;
}

async function run({ url, body, perSecond, seconds }: SteadyOptions): Promise<number[]> {
  for (let i = 0; i < WARM_UP_REQUESTS; i++) await send(url, body);
  const begun = performance.now();
  const sent = Array.from({ length: perSecond * seconds }, async (_, i) => {
    const meant = begun + (1000 * i) / perSecond;
    await sleep(Math.max(0, meant - performance.now()));
    await send(url, body);
    return performance.now() - meant;
  });
  return Promise.all(sent);
}

console.log(JSON.stringify(spreadOf(await run(JSON.parse(await text(process.stdin))))));
agent.destroy();
