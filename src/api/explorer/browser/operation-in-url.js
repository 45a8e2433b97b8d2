/**
 * An operation in the address of a page, as `?query=…&variables=…`. The explorers link to each other with the same text after
 * `#`, which browsers send to no server: inputs stay out of the logs of proxies, and no limit of the URL applies.
 *
 * Nothing in an address is run: whoever opens a link reads the operation before.
 */

/** Null if the address has no operation. `variables` is JSON, as it is shown; undefined if there are none. */
export function operationInUrl({ search, hash }) {
  const parameters = [search, hash.slice(1)].map((text) => new URLSearchParams(text)).find((some) => some.has('query'));
  if (!parameters) return null;
  return { query: parameters.get('query'), variables: pretty(parameters.get('variables')) };
}

export function fragmentOf({ query, variables }) {
  return `#${new URLSearchParams({ query, ...(variables?.trim() && { variables }) })}`;
}

function pretty(json) {
  if (!json) return undefined;
  try {
    return JSON.stringify(JSON.parse(json), null, 2);
  } catch {
    return json;
  }
}
