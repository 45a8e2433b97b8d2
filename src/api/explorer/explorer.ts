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

type ExplorerKind = 'sandbox' | 'graphiql' | 'off';

interface ExplorerPage {
  readonly html: string;
  readonly headers: Readonly<Record<string, string>>;
}

interface ExampleOperation {
  readonly name: string;
  readonly query: string;
  readonly variables: unknown;
}

/** No other page may show this one in a frame, or change where it sends what is typed. */
const NOT_EMBEDDED = "frame-ancestors 'none'; base-uri 'none'; form-action 'none'";
/** Pages may not use what the explorers do not need. */
const PERMISSIONS = 'camera=(), geolocation=(), microphone=(), payment=(), usb=()';
/** Also of workers: their scripts run with the policy of their own file. */
const ASSET_POLICY = "default-src 'self'; frame-ancestors 'none'";
const ASSETS = path.join(import.meta.dirname, 'assets');
const OPERATIONS = path.resolve(import.meta.dirname, '../../../schema/operations');
const ROUTE = { config: { policy: 'public' as const } };

const SANDBOX_HOST = 'https://embeddable-sandbox.cdn.apollographql.com';
const SANDBOX_SCRIPT = `${SANDBOX_HOST}/_latest/embeddable-sandbox.umd.production.min.js`;

const ICON = `data:image/svg+xml,${encodeURIComponent(
  '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><path d="M6 25 11 8l5 11 5-11 5 17" fill="none" stroke="#3b4bc0" stroke-width="3.5" stroke-linecap="round" stroke-linejoin="round"/></svg>',
)}`;

/** The page for a browser that opens `/graphql`; undefined if the explorer is off. */
export function explorerPage(kind: ExplorerKind): ExplorerPage | undefined {
  if (kind === 'off') return undefined;
  return kind === 'sandbox' ? sandboxPage() : graphiqlPage();
}

export async function registerExplorer(http: FastifyInstance, { kind }: { kind: ExplorerKind }): Promise<void> {
  if (kind === 'off') return;
  const operations = await readOperations();
  http.get('/graphiql', ROUTE, async (_request, reply) =>
    reply.headers(graphiqlPage().headers).send(graphiqlPage().html),
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
    if (!/\bgzip\b/.test(request.headers['accept-encoding'] ?? '')) return reply.send(plain);
    return reply.header('content-encoding', 'gzip').send(compressed ?? (await compress()));
  });
}

async function readOperations(): Promise<ExampleOperation[]> {
  const files = (await readdir(OPERATIONS)).filter((file) => file.endsWith('.graphql')).sort();
  return Promise.all(
    files.map(async (file) => {
      const name = path.basename(file, '.graphql');
      const variables = await readFile(path.join(OPERATIONS, `${name}.variables.json`), 'utf8').catch(() => '{}');
      return { name, query: await readFile(path.join(OPERATIONS, file), 'utf8'), variables: JSON.parse(variables) };
    }),
  );
}

function pageHeaders(policy: string): ExplorerPage['headers'] {
  return {
    'content-type': 'text/html; charset=utf-8',
    'content-security-policy': policy,
    'permissions-policy': PERMISSIONS,
  };
}

function graphiqlPage(): ExplorerPage {
  const html = `<!doctype html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <title>Modelgraph explorer</title>
  <link rel="icon" href="${ICON}">
  <link rel="stylesheet" href="/graphiql/assets/graphiql.css">
  <style>
    html, body, #explorer { height: 100%; margin: 0; }
    .brand { color: inherit; font: 600 1.05rem system-ui, sans-serif; text-decoration: none; }
  </style>
</head>
<body>
  <div id="explorer">Loading the explorer…</div>
  <script type="module" src="/graphiql/assets/graphiql.js"></script>
</body>
</html>`;
  const policy = `default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self' data:; worker-src 'self' blob:; ${NOT_EMBEDDED}`;
  return { html, headers: pageHeaders(policy) };
}

/** Redirects to the built-in explorer if the CDN does not respond within three seconds. */
const SANDBOX_STARTER = `
  const leave = () => location.replace('/graphiql');
  const patience = setTimeout(leave, 3000);
  const script = document.createElement('script');
  script.onerror = leave;
  script.onload = () => {
    clearTimeout(patience);
    document.getElementById('waiting').remove();
    new window.EmbeddedSandbox({
      target: '#sandbox', initialEndpoint: location.origin + '/graphql', includeCookies: false, runTelemetry: false,
      initialState: { document: '{ models { nodes { name title summary version { ref } } } }' },
    });
  };
  script.src = '${SANDBOX_SCRIPT}';
  document.head.append(script);
`;

function sandboxPage(): ExplorerPage {
  const hash = createHash('sha256').update(SANDBOX_STARTER).digest('base64');
  const html = `<!doctype html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <title>Modelgraph: Apollo Sandbox</title>
  <link rel="icon" href="${ICON}">
  <style>
    html, body, #sandbox { height: 100%; margin: 0; }
    #sandbox iframe { width: 100%; height: 100%; border: 0; }
    #waiting { font: 1rem system-ui, sans-serif; padding: 3rem; }
  </style>
</head>
<body>
  <p id="waiting">Opening Apollo Sandbox… If it does not load within 3 seconds, the <a href="/graphiql">built-in explorer</a> opens instead.</p>
  <div id="sandbox"></div>
  <script>${SANDBOX_STARTER}</script>
</body>
</html>`;
  const policy = [
    `default-src 'self' https://*.apollographql.com`,
    `script-src 'sha256-${hash}' ${SANDBOX_HOST}`,
    `style-src 'unsafe-inline' https://*.apollographql.com`,
    `img-src 'self' data: https://*.apollographql.com`,
    `connect-src 'self' https://*.apollographql.com`,
    'frame-src https://sandbox.embed.apollographql.com',
    NOT_EMBEDDED,
  ].join('; ');
  return { html, headers: pageHeaders(policy) };
}
