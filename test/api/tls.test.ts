/** HTTPS: what is sent, what is refused, and how a certificate is renewed. */
import 'reflect-metadata';
import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import https from 'node:https';
import { connect as connectTcp, type Socket } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import { connect, type TLSSocket } from 'node:tls';
import { Certificate } from '#src/api/certificate.js';
import { loadConfig } from '#src/config.js';
import { startTestApp } from '../support/app.js';
import { makePair, type Pair } from '../support/certificates.js';
import { createHttpServer, type HttpServer } from '../support/http-server.js';
import { until } from '../support/until.js';

const MAX_CONNECTIONS = 8;
const IDLE_MS = 300;
const REQUEST = 'POST /graphql HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n';
const BODY = '{"query":"{ __typename }"}';

let folder: string;
let files: { readonly tlsCertFile: string; readonly tlsKeyFile: string };
let pair: Pair;
let server: HttpServer;
let port: number;
const sockets: Socket[] = [];
beforeAll(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'modelgraph-tls-'));
  files = { tlsCertFile: path.join(folder, 'cert.pem'), tlsKeyFile: path.join(folder, 'key.pem') };
  pair = makePair();
  await write(pair);
  const limits = { arrival: { idleMs: IDLE_MS, totalMs: 60_000 } };
  server = await createHttpServer(limits, files, MAX_CONNECTIONS);
  await server.http.listen({ port: 0, host: '127.0.0.1' });
  port = (server.http.server.address() as { port: number }).port;
});
afterEach(() => {
  for (const socket of sockets.splice(0)) socket.destroy();
});
afterAll(async () => {
  await server.http.close();
  await server.stop();
  await rm(folder, { recursive: true, force: true });
});

async function write({ cert, key }: Pair): Promise<void> {
  await writeFile(files.tlsCertFile, cert);
  await writeFile(files.tlsKeyFile, key);
}

/** A connection whose handshake is done. */
async function secure(options: object = {}): Promise<TLSSocket> {
  const socket = connect({ port, host: '127.0.0.1', ca: pair.cert, ...options });
  sockets.push(socket);
  await once(socket, 'secureConnect');
  socket.on('error', () => {});
  return socket;
}

async function plain(localAddress?: string): Promise<Socket> {
  const accepted = once(server.http.server, 'connection');
  const socket = connectTcp({ port, host: '127.0.0.1', ...(localAddress && { localAddress }) });
  sockets.push(socket.on('error', () => {}));
  await accepted;
  return socket;
}

/** `once` would reject for a connection that is reset. */
function closeOf(socket: Socket): Promise<void> {
  return new Promise((resolve) => socket.once('close', () => resolve()));
}

/** The status of the next answer; null if the connection closes. */
function statusOf(socket: Socket, request: string): Promise<number | null> {
  return new Promise((resolve) => {
    if (socket.destroyed) resolve(null);
    socket.once('close', () => resolve(null));
    socket.once('data', (chunk) => resolve(Number(chunk.toString().split(' ')[1])));
    socket.write(request);
  });
}

const asks = (socket: Socket) => statusOf(socket, `${REQUEST}content-length: ${BODY.length}\r\n\r\n${BODY}`);

/** An answer with its headers. */
async function get(url: string, ca: string): Promise<{ status: number | undefined; headers: object; body: string }> {
  const request = https.get(url, { ca });
  const [response] = await once(request, 'response');
  return { status: response.statusCode, headers: response.headers, body: await text(response) };
}

test('an app with a certificate speaks HTTPS with strict transport security on every route, and nothing else', async () => {
  const app = await startTestApp({ empty: true, modelStore: '/nowhere', ...files });
  const paths = ['/health/live', '/health/ready', '/graphql', '/nothing', '/%', '/metrics'];
  const answers = await Promise.all(paths.map((one) => get(`${app.url}${one}`, pair.cert)));
  const isRefused = await fetch(app.url.replace('https', 'http')).then(
    () => false,
    () => true,
  );
  await app.stop();

  expect(app.url).toMatch(/^https:/);
  expect(answers.map(({ status }) => status)).toEqual([200, 503, 400, 404, 400, 200]);
  for (const { headers } of answers) expect(headers).toMatchObject({ 'strict-transport-security': 'max-age=31536000' });
  expect(isRefused).toBe(true);
});

test('TLS 1.2 and 1.3 with forward secrecy are accepted, and nothing older or weaker', async () => {
  const protocols = [];
  for (const version of ['TLSv1.2', 'TLSv1.3'] as const)
    protocols.push((await secure({ minVersion: version, maxVersion: version })).getProtocol());
  const weak = [
    { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'ALL:@SECLEVEL=0' },
    { maxVersion: 'TLSv1.2', ciphers: 'ECDHE-ECDSA-AES128-SHA256' },
    { maxVersion: 'TLSv1.2', ciphers: 'AES128-GCM-SHA256' },
  ];

  expect(protocols).toEqual(['TLSv1.2', 'TLSv1.3']);
  for (const options of weak) await expect(secure(options)).rejects.toThrow();
});

test('a request that is no HTTP over TLS is refused with the headers of every answer', async () => {
  const socket = await secure();
  socket.write('nonsense\r\n\r\n');
  const answer = await text(socket);

  expect(answer).toMatch(/^HTTP\/1\.1 400 /);
  for (const header of ['strict-transport-security: max', 'cache-control: no-store', 'x-content-type-options: nosniff'])
    expect(answer).toContain(header);
});

test('bytes that are no TLS, and a client that leaves during the handshake, close their connection only', async () => {
  const other = await secure();
  const sent = [...Array(3)].map(async (_, i) => {
    const socket = await plain();
    socket.write(i === 0 ? 'GET / HTTP/1.1\r\n\r\n' : Buffer.from([22, 3, 1, 2, 0, 1]));
    if (i === 2) socket.destroy();
    return i === 1 ? socket.resetAndDestroy() : closeOf(socket);
  });
  await Promise.all(sent);

  expect(await asks(other)).toBe(200);
});

test('a body that stops coming is refused, as without TLS', async () => {
  const socket = await secure();

  expect(await statusOf(socket, `${REQUEST}content-length: 100\r\n\r\n{"query":`)).toBe(408);
  expect(server.http.server).toMatchObject({ headersTimeout: 30_000, requestTimeout: 60_000 });
});

test('idle connections and those in a handshake make room for new ones, the longest idle first, and those with a request stay', async () => {
  const busy = await secure();
  const answered = statusOf(busy, `${REQUEST}content-length: ${BODY.length}\r\n\r\n`);
  const idle = await secure();
  await asks(idle);
  const handshakes = [await plain(), await plain()];
  const later = await secure();
  const last = await secure();

  expect([idle, ...handshakes].map(({ readableEnded, destroyed }) => readableEnded || destroyed)).toEqual([
    true,
    true,
    false,
  ]);
  busy.write(BODY);
  expect(await answered).toBe(200);
  expect([await asks(busy), await asks(later), await asks(last)]).toEqual([200, 200, 200]);
});

test('a stopping server answers a request over TLS whose body is arriving, and closes the other connections at once', async () => {
  const own = await createHttpServer({}, files);
  await own.http.listen({ port: 0, host: '127.0.0.1' });
  const options = { port: (own.http.server.address() as { port: number }).port };
  const [busy, idle] = [await secure(options), await secure(options)];
  const begun = once(own.http.server, 'request');
  const answered = statusOf(busy, `${REQUEST}content-length: ${BODY.length}\r\n\r\n`);
  await begun;
  const idleClosed = closeOf(idle);

  const closed = own.http.close();
  await idleClosed;
  const status = await answered;
  await closed;
  await own.stop();

  expect(status).toBe(503);
});

test('a renewed certificate is used by new connections, and those that are open go on', async () => {
  const certificate = (await Certificate.open(files, 20)) as Certificate;
  const own = await createHttpServer({}, files);
  const logged: string[] = [];
  const log = { info: () => {}, warn: ({ reason }: { reason: string }) => logged.push(reason) };
  certificate.follow(own.http.server as https.Server, log as unknown as Parameters<Certificate['follow']>[1]);
  await own.http.listen({ port: 0, host: '127.0.0.1' });
  const options = { port: (own.http.server.address() as { port: number }).port, rejectUnauthorized: false };
  const serial = async () => (await secure(options)).getPeerCertificate().serialNumber;
  const before = await secure(options);

  const renewed = makePair({ serial: 2 });
  await writeFile(files.tlsCertFile, renewed.cert);
  await until('the certificate without its key is noticed', async () => logged.length > 0);
  const half = await serial();
  await writeFile(files.tlsKeyFile, renewed.key);
  await until('the certificate is used', async () => (await serial()) === '02');
  await write(makePair({ serial: 3, fromDays: -9, toDays: -8 }));
  await until('the expired certificate is noticed', async () => logged.some((line) => line.includes('has expired')));
  const [after, status] = [await serial(), await asks(before)];
  certificate.stop();
  await own.http.close();
  await own.stop();
  await write(pair);

  expect([half, after, status]).toEqual(['01', '02', 200]);
  expect(logged[0]).toContain('the certificate is not for the key of');
});

test('a certificate that cannot be used yet is used as soon as it can be, with one warning', async () => {
  const certificate = (await Certificate.open(files, 20)) as Certificate;
  const used: unknown[] = [];
  const logged: string[] = [];
  const log = { info: () => {}, warn: ({ reason }: { reason: string }) => logged.push(reason) };
  const follower = { setSecureContext: (options: unknown) => used.push(options) };
  certificate.follow(
    follower as Parameters<Certificate['follow']>[0],
    log as unknown as Parameters<Certificate['follow']>[1],
  );
  const from = Date.now() + 1_500;
  await write(makePair({ serial: 4, fromDays: 1_500 / 86_400_000 }));
  await until('the certificate is noticed', async () => logged.some((line) => line.includes('is not valid before')));
  await until('the certificate is used', async () => used.length > 0);
  const usedAt = Date.now();
  certificate.stop();
  await write(pair);

  expect(usedAt).toBeGreaterThanOrEqual(from - 1_000);
  expect(logged.filter((line) => line.includes('is not valid before'))).toHaveLength(1);
});

const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const ENCRYPTED = privateKey
  .export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'x' })
  .toString();

test.each<[string, Partial<Pair> | null, RegExp]>([
  ['is missing', null, /^TLS_CERT_FILE=.*: it cannot be read: ENOENT/],
  ['is no certificate', { cert: 'nothing' }, /^TLS_CERT_FILE=.*: expected a certificate in PEM format/],
  ['has a file without a key', { key: 'nothing' }, /^TLS_KEY_FILE=.*: expected a private key in PEM format/],
  ['has an encrypted key', { key: ENCRYPTED }, /^TLS_KEY_FILE=.*: the key is encrypted/],
  ['is for another key', { key: makePair().key }, /^TLS_CERT_FILE=.*: the certificate is not for the key/],
  ['has expired', makePair({ fromDays: -9, toDays: -8 }), /^TLS_CERT_FILE=.*: the certificate has expired on 20/],
  [
    'is not valid yet',
    makePair({ fromDays: 8, toDays: 9 }),
    /^TLS_CERT_FILE=.*: the certificate is not valid before 20/,
  ],
])('a server whose certificate %s does not start', async (_, given, message) => {
  const own = { tlsCertFile: path.join(folder, 'own-cert.pem'), tlsKeyFile: path.join(folder, 'own-key.pem') };
  if (given) await writeFile(own.tlsCertFile, given.cert ?? pair.cert);
  if (given) await writeFile(own.tlsKeyFile, given.key ?? pair.key);

  const opened = Certificate.open(own);

  await expect(opened).rejects.toThrow(message);
  await expect(opened).rejects.toMatchObject({ exitCode: 1 });
});

test('files that cannot be read or are no files are named', async () => {
  const own = path.join(folder, 'secret.pem');
  await writeFile(own, pair.key);
  await chmod(own, 0);
  const isRoot = process.getuid?.() === 0;

  await expect(Certificate.open({ ...files, tlsKeyFile: folder })).rejects.toThrow('it is not a file');
  if (!isRoot) await expect(Certificate.open({ ...files, tlsKeyFile: own })).rejects.toThrow('EACCES');
});

test('one file without the other is refused with the configuration', () => {
  expect(() => loadConfig({ TLS_CERT_FILE: '/a' })).toThrow(
    'TLS_CERT_FILE and TLS_KEY_FILE: set both of them, or none.',
  );
});
