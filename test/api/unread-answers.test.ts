/** Clients that do not receive their answers, over connections of their own. */
import 'reflect-metadata';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { getIntrospectionQuery } from 'graphql';
import { createHttpServer, type HttpServer } from '../support/http-server.js';

const MIB = 1024 * 1024;
const BODY = JSON.stringify({ query: getIntrospectionQuery() });
const REQUEST = `POST /graphql HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: ${BODY.length}\r\n`;
const statusesOf = (received: string) =>
  Array.from(received.matchAll(/^HTTP\/1\.1 (\d+)/gm), ([, status]) => Number(status));

let server: HttpServer;
const sockets: Socket[] = [];
beforeEach(async () => {
  server = await createHttpServer({}, { maxResponseBytes: MIB, maxResponseBytesInFlight: 4 * MIB });
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
  // Node reads 64 KiB at a time; these are begun together, before an answer is written.
  const requests = Math.floor((64 * 1024) / (REQUEST.length + 2 + BODY.length));
  const perConnection = requests * whole.length;
  const crowd = await Promise.all(
    Array.from({ length: Math.ceil((8 * MIB) / perConnection) }, () => open('127.0.0.2')),
  );

  for (const socket of crowd) socket.pause().write(`${REQUEST}\r\n${BODY}`.repeat(requests));
  const other = await open('127.0.0.3');
  other.write(`${REQUEST}connection: close\r\n\r\n${BODY}`);
  const ofOther = await text(other);
  for (const socket of crowd) socket.end();
  const ofCrowd = (await Promise.all(crowd.map((socket) => text(socket).catch(() => '')))).join('\n');

  expect(statusesOf(ofOther)).toEqual([200]);
  expect(ofOther.length).toBeGreaterThanOrEqual(whole.length);
  expect(ofCrowd).toContain('"code":"OVERLOADED"');
  expect(statusesOf(ofCrowd).filter((status) => status === 200).length * whole.length).toBeLessThan(6 * MIB);
});
