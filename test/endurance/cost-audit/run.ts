/** Sends the audited requests and reports what each one cost. */
import { once } from 'node:events';
import { type IncomingMessage, request } from 'node:http';
import { text } from 'node:stream/consumers';
import { setTimeout } from 'node:timers/promises';
import type { Audited, AuditRequest } from './requests.ts';

export interface Row {
  readonly name: string;
  readonly price: number;
  readonly status: number;
  /** Codes of the errors of an answer. */
  readonly codes: readonly string[];
  readonly responseBytes: number;
  /** Values in the response. */
  readonly values: number;
  /** What `measure` returned. */
  readonly [measured: string]: unknown;
}

export interface AuditOptions<Measured> {
  readonly url: string;
  /** Measures one request by sending it, as often as it needs to. */
  readonly measure: (request: {
    readonly name: string;
    readonly price: number;
    send(): Promise<void>;
  }) => Promise<Measured>;
  /** Called before the first request of each kind. */
  readonly onKind?: () => Promise<void>;
  readonly onRow?: (row: Row & Measured) => void;
}

/** Codes of requests that are refused because they are too large, which is right whatever else is in them. */
const LIMIT_CODES: readonly string[] = [
  'COST_LIMIT_EXCEEDED',
  'BODY_LIMIT_EXCEEDED',
  'BODY_TOO_LARGE',
  'DOCUMENT_LIMIT_EXCEEDED',
  'DOCUMENT_TOO_LARGE',
];

const MAX_COST = 10_000;

function isLimit({ status, codes, message }: Answer): boolean {
  if (status === 200) return false;
  const isTooLong = codes.includes('BAD_USER_INPUT') && message.includes('is too long');
  return isTooLong || codes.some((code) => LIMIT_CODES.includes(code));
}

export interface AuditResult<Measured> {
  /** The largest accepted request of each kind. */
  readonly rows: readonly (Row & Measured)[];
  /** The first refused request of each kind: what it takes to refuse it. Their price is the limit at least. */
  readonly refusedRows: readonly (Row & Measured)[];
  /** Requests that are not valid: mistakes of the audit, or internal errors. */
  readonly invalid: readonly string[];
  /** Kinds of which every size is refused by a limit. */
  readonly refused: readonly string[];
}

export async function runAudit<Measured extends object>(
  audited: readonly Audited[],
  { url, measure, onKind, onRow }: AuditOptions<Measured>,
): Promise<AuditResult<Measured>> {
  const rows: (Row & Measured)[] = [];
  const invalid: string[] = [];
  const refused: string[] = [];
  const refusedRows: (Row & Measured)[] = [];
  for (const { name, sizes } of audited) {
    await onKind?.();
    let answer: Answer | null = null;
    const measureRow = async (request: AuditRequest, { status, codes, responseBytes, values, price }: Answer) => {
      const measured = await measure({ name, price, send: async () => void (await send(url, request)) });
      const row = { name, price, status, codes, responseBytes, values, ...measured };
      onRow?.(row);
      return row;
    };
    let isFirst = true;
    for (const makeRequest of sizes) {
      const request = makeRequest();
      answer = await send(url, request);
      const { status, codes, message } = answer;
      if (isLimit(answer)) {
        // Only the largest: it is what refusing can cost at most.
        if (isFirst)
          refusedRows.push(await measureRow(request, { ...answer, price: Math.max(MAX_COST, answer.price) }));
        isFirst = false;
        continue;
      }
      if (status !== 200 || codes.includes('INTERNAL_SERVER_ERROR'))
        invalid.push(`${name}: ${status} ${codes} ${message} in ${request.query.slice(0, 500)}`);
      if (status !== 200) break;
      // Measured when it is sent again: the document is then known, as it would be to an attacker's second request.
      rows.push(await measureRow(request, answer));
      break;
    }
    if (answer && isLimit(answer)) refused.push(`${name}: ${answer.codes.join(' ')}`);
  }
  return { rows, refusedRows, invalid, refused };
}

interface Answer {
  readonly status: number;
  readonly price: number;
  readonly codes: readonly string[];
  readonly message: string;
  readonly responseBytes: number;
  readonly values: number;
}

/** Loopback addresses from which requests are sent in turn: the server reads fewer large bodies of an address whose it refuses. */
const ADDRESSES =
  process.platform === 'linux' ? Array.from({ length: 250 }, (_, i) => `127.0.0.${i + 2}`) : ['127.0.0.1'];
let sent = 0;

/** How often a request is sent again when its connection was closed while its body was being sent. */
const MAX_RESETS = 30;

/**
 * Waits where the server refuses to read large bodies, because many of them were refused before: it answers 503, or closes
 * the connection of a client that is still sending, which then may not see the answer.
 */
async function send(url: string, { query, variables }: AuditRequest): Promise<Answer> {
  const body = Buffer.from(JSON.stringify({ query, variables }));
  let resets = 0;
  const post = async (): Promise<Awaited<ReturnType<typeof postOnce>>> => {
    try {
      return await postOnce(`${url}/graphql`, body, ADDRESSES[sent++ % ADDRESSES.length] as string);
    } catch (error) {
      if (++resets > MAX_RESETS) throw error;
      await setTimeout(1_000);
      return post();
    }
  };
  let response = await post();
  while (response.status === 503) {
    await setTimeout(1_000 * Number(response.headers['retry-after'] ?? 1));
    response = await post();
  }
  const { status, text: received } = response;
  const { errors = [], extensions } = JSON.parse(received);
  const codes = [...new Set<string>(errors.map((error: Coded) => error.extensions?.code ?? 'none'))];
  return {
    status,
    price: extensions?.cost?.requested ?? 0,
    codes,
    message: errors[0]?.message ?? '',
    responseBytes: received.length,
    values: countValues(received),
  };
}

async function postOnce(url: string, body: Buffer, localAddress: string) {
  const headers = { 'content-type': 'application/json', 'content-length': body.length };
  const sending = request(url, { method: 'POST', localAddress, headers });
  // A connection can also be reset after the response has begun, which `text` reports.
  sending.on('error', () => {});
  sending.end(body);
  const [response] = (await once(sending, 'response')) as [IncomingMessage];
  return { status: response.statusCode ?? 0, headers: response.headers, text: await text(response) };
}

interface Coded {
  readonly extensions?: { readonly code?: string };
}

/** Separators of JSON outside strings: about one for each value. */
function countValues(text: string): number {
  let count = 0;
  let isString = false;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code === 92) i++;
    else if (code === 34) isString = !isString;
    else if (!isString && (code === 44 || code === 58)) count++;
  }
  return count;
}
