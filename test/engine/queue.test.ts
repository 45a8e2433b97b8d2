/** Which waiting inputs make the next batch. */
import { type Entry, type PriorityName, VersionQueue } from '#src/engine/queue.js';

function entry(
  name: string,
  options: { priority?: PriorityName; rows?: number; deadlineAt?: number; connection?: Entry['connection'] } = {},
) {
  const { priority = 'NORMAL', rows = 1, deadlineAt = 1_000, connection = { isClosed: false, caller: 'a' } } = options;
  const waiting: Entry = {
    item: {
      kind: 'tensors',
      rows,
      work: rows,
      tensors: [{ name, datatype: 'FP32', shape: [rows], data: new Float32Array(rows) }],
    },
    priority,
    connection,
    enqueuedAt: 0,
    deadlineAt,
    succeed: () => {},
    fail: () => {},
    isSettled: false,
    lostWorkers: 0,
    phase: 'queue',
  };
  return waiting;
}

function namesOf(entries: readonly Entry[]): string[] {
  return entries.map(({ item }) => (item.kind === 'tensors' ? (item.tensors[0]?.name ?? '') : ''));
}

function queueOf(...entries: Entry[]): VersionQueue {
  const queue = new VersionQueue();
  for (const one of entries) queue.push(one);
  return queue;
}

test('the order is priority, then arrival', () => {
  const queue = queueOf(entry('a', { priority: 'LOW' }), entry('b'), entry('c', { priority: 'HIGH' }), entry('d'));

  expect(namesOf(queue.take(10, 0))).toEqual(['c', 'b', 'd', 'a']);
});

test('a batch takes no more rows than fit, and at least one entry', () => {
  const queue = queueOf(entry('a', { rows: 3 }), entry('b', { rows: 2 }), entry('c', { rows: 9 }));

  expect(namesOf(queue.take(4, 0))).toEqual(['a']);
  expect(namesOf(queue.take(4, 0))).toEqual(['b']);
  expect(namesOf(queue.take(4, 0))).toEqual(['c']);
  expect(queue.rows).toBe(0);
});

test('an entry whose time is up is never taken', () => {
  const queue = queueOf(entry('late', { deadlineAt: 5 }), entry('in time'));

  expect(namesOf(queue.take(10, 5))).toEqual(['in time']);
});

test('an entry whose caller has gone is never taken', () => {
  const connection = { isClosed: false, caller: 'a' };
  const queue = queueOf(entry('gone', { connection }), entry('here'));

  connection.isClosed = true;

  expect(namesOf(queue.take(10, 0))).toEqual(['here']);
});

test('what is put back comes before what arrived later, in the order it had', () => {
  const queue = queueOf(entry('a'), entry('b'), entry('c'));
  const taken = queue.take(2, 0);

  queue.putBack(taken);

  expect(namesOf(queue.take(10, 0))).toEqual(['a', 'b', 'c']);
});
