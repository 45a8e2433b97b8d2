/** Refuses large bodies of which the operation uses only a part: to parse the rest takes time that no price covers. */
import type { GraphQLFormattedError } from 'graphql';
import { jsonBytes } from './json-size.js';
import { refusal } from './refusals.js';

/** What a body may hold, as JSON, in addition to what the operation uses: for example the name of the client. */
const MAX_UNUSED_BYTES = 4 * 1024;
const USED = new Set(['query', 'operationName', 'variables']);

/** @param declared the names of the variables that the document declares */
export function refusalOfUnused(body: object, declared: ReadonlySet<string>): GraphQLFormattedError | null {
  const { variables = {} } = body as { variables?: unknown };
  let bytes = 0;
  for (const [name, key, object] of unusedOf(body, variables, declared)) {
    bytes += key.length + jsonBytes((object as Readonly<Record<string, unknown>>)[key], MAX_UNUSED_BYTES);
    if (bytes > MAX_UNUSED_BYTES) return tooMuch(name);
  }
  return null;
}

/** The parts of a body that the operation does not use: their name, and the object and key that hold them. */
function* unusedOf(
  body: object,
  variables: unknown,
  declared: ReadonlySet<string>,
): Generator<[string, string, object]> {
  for (const key of Object.keys(body)) if (!USED.has(key)) yield [key, key, body];
  if (typeof variables !== 'object' || variables === null) return;
  for (const key of Object.keys(variables)) if (!declared.has(key)) yield [`variables.${key}`, key, variables];
}

function tooMuch(name: string): GraphQLFormattedError {
  const message = `The body has more than ${MAX_UNUSED_BYTES} bytes that the operation does not use, among others in "${name.slice(0, 80)}"; at most ${MAX_UNUSED_BYTES} are allowed in a large body. Send only variables that the operation declares.`;
  return refusal('BAD_USER_INPUT', message);
}
