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
  /** How many of the sizes that are not refused are measured, the largest first. */
  readonly sizesEach: number;
  readonly measure: (send: () => Promise<void>) => Promise<Measured>;
  readonly onRow?: (row: Row & Measured) => void;
}

export async function runAudit<Measured extends object>(
  audited: readonly Audited[],
  { url, sizesEach, measure, onRow }: AuditOptions<Measured>,
): Promise<{ rows: (Row & Measured)[]; invalid: string[]; unmeasured: string[] }> {
  const rows: (Row & Measured)[] = [];
  const invalid: string[] = [];
  const unmeasured: string[] = [];
  for (const { name, sizes } of audited) {
    let accepted = 0;
    for (const makeRequest of sizes) {
      if (accepted === sizesEach) break;
      const request = makeRequest();
      // Measured when it is sent again: the document is then known, as it would be to an attacker's second request.
      const { status, price, codes, responseBytes, values, message } = await send(url, request);
      if (codes.includes('GRAPHQL_VALIDATION_FAILED') || codes.includes('INTERNAL_SERVER_ERROR') || status >= 500)
        invalid.push(`${name}: ${message} in ${request.query.slice(0, 500)}`);
      if (status !== 200) continue;
      accepted++;
      const measured = await measure(async () => void (await send(url, request)));
      const row = { name, price, status, codes, responseBytes, values, ...measured };
      rows.push(row);
      onRow?.(row);
    }
    if (accepted === 0) unmeasured.push(name);
  }
  return { rows, invalid, unmeasured };
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
