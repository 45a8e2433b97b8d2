/**
 * Closed-loop load: each connection sends its next request when it has the answer to the last. Answers are kept, and
 * compared with the right ones after the clock has stopped. Runs as a child; reads `LoadOptions` from stdin and prints
 * `LoadResult`.
 */
import { text } from 'node:stream/consumers';
import { FORMATS, type Format, isRight, type Right } from './answers.ts';
import { Connection, type Reply, requestBytes } from './connection.ts';
import { type Spread, spreadOf } from './numbers.ts';

export interface LoadRequest {
  readonly body: string;
  /** Of the body of a binary request; JSON otherwise. */
  readonly encoding?: 'base64';
  readonly headers?: Readonly<Record<string, string>>;
  /** The right answers, one for each input, or the text that the answer begins with. */
  readonly right: readonly Right[] | string;
}

export interface LoadOptions {
  readonly url: string;
  readonly connections: number;
  readonly seconds: number;
  readonly format: Format;
  /** Sent in turn. */
  readonly requests: readonly LoadRequest[];
}

export interface LoadResult {
  readonly answered: number;
  readonly requestsPerSecond: number;
  /** In ms. */
  readonly latency: Spread;
  /** NaN (null in JSON) if the server does not say. */
  readonly meanBatch: number | null;
  /** Answers that are not right. */
  readonly failures: number;
  /** The first of them. */
  readonly failure: string | null;
  /** Requests without an answer: the server broke the connection, which was opened again, or took too long. */
  readonly lost: number;
  /** How the first of them was lost. */
  readonly loss: string | null;
}

interface Kept {
  readonly reply: Reply;
  readonly request: number;
}

const LOCALHOST = '127.0.0.1';
const TIMEOUT_MS = 30_000;

async function send(options: LoadOptions): Promise<{ kept: Kept[]; times: number[]; seconds: number }> {
  const { url, requests } = options;
  const all = requests.map(({ body, encoding, headers }) =>
    requestBytes(url, encoding ? Buffer.from(body, encoding) : body, headers),
  );
  const kept: Kept[] = [];
  const times: number[] = [];
  let sent = 0;
  const begun = performance.now();
  const end = begun + 1_000 * options.seconds;
  const encoding = options.format === 'oip' ? 'latin1' : 'utf8';
  let hasGivenUp = false;
  const connect = (): Connection => new Connection({ url, localAddress: LOCALHOST, encoding });
  const connections = Array.from({ length: options.connections }, connect);
  const loop = (place: number, done: () => void): void => {
    const request = sent++ % all.length;
    const since = performance.now();
    const connection = connections[place] as Connection;
    connection.send(all[request] as Buffer, (reply) => {
      const now = performance.now();
      times.push(now - since);
      kept.push({ reply, request });
      if (now >= end || hasGivenUp) return done();
      if (!connection.isOpen) connections[place] = connect();
      loop(place, done);
    });
  };
  const giveUp = setTimeout(
    () => {
      hasGivenUp = true;
      for (const one of connections) one.close('the client gave up');
    },
    1_000 * options.seconds + TIMEOUT_MS,
  );
  await Promise.all(connections.map((_, place) => new Promise<void>((resolve) => loop(place, resolve))));
  clearTimeout(giveUp);
  const seconds = (performance.now() - begun) / 1_000;
  for (const one of connections) one.close('done');
  return { kept, times, seconds };
}

/** The size of the batch, or what is wrong with the answer. */
function judge({ status, body }: Reply, { right }: LoadRequest, format: Format): number | string {
  const all = `HTTP ${status}: ${body.slice(0, 500)}`;
  if (status !== 200) return all;
  if (typeof right === 'string') return body.startsWith(right) ? Number.NaN : all;
  try {
    const { outputs, batchSize } = FORMATS[format]({ status, body });
    const wrong = right.findIndex((one, i) => !isRight(outputs[i], one));
    if (wrong < 0 && outputs.length === right.length) return batchSize;
    return `answer ${wrong} of ${outputs.length} is ${JSON.stringify(outputs[wrong])}, not ${JSON.stringify(right[wrong])}: ${problemIn(body)}`;
  } catch {
    return all;
  }
}

/** Of a row, because the whole answer may be long. */
function problemIn(body: string): string {
  return /"problem":\{[^}]*\}/.exec(body)?.[0] ?? 'there is no problem';
}

async function load(options: LoadOptions): Promise<LoadResult> {
  const { kept, times, seconds } = await send(options);
  const lost = kept.filter(({ reply }) => reply.status === 0);
  const answers = kept.filter(({ reply }) => reply.status !== 0);
  const verdicts = answers.map(({ reply, request }) =>
    judge(reply, options.requests[request] as LoadRequest, options.format),
  );
  const batches = verdicts.filter((verdict) => typeof verdict === 'number');
  const failures = verdicts.filter((verdict) => typeof verdict === 'string');
  return {
    answered: batches.length,
    requestsPerSecond: batches.length / seconds,
    latency: spreadOf(times),
    meanBatch: batches.reduce((sum, size) => sum + size, 0) / batches.length,
    failures: failures.length,
    failure: failures[0] ?? null,
    lost: lost.length,
    loss: lost[0]?.reply.body ?? null,
  };
}

console.log(JSON.stringify(await load(JSON.parse(await text(process.stdin)))));
