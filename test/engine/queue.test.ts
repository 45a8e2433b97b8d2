/** Selection of the next batch from the queue of a version. */
import { type BatchLimits, type Entry, NO_LIMITS, type PriorityName, VersionQueue } from '#src/engine/queue.js';

const upTo = (rows: number, more: Partial<BatchLimits> = {}) => ({ ...NO_LIMITS, rows, ...more });

function entry(
  name: string,
  options: {
    priority?: PriorityName;
    rows?: number;
    preprocessingWork?: number;
    deadlineAt?: number;
    connection?: Entry['connection'];
  } = {},
) {
  const { priority = 'NORMAL', rows = 1, preprocessingWork = 0, deadlineAt = 1_000 } = options;
  const { connection = { isClosed: false, caller: 'a' } } = options;
  const waiting: Entry = {
    item: {
      kind: 'tensors',
      rows,
      work: rows,
      preprocessingWork,
      tensors: [{ name, datatype: 'FP32', shape: [rows], data: new Float32Array(rows) }],
    },
    priority,
    connection,
    enqueuedAt: 0,
    deadlineAt,
    succeed: () => {},
    fail: () => {},
    isSettled: false,
    retries: 0,
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

test('entries leave in order of priority, then arrival', () => {
  const queue = queueOf(entry('a', { priority: 'LOW' }), entry('b'), entry('c', { priority: 'HIGH' }), entry('d'));

  expect(namesOf(queue.take(upTo(10), 0))).toEqual(['c', 'b', 'd', 'a']);
});

test('a batch holds at most maxRows rows, but always at least one entry', () => {
  const queue = queueOf(entry('a', { rows: 3 }), entry('b', { rows: 2 }), entry('c', { rows: 9 }));

  expect(namesOf(queue.take(upTo(4), 0))).toEqual(['a']);
  expect(namesOf(queue.take(upTo(4), 0))).toEqual(['b']);
  expect(namesOf(queue.take(upTo(4), 0))).toEqual(['c']);
  expect(queue.rows).toBe(0);
});

test('an entry past its deadline is never taken', () => {
  const queue = queueOf(entry('late', { deadlineAt: 5 }), entry('in time'));

  expect(namesOf(queue.take(upTo(10), 5))).toEqual(['in time']);
});

test('an entry whose caller has disconnected is never taken', () => {
  const connection = { isClosed: false, caller: 'a' };
  const queue = queueOf(entry('gone', { connection }), entry('here'));

  connection.isClosed = true;

  expect(namesOf(queue.take(upTo(10), 0))).toEqual(['here']);
});

test('requeued entries precede later arrivals and keep their order', () => {
  const queue = queueOf(entry('a'), entry('b'), entry('c'));
  const taken = queue.take(upTo(2), 0);

  queue.requeue(taken);

  expect(namesOf(queue.take(upTo(10), 0))).toEqual(['a', 'b', 'c']);
});

test('a batch holds at most so much work', () => {
  const queue = new VersionQueue();
  for (const name of ['a', 'b', 'c']) {
    const waiting = entry(name);
    queue.push(Object.assign(waiting, { item: { ...waiting.item, work: 600 } }));
  }

  expect(queue.work).toBe(1_800);
  expect(queue.take(upTo(8, { work: 1_000 }), 0)).toHaveLength(1);
  expect(queue.take(upTo(8, { work: 1_200 }), 0)).toHaveLength(2);
  expect(queue.work).toBe(0);
});

test('a batch holds at most so much to decode or to tokenize', () => {
  const queue = queueOf(entry('a', { preprocessingWork: 6 }), entry('b', { preprocessingWork: 6 }));

  expect(namesOf(queue.take(upTo(10, { preprocessingWork: 10 }), 0))).toEqual(['a']);
});
