import { expect, test } from '@jest/globals';
import { LinkedList } from '#src/linked-list.js';

test('keeps values in order, whichever end they are added to', () => {
  const list = new LinkedList<string>();
  list.push('b');
  list.push('c');
  list.unshift('a');
  expect([...list]).toEqual(['a', 'b', 'c']);
  expect([list.first, list.size]).toEqual(['a', 3]);
});

test.each([
  ['first', ['b', 'c']],
  ['middle', ['a', 'c']],
  ['last', ['a', 'b']],
])('removes the %s value once', (which, left) => {
  const list = new LinkedList<string>();
  const links = { first: list.push('a'), middle: list.push('b'), last: list.push('c') };
  const link = links[which as keyof typeof links];
  list.remove(link);
  list.remove(link);
  expect([...list]).toEqual(left);
  expect([list.size, link.isLinked]).toEqual([2, false]);
  list.push('d');
  expect([...list]).toEqual([...left, 'd']);
});

test('is empty when all values are removed', () => {
  const list = new LinkedList<number>();
  const links = [list.push(1), list.push(2)];
  for (const link of links) list.remove(link);
  expect([list.size, list.first, [...list]]).toEqual([0, undefined, []]);
});

test('finds the first value that is wanted', () => {
  const list = new LinkedList<number>();
  for (const value of [1, 4, 6]) list.push(value);
  expect(list.find((value) => value % 2 === 0)?.value).toBe(4);
  expect(list.find((value) => value > 9)).toBeUndefined();
});

test('visits the values that were in the list at the beginning and are not removed meanwhile', () => {
  const list = new LinkedList<number>();
  const links = [1, 2, 3, 4].map((value) => list.push(value));
  const visited: number[] = [];
  for (const value of list) {
    visited.push(value);
    list.push(10 * value);
    if (value === 1) for (const link of links.slice(0, 2)) list.remove(link);
  }
  expect(visited).toEqual([1, 3, 4]);
});
