/** How many connections callers may open. */
import 'reflect-metadata';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { createHttpServer, type HttpServer } from '../support/http-server.js';

const LIVE = 'GET /health/live HTTP/1.1\r\nhost: localhost\r\n\r\n';
/** A request that goes on: its body is not sent. */
const UNFINISHED =
  'POST /graphql HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 9\r\n\r\n';

let server: HttpServer;
const sockets: Socket[] = [];
beforeEach(async () => {
  server = await createHttpServer({}, {}, 8);
  await server.http.listen({ port: 0, host: '127.0.0.1' });
});
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  await server.http.close();
  await server.stop();
});

/** A connection that the server has accepted or closed, in order. */
async function open(localAddress: string): Promise<Socket> {
  const { port } = server.http.server.address() as { port: number };
  const accepted = once(server.http.server, 'connection');
  const socket = connect({ port, host: '127.0.0.1', localAddress });
  sockets.push(socket.on('error', () => {}));
  await accepted;
  return socket;
}

/** The status of the next answer; null if the connection closes. */
function statusOf(socket: Socket): Promise<number | null> {
  return new Promise((resolve) => {
    if (socket.destroyed) resolve(null);
    socket.once('close', () => resolve(null));
    socket.once('data', (chunk) => resolve(Number(chunk.toString().split(' ')[1])));
    socket.write(LIVE);
  });
}

async function openAll(localAddress: string, count: number): Promise<Socket[]> {
  const opened: Socket[] = [];
  for (let i = 0; i < count; i++) opened.push(await open(localAddress));
  return opened;
}

test('a caller keeps half of all connections, its longest idle ones are closed first, and others still connect', async () => {
  const crowd = await openAll('127.0.0.2', 4);
  const first = await statusOf(crowd[0] as Socket);
  crowd.push(...(await openAll('127.0.0.2', 2)));
  const others = [...(await openAll('127.0.0.3', 2)), ...(await openAll('127.0.0.4', 1))];

  const ofCrowd = [];
  for (const socket of crowd) ofCrowd.push(await statusOf(socket));

  expect(first).toBe(200);
  expect(ofCrowd).toEqual([200, null, null, 200, 200, 200]);
  expect(await Promise.all(others.map(statusOf))).toEqual([200, 200, 200]);
});

test('a new connection is closed if all of its caller have a request to answer', async () => {
  const busy = await openAll('127.0.0.2', 4);
  for (const socket of busy) {
    const begun = once(server.http.server, 'request');
    socket.write(UNFINISHED);
    await begun;
  }

  const late = await open('127.0.0.2');

  expect(await statusOf(late)).toBeNull();
  expect(busy.map(({ destroyed }) => destroyed)).toEqual([false, false, false, false]);
  expect(await statusOf(await open('127.0.0.3'))).toBe(200);
});

test('when no connection is left, the caller with the most gives up one that is idle', async () => {
  const opened: Socket[] = [];
  for (const [i, count] of [4, 2, 1, 1].entries()) opened.push(...(await openAll(`127.0.0.${2 + i}`, count)));

  const last = await open('127.0.0.9');

  const statuses = [];
  for (const socket of [...opened, last]) statuses.push(await statusOf(socket));
  expect(statuses).toEqual([null, 200, 200, 200, 200, 200, 200, 200, 200]);
});
