/** Clients that do not receive their answers, over connections of their own. */
import 'reflect-metadata';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { getIntrospectionQuery } from 'graphql';
import { createHttpServer, type HttpServer } from '../support/http-server.js';
import { until } from '../support/until.js';

const MIB = 1024 * 1024;
const BODY = JSON.stringify({ query: getIntrospectionQuery() });
const REQUEST = `POST /graphql HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: ${BODY.length}\r\n`;
const statusesOf = (received: string) =>
  Array.from(received.matchAll(/HTTP\/1\.1 (\d{3})/g), ([, status]) => Number(status));

let server: HttpServer;
const sockets: Socket[] = [];
/** What the answers to GET wait for. */
let hold: Promise<void>;
/** The callers of answers that were serialized. */
let sent: string[];
beforeEach(async () => {
  server = await createHttpServer({}, { maxResponseBytes: MIB, maxResponseBytesInFlight: 4 * MIB });
  hold = Promise.resolve();
  sent = [];
  server.http.addHook('preHandler', ({ method }, _reply, done) => {
    if (method === 'GET') void hold.then(() => done());
    else done();
  });
  server.http.addHook('onSend', async ({ ip }) => {
    sent.push(ip);
  });
  await server.http.listen({ port: 0, host: '127.0.0.1' });
});
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  await server.http.close();
  await server.stop();
});

async function open(localAddress: string): Promise<Socket> {
  const { port } = server.http.server.address() as { port: number };
  const socket = connect({ port, host: '127.0.0.1', localAddress });
  sockets.push(socket.on('error', () => {}));
  await once(socket, 'connect');
  return socket;
}

test('introspection that is not received counts, and another caller still gets it', async () => {
  const reader = await open('127.0.0.3');
  reader.write(`${REQUEST}connection: close\r\n\r\n${BODY}`);
  const whole = await text(reader);
  const { promise: held, resolve: release } = Promise.withResolvers<void>();
  hold = held;
  const crowd = await open('127.0.0.2');
  const requests = 30;

  // Behind a request that is not answered, all answers wait in memory.
  crowd.write(`GET /health/live HTTP/1.1\r\nhost: localhost\r\n\r\n${`${REQUEST}\r\n${BODY}`.repeat(requests)}`);
  await until('the answers wait', () => sent.filter((caller) => caller === '127.0.0.2').length === requests);
  const other = await open('127.0.0.3');
  other.write(`${REQUEST}connection: close\r\n\r\n${BODY}`);
  const ofOther = await text(other);
  release();
  let ofCrowd = '';
  crowd.on('data', (chunk) => {
    ofCrowd += chunk.toString();
  });
  await until('all answers have come', () => statusesOf(ofCrowd).length === 1 + requests);

  expect(statusesOf(ofOther)).toEqual([200]);
  expect(ofOther.length).toBeGreaterThanOrEqual(whole.length);
  expect(ofCrowd).toContain('"code":"OVERLOADED"');
  expect(statusesOf(ofCrowd)).toContain(503);
  // All but that of /health/live.
  const answered = statusesOf(ofCrowd).filter((status) => status === 200).length - 1;
  expect(answered * whole.length).toBeLessThan(2 * MIB);
});
