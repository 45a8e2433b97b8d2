/** Who is served next among callers that wait. */
import { RoundRobin } from '#src/storage/round-robin.js';

function turnsOf(max: number, ...added: string[]): RoundRobin<string> {
  const turns = new RoundRobin<string>(max);
  for (const item of added) turns.add(item[0] as string, item);
  return turns;
}

const drain = (turns: RoundRobin<string>) => Array.from({ length: turns.size }, () => turns.next());

test('a caller with fifty items does not keep another waiting for more than one of them', () => {
  const flood = Array.from({ length: 50 }, (_, i) => `a${i}`);
  const turns = turnsOf(100, ...flood, 'b0', 'c0', 'b1');

  expect(drain(turns).slice(0, 7)).toEqual(['a0', 'b0', 'c0', 'a1', 'b1', 'a2', 'a3']);
  expect(turns.next()).toBeUndefined();
});

test('a caller who comes back takes the turn after everybody who waits', () => {
  const turns = turnsOf(100, 'a0', 'a1', 'a2', 'b0');
  expect([turns.next(), turns.next()]).toEqual(['a0', 'b0']);

  turns.add('b', 'b1');

  expect(drain(turns)).toEqual(['a1', 'b1', 'a2']);
});

test('beyond the limit, the newest item of the caller who has most is given up', () => {
  const turns = turnsOf(4, 'a0', 'a1', 'a2', 'b0');

  expect(turns.add('c', 'c0')).toBe('a2');
  expect(turns.add('a', 'a3')).toBe('a3');
  expect(turns.size).toBe(4);
  expect(drain(turns)).toEqual(['a0', 'b0', 'c0', 'a1']);
});

test('with as many callers as the limit allows, another one is given up', () => {
  const turns = turnsOf(2, 'a0', 'b0');

  expect(turns.add('c', 'c0')).toBe('c0');
  expect(drain(turns)).toEqual(['a0', 'b0']);
});
