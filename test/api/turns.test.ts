/** Requests of one caller that arrive together, and the requests of others between them. */
import 'reflect-metadata';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { Turns, WorkTurns } from '#src/api/turns.js';
import { createHttpServer, type HttpServer } from '../support/http-server.js';

const BODY = '{"query":"{ __typename }"}';
const HEAD = `POST /graphql HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: ${BODY.length}\r\n`;
const requestOf = (name: string) => `${HEAD}x-name: ${name}\r\n\r\n${BODY}`;

let server: HttpServer;
/** The header x-name of each request, in the order in which their bodies were read. */
let begun: string[];
const sockets: Socket[] = [];

beforeEach(async () => {
  server = await createHttpServer();
  begun = [];
  server.http.addHook('preParsing', (request, _reply, _payload, done) => {
    begun.push(String(request.headers['x-name']));
    done();
  });
  await server.http.listen({ port: 0, host: '127.0.0.1' });
});
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  await server.http.close();
  await server.stop();
});

/** A connection of another address for each caller. */
async function open(localAddress: string): Promise<Socket> {
  const { port } = server.http.server.address() as { port: number };
  const socket = connect({ port, host: '127.0.0.1', localAddress });
  sockets.push(socket.on('error', () => {}));
  await once(socket, 'connect');
  return socket;
}

/** The statuses of this many answers, or of those that came before the connection was closed. */
async function statusesOf(socket: Socket, answers: number): Promise<number[]> {
  let received = '';
  const statuses = () => Array.from(received.matchAll(/^HTTP\/1\.1 (\d+)/gm), ([, status]) => Number(status));
  const { promise, resolve } = Promise.withResolvers<void>();
  socket.once('close', () => resolve());
  socket.on('data', (chunk) => {
    received += chunk.toString();
    if (statuses().length >= answers) resolve();
  });
  await promise;
  return statuses();
}

test('a thousand requests in one packet are all answered, and another caller is not behind them', async () => {
  const [crowd, other] = [await open('127.0.0.2'), await open('127.0.0.3')];

  crowd.write(requestOf('crowd').repeat(1_000));
  other.write(requestOf('other'));
  const [ofCrowd, ofOther] = await Promise.all([statusesOf(crowd, 1_000), statusesOf(other, 1)]);

  expect(ofOther).toEqual([200]);
  expect(begun.indexOf('other')).toBeLessThanOrEqual(2 * 32);
  expect(ofCrowd).toEqual(Array(1_000).fill(200));
});

test('requests beyond the waiting limit get 503 with Retry-After, and their connection closes', async () => {
  const payload = { query: '{ __typename }' };

  const answers = await Promise.all(
    Array.from({ length: 1_100 }, () => server.http.inject({ method: 'POST', url: '/graphql', payload })),
  );

  const refused = answers.filter(({ statusCode }) => statusCode !== 200);
  expect(refused).toHaveLength(1_100 - 1_032);
  for (const { statusCode, headers, body } of refused) {
    expect([statusCode, headers['retry-after'], headers.connection]).toEqual([503, '1', 'close']);
    expect(JSON.parse(body).errors[0].extensions).toEqual({ code: 'TOO_MANY_REQUESTS', retryAfterMs: 1_000 });
  }
});

test('a connection with more requests than may wait is closed, and the caller is served on another one', async () => {
  const crowd = await open('127.0.0.2');

  crowd.write(requestOf('crowd').repeat(20_000));
  const answers = await statusesOf(crowd, 20_000);
  const again = await open('127.0.0.2');
  again.write(requestOf('again'));

  expect(answers.length).toBeLessThan(20_000);
  // The refusal would be the last answer; it is not waited for.
  expect(answers).not.toContain(503);
  expect(await statusesOf(again, 1)).toEqual([200]);
});

test('a caller begins 32 requests a turn, in order of arrival, and at most 1,000 wait', async () => {
  const turns = new Turns();
  const order: string[] = [];
  const take = (caller: string, i: number) => turns.take(caller, () => order.push(`${caller}${i}`));

  const taken = Array.from({ length: 1_100 }, (_, i) => take('a', i));
  take('b', 0);
  const atOnce = order.length;
  await nextTurn();
  const inNextTurn = order.slice(atOnce);
  while (order.length < 1_033) await nextTurn();

  expect(taken.indexOf(false)).toBe(1_032);
  expect([atOnce, order.at(32)]).toEqual([33, 'b0']);
  expect(inNextTurn).toEqual(Array.from({ length: 32 }, (_, i) => `a${32 + i}`));
  expect(order.filter((one) => one !== 'b0')).toEqual(Array.from({ length: 1_032 }, (_, i) => `a${i}`));
  expect(take('a', 2_000)).toBe(true);
});

test('large work takes turns by caller, and one turn does only so much of it', async () => {
  const turns = new WorkTurns(100);
  const order: string[] = [];
  const take = (caller: string, work: number) => turns.take(caller, work, () => order.push(`${caller}${work}`));
  take('a', 90);
  take('a', 20);
  for (let i = 0; i < 3; i++) take('a', 1_000);
  take('b', 1_000);
  for (const caller of ['b', 'c', 'd']) take(caller, 1);
  const atOnce = order.splice(0);
  const byTurn: string[][] = [];
  while (byTurn.flat().length < 7) {
    await nextTurn();
    byTurn.push(order.splice(0));
  }

  expect(atOnce).toEqual(['a90', 'a20']);
  expect(byTurn).toEqual([['a1000'], ['b1000'], ['c1', 'd1', 'a1000'], ['b1', 'a1000']]);
});

test('bodies that complete together are parsed in several turns', async () => {
  const body = JSON.stringify({ query: '{ __typename }', operationName: null, x: '' }).padEnd(60_000);
  const seen = new Set<number>();
  let turn = 0;
  const count = () => {
    turn++;
    counting = setImmediate(count);
  };
  let counting = setImmediate(count);
  const own = await createHttpServer();
  own.http.addHook('preValidation', (_request, _reply, done) => {
    seen.add(turn);
    done();
  });
  await own.http.listen({ port: 0, host: '127.0.0.1' });
  const { port } = own.http.server.address() as { port: number };
  const clients = await Promise.all(
    Array.from({ length: 30 }, async () => {
      const socket = connect({ port, host: '127.0.0.1' });
      sockets.push(socket);
      await once(socket, 'connect');
      socket.write(
        `${requestOf('late')
          .split('\r\n\r\n')[0]
          ?.replace(/content-length: \d+/i, `content-length: ${body.length}`)}\r\n\r\n`,
      );
      socket.write(body.slice(0, -1));
      await once(own.http.server, 'request');
      return socket;
    }),
  );
  const answers = clients.map((socket) => statusesOf(socket, 1));

  for (const socket of clients) socket.write(' ');

  expect((await Promise.all(answers)).flat()).toEqual(Array(30).fill(200));
  clearImmediate(counting);
  // Of 60 kB, five make a turn.
  expect(seen.size).toBeGreaterThanOrEqual(6);
  await own.http.close();
  await own.stop();
});
