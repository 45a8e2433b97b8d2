/** Bodies of requests: what is refused before it has arrived whole, and what bounds those that are accepted. */
import 'reflect-metadata';
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { connect, type Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { queryObjects } from 'node:v8';
import { BODY_LIMITS, type BodyLimits } from '#src/api/body.js';
import { givenUpAt, RefusedBytes } from '#src/api/body-budgets.js';
import { BytesInFlight } from '#src/api/bytes-in-flight.js';
import { LIMITS } from '#src/api/limits.js';
import type { Config } from '#src/config.js';
import type { Data } from '../support/graphql-client.js';
import { createHttpServer, type HttpServer } from '../support/http-server.js';
import { until } from '../support/until.js';

const started: HttpServer[] = [];
const sockets: Socket[] = [];
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  for (const server of started.splice(0)) {
    await server.http.close();
    await server.stop();
  }
});

async function start(limits: Partial<BodyLimits> = {}, config: Partial<Config> = {}): Promise<HttpServer> {
  const server = await createHttpServer(limits, config);
  await server.http.listen({ port: 0, host: '127.0.0.1' });
  started.push(server);
  return server;
}

const FRAMED_BY_LENGTH = (bytes: number) => `content-length: ${bytes}`;
const CHUNKED = 'transfer-encoding: chunked';
const TYPENAME = '{"query":"{ __typename }"}';

function open(server: HttpServer, localAddress = '127.0.0.1'): Socket {
  const { port } = server.http.server.address() as { port: number };
  const socket = connect({ port, host: '127.0.0.1', localAddress });
  // The server may close a connection while its client is still sending.
  socket.on('error', () => {});
  sockets.push(socket);
  return socket;
}

function head(framing: string, more = ''): string {
  return `POST /graphql HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n${framing}\r\n${more}\r\n`;
}

/** Sends the head and this much of a body, and waits for the answer without sending more. */
async function sendPart(server: HttpServer, framing: string, part: string | Buffer = '') {
  const socket = open(server);
  socket.write(head(framing));
  socket.write(part);
  return answerOn(socket);
}

async function answerOn(socket: Socket) {
  let received = '';
  for (;;) {
    const [chunk] = (await once(socket, 'data')) as [Buffer];
    received += chunk.toString();
    const [top = '', body = ''] = received.split('\r\n\r\n');
    const length = Number(/content-length: (\d+)/i.exec(top)?.[1] ?? Number.NaN);
    if (Buffer.byteLength(body) < length) continue;
    const json: Data = JSON.parse(body);
    return { status: Number(top.split(' ')[1]), head: top, error: json.errors?.[0], data: json.data };
  }
}

const chunk = (bytes: string) => `${Buffer.byteLength(bytes).toString(16)}\r\n${bytes}\r\n`;
/** Each byte in a chunk of its own, and the last, empty chunk. */
const inChunks = (body: Buffer) =>
  Buffer.concat([...Array.from(body, (byte) => Buffer.from([0x31, 13, 10, byte, 13, 10])), Buffer.from('0\r\n\r\n')]);
const many = (element: string) =>
  element.repeat(Math.ceil((LIMITS.maxBodyValues + 1) / (element.split(',').length - 1)));
const inVariables = (json: string) => `{"query":"{ __typename }","variables":{"x":${json}`;

describe('a body is refused with the chunk that exceeds a limit, and the rest is not waited for:', () => {
  test.each([
    ['a list of empty objects', `[${many('{},')}`],
    ['a list of empty lists', `[${many('[],')}`],
    ['a long list of numbers', `[${many('0.125,')}`],
    ['a list of empty texts', `[${many('"",')}`],
    ['texts of escapes', `[${many('"\\"\\u00e9",')}`],
    ['an object with many keys', `{${many('"k":1,')}`],
    ['an object that repeats a key', `{${many('"__proto__":{},')}`],
    ['rows of 10,000 columns', `[${`{${'"c":0,'.repeat(10_000)}"c":0},`.repeat(20)}`],
    ['words', `[${many('null,')}`],
  ])('%s', async (_, json) => {
    const server = await start();

    const answer = await sendPart(server, FRAMED_BY_LENGTH(LIMITS.maxBodyBytes), inVariables(json));

    expect(answer.status).toBe(413);
    expect(answer.error.message).toContain('250000 values and keys');
    expect(answer.error.extensions).toEqual({
      code: 'BODY_LIMIT_EXCEEDED',
      limit: 'maxBodyValues',
      allowed: LIMITS.maxBodyValues,
      received: LIMITS.maxBodyValues + 1,
    });
  });

  test.each([
    ['lists', '['.repeat(40)],
    ['objects', '{"a":'.repeat(40)],
    ['millions of lists', '['.repeat(4_000_000)],
  ])('%s inside each other', async (_, json) => {
    const server = await start();

    const answer = await sendPart(server, FRAMED_BY_LENGTH(LIMITS.maxBodyBytes), inVariables(json));

    expect(answer.status).toBe(400);
    expect(answer.error.extensions).toMatchObject({ code: 'BODY_LIMIT_EXCEEDED', limit: 'maxBodyDepth', allowed: 32 });
  });

  test('what is not JSON', async () => {
    const server = await start();

    const answer = await sendPart(server, FRAMED_BY_LENGTH(LIMITS.maxBodyBytes), inVariables('[1,,'));

    expect([answer.status, answer.error.extensions.code]).toEqual([400, 'BODY_NOT_JSON']);
  });

  test('a body in chunks', async () => {
    const server = await start();

    const answer = await sendPart(server, CHUNKED, chunk(inVariables(`[${many('{},')}`)));

    expect([answer.status, answer.error.extensions.limit]).toEqual([413, 'maxBodyValues']);
  });

  test('chunks of more than 16 MiB', async () => {
    const server = await start();

    const answer = await sendPart(server, CHUNKED, chunk(inVariables(`"${'x'.repeat(LIMITS.maxBodyBytes)}`)));

    expect([answer.status, answer.error.extensions.code]).toEqual([413, 'BODY_TOO_LARGE']);
  });
});

test('a body that is too large by its Content-Length is refused before any of it is sent', async () => {
  const server = await start();

  const answer = await sendPart(server, FRAMED_BY_LENGTH(LIMITS.maxBodyBytes + 1));

  expect(answer.status).toBe(413);
  expect(answer.error.extensions).toEqual({
    code: 'BODY_TOO_LARGE',
    limit: 'maxBodyBytes',
    allowed: LIMITS.maxBodyBytes,
    received: LIMITS.maxBodyBytes + 1,
  });
});

test('a body of another type is refused before any of it is sent', async () => {
  const server = await start();
  const socket = open(server);
  socket.write(head(FRAMED_BY_LENGTH(1_000)).replace('application/json', 'text/plain'));

  const answer = await answerOn(socket);

  expect([answer.status, answer.error.extensions.code]).toEqual([415, 'UNSUPPORTED_MEDIA_TYPE']);
});

test('after a refusal, the connection still serves once the rest of the body has been sent', async () => {
  const server = await start();
  const socket = open(server);
  const body = Buffer.alloc(1_000_000, '[');
  socket.write(head(FRAMED_BY_LENGTH(body.length)));
  socket.write(body.subarray(0, 1_000));
  const refused = await answerOn(socket);
  socket.write(body.subarray(1_000));
  socket.write(head(FRAMED_BY_LENGTH(TYPENAME.length)) + TYPENAME);

  const answer = await answerOn(socket);

  expect([refused.status, answer.status]).toEqual([400, 200]);
});

describe('a body in one piece is answered like the same body byte by byte:', () => {
  const nested = (depth: number) =>
    `{"query":"{ __typename }","variables":{"x":${'['.repeat(depth)}${']'.repeat(depth)}}}`;
  test.each([
    ['one with 32 levels', nested(30), 200, undefined],
    ['one with 33 levels', nested(31), 400, 'BODY_LIMIT_EXCEEDED'],
    ['one with 33 levels and a fault behind them', `${nested(31)},`, 400, 'BODY_LIMIT_EXCEEDED'],
    ['one with a fault before 33 levels', `{,${nested(31)}}`, 400, 'BODY_NOT_JSON'],
    ['one with many short lists', inVariables(`[${'[],'.repeat(100)}[]]}}`), 200, undefined],
    ['one with many short lists that does not end', inVariables(`[${'[],'.repeat(100)}[]]`), 400, 'BODY_NOT_JSON'],
    ['one with brackets in a text', inVariables(`"${'['.repeat(100)}"}}`), 200, undefined],
    ['one that does not end', inVariables('1'), 400, 'BODY_NOT_JSON'],
    ['spaces only', '   ', 400, 'BODY_NOT_JSON'],
    ['a literal NaN', inVariables('NaN}}'), 400, 'BODY_NOT_JSON'],
    ['a literal -Infinity', inVariables('[-Infinity]}}'), 400, 'BODY_NOT_JSON'],
    ['an unescaped line break in a text', inVariables('"\n"}}'), 400, 'BODY_NOT_JSON'],
  ])('%s', async (_, body, status, code) => {
    const server = await start();

    const whole = await sendPart(server, FRAMED_BY_LENGTH(Buffer.byteLength(body)), body);
    const pieces = await sendPart(server, CHUNKED, inChunks(Buffer.from(body)));

    expect([whole.status, whole.error?.extensions.code]).toEqual([status, code]);
    expect([whole.error, whole.data]).toEqual([pieces.error, pieces.data]);
  });
});

test.each(['NaN', 'Infinity', '-Infinity', '[1, NaN]'])(
  '%s in a body is refused with what to send instead',
  async (json) => {
    const server = await start();
    const send = (body: string) => sendPart(server, FRAMED_BY_LENGTH(Buffer.byteLength(body)), body);

    const [written, misspelled] = [await send(inVariables(`${json}}}`)), await send(inVariables('None}}'))];

    expect(written.error.message).toBe(
      'The body contains NaN or Infinity, which JSON does not have. Leave a missing value of a row out or send null; other inputs take finite numbers.',
    );
    expect(misspelled.error.message).toMatch(/^The body is not valid JSON/);
  },
);

test('a byte order mark is no fault', async () => {
  const server = await start();
  const body = `\ufeff${TYPENAME}`;

  const { status, data } = await sendPart(server, FRAMED_BY_LENGTH(Buffer.byteLength(body)), body);

  expect([status, data]).toEqual([200, { __typename: 'Query' }]);
});

test.each([
  ['one byte of the mark', [0xef]],
  ['two bytes of the mark', [0xef, 0xbb]],
  ['the mark twice', [0xef, 0xbb, 0xbf, 0xef, 0xbb, 0xbf]],
  ['the mark and nothing else', [0xef, 0xbb, 0xbf]],
])('a body that begins with %s is not JSON, and the server goes on', async (_, begin) => {
  const server = await start();
  const body = Buffer.concat([Buffer.from(begin), Buffer.from(begin.length === 3 ? '' : TYPENAME)]);
  const length = FRAMED_BY_LENGTH(body.length);

  const refused = [await sendPart(server, length, body), await sendPart(server, CHUNKED, inChunks(body))];

  for (const { status, error } of refused) expect([status, error.extensions.code]).toEqual([400, 'BODY_NOT_JSON']);
  const { status } = await sendPart(server, FRAMED_BY_LENGTH(TYPENAME.length), TYPENAME);
  expect(status).toBe(200);
});

describe('a body that does not arrive ends with 408', () => {
  test.each([
    ['if no byte comes', { idleMs: 20, totalMs: 1e9 }],
    ['if it takes too long in all', { idleMs: 1e9, totalMs: 20 }],
  ])('%s', async (_, arrival) => {
    const server = await start({ arrival });

    const nothing = await sendPart(server, FRAMED_BY_LENGTH(1_000));
    const half = await sendPart(server, FRAMED_BY_LENGTH(1_000), TYPENAME.slice(0, 5));
    const halfOfChunks = await sendPart(server, CHUNKED, chunk(TYPENAME.slice(0, 5)));

    for (const { status, error } of [nothing, half, halfOfChunks]) {
      expect([status, error.extensions.code]).toEqual([408, 'REQUEST_TIMEOUT']);
    }
  });

  test('if one byte a second comes, after five minutes', () => {
    const { arrival } = BODY_LIMITS;
    let now = 0;
    while (now < givenUpAt({ startedAt: 0, lastByteAt: now }, arrival)) now += 1_000;

    expect(now).toBe(300_000);
  });

  test('but not a photo of 5 MB over a slow mobile connection that pauses for 20 s', () => {
    const { arrival } = BODY_LIMITS;
    const bytes = (5_000_000 * 4) / 3;
    const arrives = [...Array(Math.ceil(bytes / 30_000)).keys()].map((i) => i * 1_000 + (i > 100 ? 20_000 : 0));

    const late = arrives.filter((at, i) => at >= givenUpAt({ startedAt: 0, lastByteAt: arrives[i - 1] ?? 0 }, arrival));

    expect(late).toEqual([]);
  });
});

const SMALL_BUDGET = { maxBytes: 10_000, largeBytes: 1_000, reservedBytes: 2_000 };
/** The bytes of a document that has arrived are in flight. */
const received = (server: HttpServer) => once(server.http.server, 'request').then(() => nextTurns());
const nextTurns = async () => {
  for (let i = 0; i < 10; i++) await new Promise((resolve) => setImmediate(resolve));
};

test('a body in chunks of one byte is kept in one buffer', async () => {
  const server = await start();
  const socket = open(server);
  const bytes = 100_000;
  socket.write(head(CHUNKED));
  const [request] = (await once(server.http.server, 'request')) as [IncomingMessage];
  const before = queryObjects(Buffer, { format: 'count' }) as number;

  socket.write(inChunks(Buffer.from(inVariables(`"${'x'.repeat(bytes)}`))).subarray(0, -5));
  await until('the chunks have been read', () => request.socket.bytesRead > 6 * bytes);

  expect((queryObjects(Buffer, { format: 'count' }) as number) - before).toBeLessThan(1_000);
});

test('a body counts the bytes that have arrived, not those that it declares', async () => {
  const server = await start({ inFlight: SMALL_BUDGET });
  for (let i = 0; i < 30; i++) {
    const silent = open(server, '127.0.0.2');
    silent.write(head(FRAMED_BY_LENGTH(i < 15 ? 3_000 : 900)));
    await once(server.http.server, 'request');
  }

  const ofOther = await sendPart(server, FRAMED_BY_LENGTH(4_000), TYPENAME.padEnd(4_000));
  const ofSame = open(server, '127.0.0.2');
  ofSame.write(head(FRAMED_BY_LENGTH(4_000)) + TYPENAME.padEnd(4_000));

  expect([ofOther.status, (await answerOn(ofSame)).status]).toEqual([200, 200]);
});

test('a body that its server counts as large may have few bytes that the operation does not use', async () => {
  const server = await start({ inFlight: SMALL_BUDGET });
  const body = JSON.stringify({ query: '{ __typename }', unused: 'x'.repeat(5_000) });

  const { status } = await sendPart(server, FRAMED_BY_LENGTH(body.length), body);

  expect(status).toBe(400);
});

test('small bodies of one caller hold at most as much as is left for the others', async () => {
  const server = await start({ inFlight: SMALL_BUDGET });
  const answers: Promise<{ status: number }>[] = [];
  for (let i = 0; i < 15; i++) {
    const slow = open(server, '127.0.0.2');
    slow.write(head(FRAMED_BY_LENGTH(901)) + TYPENAME.padEnd(900));
    answers.push(answerOn(slow));
    await received(server);
  }

  const ofOther = await sendPart(server, FRAMED_BY_LENGTH(900), TYPENAME.padEnd(900));
  const refused = await Promise.all(answers.slice(5));

  expect(ofOther.status).toBe(200);
  expect(refused.map(({ status }) => status)).toEqual(Array(10).fill(503));
});

test('a body that was refused holds nothing, even if its client goes on sending', async () => {
  const server = await start({ inFlight: SMALL_BUDGET });
  const faulty = open(server);
  faulty.write(head(FRAMED_BY_LENGTH(5_000)) + TYPENAME.padEnd(4_000, '!'));
  await answerOn(faulty);

  const { status } = await sendPart(server, FRAMED_BY_LENGTH(7_000), TYPENAME.padEnd(7_000));

  expect(status).toBe(200);
});

test.each([
  { trustedProxies: [], from: ['127.0.0.1', '127.0.0.2'], forwarded: ['', ''] },
  {
    trustedProxies: ['127.0.0.1'],
    from: ['127.0.0.1', '127.0.0.1'],
    forwarded: ['x-forwarded-for: 127.0.0.8\r\n', 'x-forwarded-for: 127.0.0.9\r\n'],
  },
])(
  'what a refused body still sends counts as refused for its sender, behind %j, and beyond that budget the connection is closed',
  async ({ trustedProxies, from, forwarded }) => {
    const refused = { maxBytes: 300_000, bytesPerMs: 1e-9, maxCallers: 10 };
    const server = await start({ refused }, { trustedProxies });
    const [endless, again, other] = [0, 0, 1].map((i) => open(server, from[i])) as [Socket, Socket, Socket];
    endless.write(head(FRAMED_BY_LENGTH(LIMITS.maxBodyBytes), `content-encoding: gzip\r\n${forwarded[0]}`));
    const { status } = await answerOn(endless);
    const { promise: closed, resolve } = Promise.withResolvers<void>();
    endless.once('close', () => resolve());
    const pump = () => {
      while (!endless.destroyed && endless.write(Buffer.alloc(10_000)));
      if (!endless.destroyed) endless.once('drain', pump);
    };
    pump();
    await closed;

    again.write(head(FRAMED_BY_LENGTH(100_000), forwarded[0]));
    const large = await answerOn(again);
    other.write(head(FRAMED_BY_LENGTH(100_000), forwarded[1]) + TYPENAME.padEnd(100_000));

    expect([status, large.status, large.error.extensions.code]).toEqual([415, 503, 'REFUSAL_BUDGET_EXCEEDED']);
    expect((await answerOn(other)).status).toBe(200);
  },
);

test('a large body whose values nothing uses is refused and counts as refused', async () => {
  const refused = { maxBytes: 100_000, bytesPerMs: 1e-9, maxCallers: 10 };
  const list = JSON.stringify(Array(60_000).fill(0));
  const bodies = [
    `{"query":"{ __typename }","variables":{"x":${list}}}`,
    `{"query":"{ __typename }","y":${list}}`,
    `{"query":"query ($a: Int) { limits { maxBatch @include(if: $a) } }","variables":{"a":${list}}}`,
  ];
  for (const body of bodies) {
    const server = await start({ refused });

    const first = await sendPart(server, FRAMED_BY_LENGTH(body.length), body);
    const second = await sendPart(server, FRAMED_BY_LENGTH(body.length), body);

    expect([first.status, second.status, second.error.extensions.code]).toEqual([400, 503, 'REFUSAL_BUDGET_EXCEEDED']);
  }
});

test('the size of what an operation does not use is found without writing it as JSON, and not beyond the limit', async () => {
  const server = await start();
  const parts = ['x'.repeat(1_000_000), Array(60_000).fill(0), { key: { ['k'.repeat(100_000)]: 1 } }];
  const original = JSON.stringify;
  let longest = 0;
  JSON.stringify = ((...args: Parameters<typeof original>) => {
    const json = original(...args);
    longest = Math.max(longest, json?.length ?? 0);
    return json;
  }) as typeof original;
  const answers: Data[] = [];

  for (const part of parts) {
    const bodies = [
      `{"query":"{ __typename }","y":${original(part)}}`,
      `{"query":"{ __typename }","variables":{"y":${original(part)}}}`,
    ];
    for (const body of bodies) answers.push(await sendPart(server, FRAMED_BY_LENGTH(body.length), body));
  }
  JSON.stringify = original;

  expect(answers.map(({ status, error }) => [status, error.extensions.code])).toEqual(
    Array(6).fill([400, 'BAD_USER_INPUT']),
  );
  expect(longest).toBeLessThan(2_000);
});

test('a body that does not fit beside those in flight is refused before it is read, and small ones still fit', async () => {
  const server = await start({ inFlight: SMALL_BUDGET });
  const first = open(server);
  first.write(head(FRAMED_BY_LENGTH(3_800)) + TYPENAME.padEnd(3_795));
  await received(server);

  const second = await sendPart(server, FRAMED_BY_LENGTH(2_000));
  const secondInChunks = await sendPart(server, CHUNKED, chunk(`${TYPENAME.slice(0, -1)}${' '.repeat(2_000)}`));
  const small = await sendPart(server, FRAMED_BY_LENGTH(TYPENAME.length), TYPENAME);
  first.write('     ');
  const answered = await answerOn(first);
  const third = await sendPart(server, FRAMED_BY_LENGTH(7_000), TYPENAME.padEnd(7_000));

  for (const { status, error, head } of [second, secondInChunks]) {
    expect([status, error.extensions]).toEqual([503, { code: 'BODY_BUDGET_EXCEEDED', retryAfterMs: 1_000 }]);
    expect(head).toMatch(/retry-after: 1/i);
  }
  expect([small.status, answered.status, third.status]).toEqual([200, 200, 200]);
});

test('a body whose client disconnects no longer counts', async () => {
  const server = await start({ inFlight: SMALL_BUDGET });
  const first = open(server);
  first.write(head(FRAMED_BY_LENGTH(7_000)) + TYPENAME.padEnd(6_000));
  const [, response] = await once(server.http.server, 'request');
  first.destroy();
  await once(response, 'close');

  const { status } = await sendPart(server, FRAMED_BY_LENGTH(7_000), TYPENAME.padEnd(7_000));

  expect(status).toBe(200);
});

test('a caller whose refused bodies exceed their budget gets 503 before a large one is read, and small ones are served', async () => {
  const refused = { maxBytes: 3_000_000, bytesPerMs: 1e-9, maxCallers: 10 };
  const server = await start({ refused });
  const giant = inVariables(`[${many('{},')}`);
  const answers = [];
  for (let i = 0; i < 6; i++) answers.push(await sendPart(server, FRAMED_BY_LENGTH(LIMITS.maxBodyBytes), giant));

  const unread = await sendPart(server, FRAMED_BY_LENGTH(100_000));
  const inChunks = await sendPart(server, CHUNKED);
  const small = await sendPart(server, FRAMED_BY_LENGTH(TYPENAME.length), TYPENAME);

  expect(answers.map(({ status }) => status)).toEqual([413, 413, 413, 413, 503, 503]);
  for (const { status, error, head } of [unread, inChunks]) {
    expect([status, error.extensions.code]).toEqual([503, 'REFUSAL_BUDGET_EXCEEDED']);
    expect(head).toMatch(new RegExp(`retry-after: ${error.extensions.retryAfterMs / 1_000}\\b`, 'i'));
  }
  expect(small.status).toBe(200);
});

test('bytes in flight return to none, however callers share them', () => {
  const budget = new BytesInFlight({ maxBytes: 100, largeBytes: 10, reservedBytes: 20 });

  const taken = [budget.take('a', 100), budget.fits('a', 1, 100), budget.fits('b', 1)];
  budget.giveBack('a', 60);
  taken.push(
    budget.take('a', 11),
    budget.take('a', 10),
    budget.take('b', 31),
    budget.take('b', 25),
    budget.take('c', 12),
    budget.take('c', 10),
    budget.take('d', 1),
  );

  expect(taken).toEqual([true, false, false, false, true, false, true, false, true, true]);
  expect(budget.bytes).toBe(86);
  for (const [caller, bytes] of [
    ['a', 50],
    ['b', 25],
    ['c', 10],
    ['d', 1],
  ] as const)
    budget.giveBack(caller, bytes);
  expect(budget.bytes).toBe(0);
});

test('refused bytes are forgiven with time, and only so many callers are remembered', () => {
  const refused = new RefusedBytes({ maxBytes: 100, bytesPerMs: 10, maxCallers: 2 });
  refused.add('a', 200, 0);

  const waits = [refused.waitMs('a', 0), refused.waitMs('a', 5), refused.waitMs('a', 10), refused.waitMs('b', 0)];
  refused.add('b', 500, 0);
  refused.add('a', 500, 0);
  refused.add('c', 500, 0);

  expect(waits).toEqual([10, 5, 0, 0]);
  expect(['a', 'b', 'c'].map((caller) => refused.waitMs(caller, 0) > 0)).toEqual([true, false, true]);
});

test('a stop closes connections without a request at once, and refuses bodies that are still arriving', async () => {
  const server = await start();
  const unused = open(server);
  const halfHead = open(server);
  const used = open(server);
  const arriving = open(server);
  await Promise.all([unused, halfHead, used, arriving].map((socket) => once(socket, 'connect')));
  halfHead.write('POST /graphql HTTP/1.1\r\nhost: loc');
  used.write(head(FRAMED_BY_LENGTH(TYPENAME.length)) + TYPENAME);
  await answerOn(used);
  arriving.write(head(FRAMED_BY_LENGTH(1_000)) + TYPENAME);
  await once(server.http.server, 'request');
  const closed = Promise.all([unused, halfHead, used].map((socket) => once(socket, 'close')));
  const refused = answerOn(arriving);

  const stopped = server.http.close();

  const { status, error, head: top } = await refused;
  expect([status, error.extensions.code]).toEqual([503, 'SHUTTING_DOWN']);
  expect(top).toMatch(/connection: close/i);
  await closed;
  await text(arriving);
  await stopped;
});

test('a stop answers requests that have begun, also several on one connection, and closes it after the last', async () => {
  const server = await createHttpServer();
  started.push(server);
  const { promise: held, resolve: release } = Promise.withResolvers<void>();
  const { promise: bothBegun, resolve: begin } = Promise.withResolvers<void>();
  let begun = 0;
  server.http.addHook('preHandler', async () => {
    if (++begun === 2) begin();
    await held;
  });
  await server.http.listen({ port: 0, host: '127.0.0.1' });
  const socket = open(server);
  socket.write((head(FRAMED_BY_LENGTH(TYPENAME.length)) + TYPENAME).repeat(2));
  const received = text(socket);
  await bothBegun;

  const stopped = server.http.close();
  await until('the server no longer listens', () => !server.http.server.listening);
  release();
  await stopped;

  const [first = '', second = ''] = (await received).split(/(?=HTTP\/1\.1 200)/);
  expect(first).toMatch(/^connection: keep-alive/im);
  expect(second).toMatch(/^connection: close/im);
});

test('a connection that is opened while the server stops is closed', async () => {
  const server = await createHttpServer();
  started.push(server);
  const { promise: closed, resolve } = Promise.withResolvers<void>();
  server.http.addHook('preClose', async () => {
    const late = open(server).once('close', resolve);
    await once(late, 'connect');
  });
  await server.http.listen({ port: 0, host: '127.0.0.1' });

  await server.http.close();

  await closed;
});
