/** A minimal GraphQL client. */
import http from 'node:http';
import { json } from 'node:stream/consumers';

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

/** As `post`, from an address such as 127.0.0.2. The server tells callers apart by it. */
export async function postFrom(localAddress: string, url: string, query: string): Promise<GraphqlAnswer> {
  const response = await new Promise<http.IncomingMessage>((resolve, reject) => {
    const headers = { 'content-type': 'application/json' };
    const request = http.request(`${url}/graphql`, { method: 'POST', localAddress, headers }, resolve);
    request.once('error', reject).end(JSON.stringify({ query }));
  });
  const { data, errors, extensions } = (await json(response)) as GraphqlAnswer;
  return { status: response.statusCode ?? 0, data, errors, extensions };
}
