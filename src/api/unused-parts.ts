/** Refuses large bodies of which the operation uses only a part: to parse the rest takes time that no price covers. */
import type { GraphQLFormattedError } from 'graphql';
import { refusal } from './refusals.js';

/** What a body may hold, as JSON, in addition to what the operation uses: for example the name of the client. */
const MAX_UNUSED_BYTES = 4 * 1024;
const USED = new Set(['query', 'operationName', 'variables']);

/** @param declared the names of the variables that the document declares */
export function refusalOfUnused(body: object, declared: ReadonlySet<string>): GraphQLFormattedError | null {
  const { variables = {} } = body as { variables?: unknown };
  const unused = Object.keys(body).filter((key) => !USED.has(key));
  let bytes = 0;
  for (const key of unused) bytes += bytesOf(key, body);
  if (typeof variables === 'object' && variables !== null) {
    for (const name of Object.keys(variables)) {
      if (declared.has(name)) continue;
      if (bytes <= MAX_UNUSED_BYTES) unused.push(`variables.${name}`);
      bytes += bytesOf(name, variables);
    }
  }
  if (bytes <= MAX_UNUSED_BYTES) return null;
  const last = (unused.at(-1) ?? '').slice(0, 80);
  const message = `The body has ${bytes} bytes that the operation does not use, among others in "${last}"; at most ${MAX_UNUSED_BYTES} are allowed in a large body. Send only variables that the operation declares.`;
  return refusal('BAD_USER_INPUT', message);
}

function bytesOf(key: string, object: object): number {
  return key.length + (JSON.stringify((object as Record<string, unknown>)[key]) ?? '').length;
}
