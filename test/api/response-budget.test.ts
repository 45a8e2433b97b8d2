/** The budgets of bytes, without a server. */
import { EventEmitter, once } from 'node:events';
import fc from 'fast-check';
import { type GraphQLResolveInfo, GraphQLString } from 'graphql';
import { measureOf } from '#src/api/answer-size.js';
import { AnswerBudget, AnswersInFlight, UNCOUNTED_BYTES } from '#src/api/response-budget.js';

class Connection extends EventEmitter {
  destroyed = false;

  destroy(): void {
    this.destroyed = true;
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
  connection.destroy();
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

test('an answer that does not fit beside others is refused until one of them is given back', () => {
  const inFlight = new AnswersInFlight(LIMIT);
  const [first, second] = [new Connection(), new Connection()];
  const other = new AnswerBudget(LIMIT, inFlight, second);

  expect(new AnswerBudget(LIMIT, inFlight, first).reserve(LIMIT, 0)).toBeNull();
  expect(other.reserve(UNCOUNTED_BYTES + 1, 0)).toBe('inFlight');
  expect(other.reserve(UNCOUNTED_BYTES, 0)).toBeNull();
  first.destroy();
  expect(other.reserve(1, 0)).toBeNull();
});

test('nothing is reserved for a connection that has closed', () => {
  const inFlight = new AnswersInFlight(LIMIT);
  const connection = new Connection();
  const budget = new AnswerBudget(LIMIT, inFlight, connection);
  connection.destroy();

  expect(budget.reserve(LIMIT, 0)).toBe('inFlight');
  expect(inFlight.bytes).toBe(0);
});

test('a client that does not receive its answer in time is disconnected, which gives the bytes back', async () => {
  const inFlight = new AnswersInFlight(LIMIT);
  const connection = new Connection();
  const budget = new AnswerBudget(LIMIT, inFlight, connection);
  budget.reserve(LIMIT, 0);

  // Keeps the process running: the timer of the budget does not.
  const running = setInterval(() => {}, 1_000);
  budget.limitSending(1);
  await once(connection, 'close');
  clearInterval(running);

  expect(inFlight.bytes).toBe(0);
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
