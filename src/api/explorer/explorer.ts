/**
 * Explorer pages: Apollo Sandbox, which loads from its CDN, and the built-in GraphiQL, which works without internet.
 *
 * Files are read once, when the routes are registered. No path is built from client input.
 */
import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { acceptsGzip, markCompressed } from '../compression.js';
import { GRAPHIQL_PAGE } from './pages.js';

interface ExampleOperation {
  readonly name: string;
  /** The name of the operation. */
  readonly title: string;
  readonly summary: string;
  readonly group: string;
  readonly query: string;
  readonly variables: unknown;
}

/** Also of workers: their scripts run with the policy of their own file. */
const ASSET_POLICY = "default-src 'self'; frame-ancestors 'none'";
const ASSETS = path.join(import.meta.dirname, 'assets');
const OPERATIONS = path.resolve(import.meta.dirname, '../../../schema/operations');
const ROUTE = { config: { policy: 'public' as const } };

export async function registerExplorer(http: FastifyInstance, { isOn }: { isOn: boolean }): Promise<void> {
  if (!isOn) return;
  const operations = await readOperations();
  http.get('/graphiql', ROUTE, async (_request, reply) =>
    reply.headers(GRAPHIQL_PAGE.headers).send(GRAPHIQL_PAGE.html),
  );
  http.get('/graphiql/operations.json', ROUTE, async () => operations);
  for (const name of await readdir(ASSETS).catch(() => [])) await registerAsset(http, name);
}

const TYPES: Readonly<Record<string, string>> = {
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.ttf': 'font/ttf',
};

/** Compressed when first requested with gzip, then kept in memory. */
async function registerAsset(http: FastifyInstance, name: string): Promise<void> {
  const plain = await readFile(path.join(ASSETS, name));
  const etag = `"${createHash('sha256').update(plain).digest('base64url').slice(0, 20)}"`;
  let compressed: Buffer | null = null;
  const compress = () => promisify(gzip)(plain).then((bytes) => (compressed = bytes));
  http.get(`/graphiql/assets/${name}`, ROUTE, async (request: FastifyRequest, reply: FastifyReply) => {
    reply.headers({
      etag,
      'cache-control': 'no-cache',
      'content-security-policy': ASSET_POLICY,
      'content-type': TYPES[path.extname(name)] ?? 'application/octet-stream',
    });
    if (request.headers['if-none-match'] === etag) return reply.code(304).send();
    if (!acceptsGzip(request)) return reply.send(plain);
    const bytes = compressed ?? (await compress());
    markCompressed(reply);
    return reply.send(bytes);
  });
}

async function readOperations(): Promise<ExampleOperation[]> {
  const files = (await readdir(OPERATIONS)).filter((file) => file.endsWith('.graphql')).sort();
  const operations = await Promise.all(files.map((file) => readOperation(path.basename(file, '.graphql'))));
  return operations.sort((a, b) => GROUPS.indexOf(a.group) - GROUPS.indexOf(b.group));
}

const GROUPS = ['Explore', 'Predict', 'Operate'];
/** By the root field of an operation; all others explore the catalog. */
const GROUP_OF: Readonly<Record<string, string>> = {
  predict: 'Predict',
  predictMany: 'Predict',
  evaluate: 'Operate',
  recommendEvaluations: 'Operate',
  setGate: 'Operate',
  setAlias: 'Operate',
  engine: 'Operate',
};

/** The first line of each document is a comment that says what it is for. */
const DOCUMENT = /^# (?<summary>[^\n]+)\n(?:query|mutation) (?<title>\w+)[^{]*\{\s*(?<field>\w+)/;

async function readOperation(name: string): Promise<ExampleOperation> {
  const query = await readFile(path.join(OPERATIONS, `${name}.graphql`), 'utf8');
  const variables = await readFile(path.join(OPERATIONS, `${name}.variables.json`), 'utf8').catch(() => '{}');
  const { summary = '', title = name, field = '' } = DOCUMENT.exec(query)?.groups ?? {};
  return { name, title, summary, group: GROUP_OF[field] ?? 'Explore', query, variables: JSON.parse(variables) };
}
