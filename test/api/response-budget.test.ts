/** The budgets of bytes, without a server. */
import { EventEmitter, once } from 'node:events';
import fc from 'fast-check';
import { type GraphQLResolveInfo, GraphQLString } from 'graphql';
import { measureOf } from '#src/api/answer-size.js';
import { AnswerBudget, type AnswerConnection, AnswersInFlight, UNCOUNTED_BYTES } from '#src/api/response-budget.js';

class Connection extends EventEmitter implements AnswerConnection {
  isClosed = false;

  constructor(readonly caller = 'a') {
    super();
  }

  onClose(listener: () => void): void {
    this.once('close', listener);
  }

  disconnect(): void {
    this.isClosed = true;
    this.emit('close');
  }
}

const LIMIT = 4 * UNCOUNTED_BYTES;

test('bytes beyond 64 KiB count as in flight until the connection closes', () => {
  const inFlight = new AnswersInFlight(10 * LIMIT);
  const connection = new Connection();
  const budget = new AnswerBudget(LIMIT, inFlight, connection);

  expect(budget.reserve(UNCOUNTED_BYTES, 0)).toBeNull();
  expect(inFlight.bytes).toBe(0);
  expect(budget.reserve(1, 2)).toBeNull();
  expect(inFlight.bytes).toBe(UNCOUNTED_BYTES + 3);
  connection.disconnect();
  expect(inFlight.bytes).toBe(0);
});

test('the answer and what is read for it have the same limit, and a refusal reserves nothing', () => {
  const inFlight = new AnswersInFlight(10 * LIMIT);
  const budget = new AnswerBudget(LIMIT, inFlight, new Connection());

  expect(budget.reserve(LIMIT, LIMIT)).toBeNull();
  expect(budget.reserve(1, 0)).toBe('answer');
  expect(budget.reserve(0, 1)).toBe('answer');
  expect(inFlight.bytes).toBe(2 * LIMIT);
});

test('large values are made in turns: callers alternate, and an answer in progress comes before those that have not begun', async () => {
  const inFlight = new AnswersInFlight(100 * LIMIT);
  const order: string[] = [];
  const make = async (caller: string, name: string) => {
    const budget = new AnswerBudget(LIMIT, inFlight, new Connection(caller));
    await budget.inTurn(LIMIT, () => order.push(`${name} decoded`));
    await budget.inTurn(LIMIT, () => order.push(`${name} completed`));
  };

  await Promise.all([make('a', 'a1'), make('a', 'a2'), make('a', 'a3'), make('b', 'b1')]);

  const completed = order.filter((step) => step.endsWith('completed'));
  expect(completed.indexOf('b1 completed')).toBeLessThan(3);
  expect(order).toHaveLength(8);
  expect(order.indexOf('a1 completed')).toBeLessThan(order.indexOf('a2 decoded'));
});

test('small values are made at once', () => {
  const budget = new AnswerBudget(LIMIT, new AnswersInFlight(10 * LIMIT), new Connection());

  expect(budget.inTurn(1_000, () => 'made')).toBe('made');
});

test('an answer that does not fit beside others is refused until one of them is given back', () => {
  const inFlight = new AnswersInFlight(LIMIT);
  const [first, second] = [new Connection(), new Connection()];
  const other = new AnswerBudget(LIMIT, inFlight, second);

  expect(new AnswerBudget(LIMIT, inFlight, first).reserve(LIMIT, 0)).toBeNull();
  expect(other.reserve(UNCOUNTED_BYTES + 1, 0)).toBe('inFlight');
  expect(other.reserve(UNCOUNTED_BYTES, 0)).toBeNull();
  first.disconnect();
  expect(other.reserve(1, 0)).toBeNull();
});

test('nothing is reserved for a connection that has closed', () => {
  const inFlight = new AnswersInFlight(LIMIT);
  const connection = new Connection();
  const budget = new AnswerBudget(LIMIT, inFlight, connection);
  connection.disconnect();

  expect(budget.reserve(LIMIT, 0)).toBe('inFlight');
  expect(inFlight.bytes).toBe(0);
});

test('a client that does not receive its answer in time is disconnected, however small it is, which gives the bytes back', async () => {
  const inFlight = new AnswersInFlight(LIMIT, { maxMs: 1, maxMsIfOthersWait: 1 });
  const connection = new Connection();
  const budget = new AnswerBudget(LIMIT, inFlight, connection);

  const isSent = budget.send(10);
  const counted = inFlight.bytes;
  // Keeps the process running: the timer of the budget does not.
  const running = setInterval(() => {}, 1_000);
  await once(connection, 'close');
  clearInterval(running);

  expect([isSent, counted, inFlight.bytes]).toEqual([true, 10, 0]);
});

test('a serialized answer counts its length instead of what was reserved', () => {
  const inFlight = new AnswersInFlight(10 * LIMIT);
  const budget = new AnswerBudget(LIMIT, inFlight, new Connection());
  budget.reserve(LIMIT, LIMIT);

  expect(budget.send(100)).toBe(true);
  expect(inFlight.bytes).toBe(100);
});

test('a caller who does not receive leaves as much to the others, and is disconnected first when one of them is refused', () => {
  const inFlight = new AnswersInFlight(10 * LIMIT, { maxMs: 1e9, maxMsIfOthersWait: 0 });
  const open: Connection[] = [];
  const send = (caller: string, bytes = LIMIT) => {
    const connection = new Connection(caller);
    open.push(connection);
    return new AnswerBudget(LIMIT, inFlight, connection).send(bytes);
  };
  const isOpen = () => open.filter(({ isClosed }) => !isClosed).map(({ caller }) => caller);

  const ofSlow = Array.from({ length: 6 }, () => send('slow'));
  const ofOther = Array.from({ length: 4 }, () => send('other'));
  const later = [send('other'), send('other')];

  expect(ofSlow).toEqual([true, true, true, true, false, false]);
  expect(ofOther).toEqual([true, true, false, true]);
  expect(later).toEqual([true, false]);
  expect(isOpen().filter((caller) => caller === 'other')).toHaveLength(6);
  expect(inFlight.bytes).toBe(4 * LIMIT);
});

test('a text counts at least as many bytes as it takes as JSON', () => {
  const measure = measureOf(GraphQLString);
  const bytesOf = (text: string) => measure?.(text, {} as GraphQLResolveInfo);
  const characters = fc.constantFrom('a', '"', '\\', '\n', '\u0001', 'é', '日', '💥', '\ud800');

  fc.assert(
    fc.property(fc.array(characters), (parts) => {
      const text = parts.join('');

      expect(bytesOf(text)).toBeGreaterThanOrEqual(Buffer.byteLength(JSON.stringify(text)));
    }),
  );
});
