/** Bodies as large as the server accepts that hold very many values, which it must refuse without keeping any of them. */
import http from 'node:http';
import { text } from 'node:stream/consumers';

const BODY_BYTES = 16 * 1024 * 1024;
const KINDS = ['{}', '[]', '0', 'null', '""', '{"row":{}}', '{"text":""}', '[[[[0]]]]'];
const QUERY = 'mutation ($input: PredictManyInput!) { predictMany(input: $input) { problem { code } } }';

/** One of `KINDS`, repeated as the inputs of a `predictMany`. */
function giantBody(kind: string): Buffer {
  const head = `{"query":${JSON.stringify(QUERY)},"variables":{"input":{"model":"affine","inputs":[`;
  const count = Math.floor((BODY_BYTES - head.length - 5) / (kind.length + 1));
  return Buffer.from(`${head}${`${kind},`.repeat(count - 1)}${kind}]}}}`);
}

/**
 * Sends one body and returns the code of the refusal.
 *
 * @throws Error if the server answers the request
 */
function sendGiant(url: string, body: Buffer): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  // With `connection: close`, Node ends the connection with the answer, although the client is still sending.
  const headers = { 'content-type': 'application/json', 'content-length': body.length, connection: 'keep-alive' };
  const request = http.request(`${url}/graphql`, { method: 'POST', agent: false, headers }, async (response) => {
    const answer = await text(response).catch((error) => String(error));
    request.destroy();
    const code = /"code":"([A-Z_]+)"/.exec(answer)?.[1];
    if (code) resolve(code);
    else reject(new Error(`A giant was not refused: ${answer.slice(0, 200)}`));
  });
  // A server that refuses before it has read everything may close the connection before its answer is read.
  request.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'ECONNRESET' || error.code === 'EPIPE') resolve(error.code);
    else reject(error);
  });
  request.end(body);
  return promise;
}

/** Sends giants one after another; returns how often each code was the answer. */
export class Giants {
  readonly refusals: Record<string, number> = {};
  readonly #url: string;
  readonly #bodies = KINDS.map(giantBody);
  #sent = 0;

  constructor(url: string) {
    this.#url = url;
  }

  async send(count: number): Promise<void> {
    for (let i = 0; i < count; i++) {
      const code = await sendGiant(this.#url, this.#bodies[this.#sent++ % KINDS.length] as Buffer);
      this.refusals[code] = (this.refusals[code] ?? 0) + 1;
    }
  }
}
