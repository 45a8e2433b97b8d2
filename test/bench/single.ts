/**
 * One client that sends one request at a time over one connection. The variants take turns, so that other load on the
 * machine affects them equally. Runs as a child; reads `SingleOptions` from stdin and prints `SingleResult`.
 */
import http from 'node:http';
import { text } from 'node:stream/consumers';
import { FORMATS, isRight, type Right } from './answers.ts';
import { type Spread, spreadOf } from './numbers.ts';

export interface SingleOptions {
  readonly url: string;
  readonly seconds: number;
  /** Request bodies of each variant. */
  readonly variants: readonly (readonly string[])[];
  /** The right answers to the requests of every variant. */
  readonly right: readonly Right[];
}

export interface SingleResult {
  /** Times in ms, one entry for each variant. */
  readonly variants: readonly { readonly total: Spread; readonly engine: Spread }[];
}

/** Share of the measured time; meanwhile the JIT compilers of all processes settle. */
const WARM_UP_SHARE = 0.4;
const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });

function send(url: string, body: string): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) };
  const request = http.request(url, { method: 'POST', agent, headers }, (response) => {
    text(response).then(resolve, reject);
  });
  request.on('error', reject);
  request.end(body);
  return promise;
}

async function loop({ url, variants, right }: SingleOptions, seconds: number) {
  const measured = variants.map(() => ({ total: [] as number[], engine: [] as number[] }));
  const end = performance.now() + 1000 * seconds;
  for (let i = 0; performance.now() < end; i++) {
    for (const [v, bodies] of variants.entries()) {
      const begun = performance.now();
      const answer = await send(url, bodies[i % bodies.length] as string);
      measured[v]?.total.push(performance.now() - begun);
      const [output] = FORMATS.predict({ status: 200, body: answer }).outputs;
      if (!isRight(output, right[i % bodies.length] as Right)) throw new Error(`wrong: ${answer.slice(0, 500)}`);
      measured[v]?.engine.push(Number(/"totalMs":([\d.]+)/.exec(answer)?.[1]));
    }
  }
  return measured;
}

const options = JSON.parse(await text(process.stdin)) as SingleOptions;
await loop(options, WARM_UP_SHARE * options.seconds);
const measured = await loop(options, options.seconds);
const variants = measured.map(({ total, engine }) => ({ total: spreadOf(total), engine: spreadOf(engine) }));
console.log(JSON.stringify({ variants } satisfies SingleResult));
agent.destroy();
