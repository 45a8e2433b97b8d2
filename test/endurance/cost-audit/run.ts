/** Sends the audited requests and reports what each one cost. */
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

export interface AuditResult<Measured> {
  /** The largest accepted request of each kind. */
  readonly rows: readonly (Row & Measured)[];
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
  for (const { name, sizes } of audited) {
    await onKind?.();
    let answer: Answer | null = null;
    for (const makeRequest of sizes) {
      const request = makeRequest();
      answer = await send(url, request);
      const { status, codes, message, responseBytes, values, price } = answer;
      if (status !== 200 && codes.some((code) => LIMIT_CODES.includes(code))) continue;
      if (status !== 200 || codes.includes('INTERNAL_SERVER_ERROR'))
        invalid.push(`${name}: ${status} ${codes} ${message} in ${request.query.slice(0, 500)}`);
      if (status !== 200) break;
      // Measured when it is sent again: the document is then known, as it would be to an attacker's second request.
      const measured = await measure({ name, price, send: async () => void (await send(url, request)) });
      const row = { name, price, status, codes, responseBytes, values, ...measured };
      rows.push(row);
      onRow?.(row);
      break;
    }
    if (answer && answer.status !== 200 && answer.codes.some((code) => LIMIT_CODES.includes(code)))
      refused.push(`${name}: ${answer.codes.join(' ')}`);
  }
  return { rows, invalid, refused };
}

interface Answer {
  readonly status: number;
  readonly price: number;
  readonly codes: readonly string[];
  readonly message: string;
  readonly responseBytes: number;
  readonly values: number;
}

async function send(url: string, { query, variables }: AuditRequest): Promise<Answer> {
  const response = await fetch(`${url}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ query, variables }),
  });
  const text = await response.text();
  const { errors = [], extensions } = JSON.parse(text);
  const codes = [...new Set<string>(errors.map((error: Coded) => error.extensions?.code ?? 'none'))];
  return {
    status: response.status,
    price: extensions?.cost?.requested ?? 0,
    codes,
    message: errors[0]?.message ?? '',
    responseBytes: text.length,
    values: countValues(text),
  };
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
