/**
 * Sends each request on both ways to an answer, the lane for known documents and Apollo Server alone, and compares statuses,
 * headers and bodies. Ids, times, durations and what other requests change are replaced first.
 *
 * `node test/endurance/both-ways.ts [documents] [seed]` prints a report.
 */
import { createHash } from 'node:crypto';
import { Agent, type IncomingHttpHeaders, request } from 'node:http';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import { post } from '../support/graphql-client.ts';
import { createStore } from '../support/model-store.ts';
import { seeded } from '../support/seeded-random.ts';
import { makeDocument } from './fuzz/documents.ts';
import { fillModels, type Material, survey } from './fuzz/material.ts';
import { startWatched } from './fuzz/watched-server.ts';

interface Report {
  readonly sent: number;
  /** Of those that were compared, with status 200 and without errors: the lane answers them itself. */
  readonly plain: number;
  /** With status 200 and errors: the lane executes them, and Apollo Server answers. */
  readonly withErrors: number;
  /** Refused before they are executed. */
  readonly refused: number;
  readonly differences: readonly string[];
}

const ENOUGH_DIFFERENCES = 10;
const SHOWN_CHARACTERS = 600;
const MAX_ATTEMPTS = 5;
/** Headers that differ between any two answers. */
const OF_ONE_ANSWER: readonly string[] = ['date', 'x-request-id', 'content-length'];
const ACCEPTS: readonly (string | undefined)[] = [
  undefined,
  '*/*',
  'application/json',
  'application/graphql-response+json, application/json;q=0.9',
  'application/graphql-response+json',
  'multipart/mixed;deferSpec=20220824, application/json',
  'application/graphql-response+json;q=0.5, */*',
  'text/html',
  'image/png',
];

export async function compareBothWays({ documents, seed }: { documents: number; seed: number }): Promise<Report> {
  const store = await createStore();
  try {
    const env = { MODEL_STORE: await fillModels(store), DATA_DIR: path.join(store.folder, 'data') };
    const server = await startWatched(store.folder, env);
    const material = await survey(server.url);
    await publish(server.url, material.operations);
    const report = await compareAll(server.url, bodiesOf(documents, seed, material));
    await server.end('SIGTERM');
    return report;
  } finally {
    await store.remove();
  }
}

/** Registers the shipped operations, so that they can be sent by their ids. */
async function publish(url: string, operations: Material['operations']): Promise<void> {
  const manifest = Object.fromEntries(operations.map(({ query }) => [sha256(query), query]));
  const document =
    'mutation ($input: PublishOperationsInput!) { publishOperations(input: $input) { added problem { message } } }';
  const { data } = await post(url, document, { input: { manifest } });
  if (data.publishOperations.added === null) throw new Error(JSON.stringify(data));
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

/** The shipped operations, requests for each entry of the tables of errors, and generated documents. */
function* bodiesOf(documents: number, seed: number, material: Material): Generator<string> {
  for (const { query, variables } of material.operations) {
    yield JSON.stringify({ query, variables });
    yield JSON.stringify({ documentId: `sha256:${sha256(query)}`, variables });
    yield JSON.stringify({ variables, extensions: { persistedQuery: { version: 1, sha256Hash: sha256(query) } } });
  }
  yield* oddBodies();
  for (let i = 0; i < documents; i++)
    yield makeDocument(seeded(Math.imul(seed, 0x9e3779b1) ^ Math.imul(i + 1, 0x85ebca6b)), material);
}

/** A request for each way in which a request can be refused, and for each problem that one request can cause. */
function* oddBodies(): Generator<string> {
  const query = '{ __typename }';
  const predict =
    'mutation ($input: PredictInput!) { predict(input: $input) { prediction { id } problem { __typename code message } } }';
  const inputs: readonly object[] = [
    { model: 'unknown-model', input: { text: 'a' } },
    { model: 'spam-filter', input: {} },
    { model: 'spam-filter', input: { text: 'a', row: {} } },
    { model: 'spam-filter', input: { row: {} } },
    { model: 'spam-filter', input: { text: 'a' }, deadlineMs: 0 },
    { model: 'spam-filter', input: { text: 'a' }, idempotencyKey: 'one' },
    { model: 'spam-filter', input: { text: 'b' }, idempotencyKey: 'one' },
    { model: 'spam-filter', input: { text: 'a' }, variant: 'none' },
    { model: 'spam-filter', input: { text: 'a' }, unknown: 1 },
    { model: 1, input: { text: 'a' } },
  ];
  for (const input of inputs) yield JSON.stringify({ query: predict, variables: { input } });
  const bodies: readonly unknown[] = [
    { query, operationName: 'None' },
    { query, operationName: '' },
    { query, operationName: null },
    { query, operationName: 1 },
    { query, variables: null },
    { query, variables: [] },
    { query, variables: '{}' },
    { query, variables: { unused: 1 } },
    { query, extensions: null },
    { query, extensions: [] },
    { query, extensions: { clientLibrary: { name: 'a', version: '1' } } },
    { query, extensions: { persistedQuery: { version: 1, sha256Hash: 'a' } } },
    { query, unknown: true },
    { query, documentId: 'a' },
    { documentId: 'a' },
    { documentId: 1 },
    { extensions: { persistedQuery: { version: 1, sha256Hash: 'a' } } },
    { query: '' },
    { query: 1 },
    { query: '{' },
    { query: '{ unknown }' },
    { query: 'query A { __typename } query B { __typename }' },
    { query: 'query A { __typename } query B { __typename }', operationName: 'B' },
    { query: 'subscription { a }' },
    { query: 'query ($a: Int!) { models(first: $a) { totalCount } }' },
    { query: 'query ($a: Int!) { models(first: $a) { totalCount } }', variables: { a: 0 } },
    { query: 'query ($a: Int!) { models(first: $a) { totalCount } }', variables: { a: 'x' } },
    { query: 'query ($a: Int = 3) { models(first: $a) { nodes { name } } }' },
    {
      query:
        '{ models(first: 100) { nodes { versions(first: 100) { nodes { evaluations(first: 100) { totalCount } } } } } }',
    },
    { query: '{ node(id: "x") { id } }' },
    { query: '{ a: node(id: "x") { id } b: model(name: "spam-filter") { name } }' },
    { query: '{ models(after: "x") { totalCount } }' },
    { query: '{ models(first: 1) @skip(if: true) { totalCount } }' },
    { query: 'mutation { load(version: "none") { problem { code } } }' },
    { query: '{ __schema { queryType { name } } __type(name: "Model") { fields { name } } }' },
    [{ query }],
    [],
    {},
    null,
    'a',
  ];
  for (const body of bodies) yield JSON.stringify(body);
}

async function compareAll(url: string, bodies: Iterable<string>): Promise<Report> {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const differences: string[] = [];
  const counts = { sent: 0, plain: 0, withErrors: 0, refused: 0 };
  for (const body of bodies) {
    const accept = ACCEPTS[counts.sent++ % ACCEPTS.length];
    const { lane, difference } = await compareOne((isBypassed) => send(url, agent, body, accept, isBypassed));
    if (difference) differences.push(`${difference}: ${body.slice(0, SHOWN_CHARACTERS)} (Accept: ${accept})`);
    if (differences.length >= ENOUGH_DIFFERENCES) break;
    if (lane.status !== 200) counts.refused++;
    else if (lane.text.startsWith('{"errors"')) counts.withErrors++;
    else counts.plain++;
  }
  agent.destroy();
  return { ...counts, differences };
}

/**
 * What an answer says can change between two requests: a version is loaded meanwhile, an idempotency key is used up, a deadline
 * passes. So Apollo Server alone is asked before and after the lane, and the lane must agree with one of both, in one of a few
 * attempts.
 */
async function compareOne(ask: (isBypassed: boolean) => Promise<Answer>) {
  let before = await ask(true);
  for (let attempt = 1; ; attempt++) {
    const lane = await ask(false);
    const difference = differenceOf(before, lane);
    if (difference === null || attempt === MAX_ATTEMPTS) return { lane, difference };
    before = await ask(true);
    if (differenceOf(before, lane) === null) return { lane, difference: null };
  }
}

interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
}

function send(
  url: string,
  agent: Agent,
  body: string,
  accept: string | undefined,
  isBypassed: boolean,
): Promise<Answer> {
  const bytes = Buffer.from(body);
  const headers = {
    'content-type': 'application/json',
    'content-length': bytes.length,
    ...(accept === undefined ? {} : { accept }),
    ...(isBypassed ? { 'x-test-bypasses-lane': '1' } : {}),
  };
  return new Promise((resolve, reject) => {
    const sent = request(`${url}/graphql`, { method: 'POST', agent, headers });
    sent.on('response', (response) => {
      const { statusCode: status = 0, headers: own } = response;
      text(response).then((received) => resolve({ status, headers: own, text: received }), reject);
    });
    sent.on('error', reject);
    sent.end(bytes);
  });
}

/** Null if the answers are the same, as far as two answers to one request can be. */
function differenceOf(a: Answer, b: Answer): string | null {
  if (a.status !== b.status) return `status ${a.status}, ${b.status} ${b.text.slice(0, SHOWN_CHARACTERS)}`;
  const [headersOfA, headersOfB] = [a, b].map(({ headers }) => JSON.stringify(comparable(headers)));
  if (headersOfA !== headersOfB) return `headers ${headersOfA}, ${headersOfB}`;
  const [textOfA, textOfB] = [neutral(a.text), neutral(b.text)];
  if (textOfA === textOfB) return null;
  let at = 0;
  while (textOfA[at] === textOfB[at]) at++;
  const near = (one: string) => one.slice(Math.max(0, at - 80), at + 120);
  return `body …${near(textOfA)}…, …${near(textOfB)}…`;
}

function comparable(headers: IncomingHttpHeaders): [string, unknown][] {
  return Object.entries(headers)
    .filter(([name]) => !OF_ONE_ANSWER.includes(name))
    .sort();
}

/** Without what differs between any two answers: ids, cursors, times, and numbers that other requests change. */
export function neutral(body: string): string {
  return body
    .replaceAll(/"[\w-]{20,}={0,2}"/g, '"id"')
    .replaceAll(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, 'time')
    .replaceAll(/-?\d+(\.\d+)?(e-?\d+)?/g, '0');
}

if (process.argv[1] === import.meta.filename) {
  const [documents = '20000', seed = '1'] = process.argv.slice(2);
  const { differences, ...counts } = await compareBothWays({ documents: Number(documents), seed: Number(seed) });
  console.log(JSON.stringify(counts));
  for (const difference of differences) console.log(difference);
  if (differences.length > 0) process.exitCode = 1;
}
