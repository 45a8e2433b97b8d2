/** A minimal GraphQL client. */

// biome-ignore lint/suspicious/noExplicitAny: an answer has the shape that the document of the test selects
export type Data = any;

export interface GraphqlAnswer {
  readonly status: number;
  readonly data: Data;
  readonly errors: readonly { message: string; path?: string[]; extensions: Record<string, Data> }[] | undefined;
  readonly extensions: Record<string, Data> | undefined;
}

export async function post(url: string, query: string, variables?: Record<string, unknown>): Promise<GraphqlAnswer> {
  const response = await fetch(`${url}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ query, variables }),
  });
  const { data, errors, extensions } = (await response.json()) as GraphqlAnswer;
  return { status: response.status, data, errors, extensions };
}
