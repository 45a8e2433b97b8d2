/** Who runs next: the selection of batches from the queue of all versions, and what each caller gets. */
import { FairQueue } from '#src/engine/fair-queue.js';
import type { BatchSize } from '#src/engine/latency.js';
import { type Entry, NO_LIMITS, type PriorityName } from '#src/engine/queue.js';

const upTo = (rows: number, more: Partial<BatchSize> = {}) => ({ ...NO_LIMITS, rows, ...more });
const ONE = upTo(1);

let arrivals = 0;

function entry(name: string, options: Partial<Entry> & { caller?: string; rows?: number; work?: number } = {}): Entry {
  const { caller = 'a', rows = 1, work = rows, ...more } = options;
  return {
    item: {
      kind: 'tensors',
      rows,
      work,
      preprocessingWork: work,
      tensors: [{ name, datatype: 'FP32', shape: [rows], data: new Float32Array(rows) }],
    },
    priority: 'NORMAL' as PriorityName,
    connection: { isClosed: false, caller },
    bytes: 4 * rows,
    costMs: 1,
    meteredMs: 0,
    enqueuedAt: arrivals++,
    deadlineAt: 1_000,
    succeed: () => {},
    fail: () => {},
    isSettled: false,
    retries: 0,
    place: null,
    run: null,
    phase: 'queue',
    ...more,
  };
}

function nameOf({ item }: Entry): string {
  return item.kind === 'tensors' ? (item.tensors[0]?.name ?? '') : '';
}

const namesOf = (entries: readonly Entry[]) => entries.map(nameOf);

function queueOf(...entries: Entry[]): FairQueue {
  const queue = new FairQueue();
  for (const one of entries) queue.push('v', one);
  return queue;
}

/** Runs so many batches of one row, and returns the names in order. */
function serve(queue: FairQueue, count: number): string[] {
  const names: string[] = [];
  while (names.length < count) {
    const next = queue.next(0);
    if (!next) break;
    names.push(...namesOf(queue.take(next.key, ONE, 0)));
  }
  return names;
}

function countOf(names: readonly string[], name: string): number {
  return names.filter((one) => one === name).length;
}

test('entries of one caller and one priority leave in order of arrival', () => {
  const queue = queueOf(entry('a'), entry('b'), entry('c'));

  expect(namesOf(queue.take('v', upTo(10), 0))).toEqual(['a', 'b', 'c']);
  expect(queue.next(0)).toBeNull();
});

test('of waiting entries of one caller, the one with the highest priority goes first', () => {
  const queue = queueOf(entry('a', { priority: 'LOW' }), entry('b'), entry('c', { priority: 'HIGH' }));

  expect(serve(queue, 3)).toEqual(['c', 'b', 'a']);
});

test('of a caller who waits with every priority, HIGH gets 16 shares, NORMAL 4 and LOW 1', () => {
  const queue = new FairQueue();
  for (let i = 0; i < 100; i++)
    for (const priority of ['LOW', 'NORMAL', 'HIGH'] as const) queue.push('v', entry(priority, { priority }));

  const served = serve(queue, 84);

  expect(['HIGH', 'NORMAL', 'LOW'].map((name) => countOf(served, name))).toEqual([64, 16, 4]);
});

test('HIGH entries do not pass those of other callers, and LOW ones give way to them', () => {
  const queue = new FairQueue();
  for (let i = 0; i < 100; i++) {
    queue.push('v', entry('high', { caller: 'a', priority: 'HIGH' }));
    queue.push('v', entry('normal', { caller: 'b' }));
    queue.push('v', entry('low', { caller: 'c', priority: 'LOW' }));
  }

  const served = serve(queue, 90);

  expect(['high', 'normal', 'low'].map((name) => countOf(served, name))).toEqual([40, 40, 10]);
});

test('callers get equal shares of computing, however many entries they send and whatever these cost', () => {
  const queue = new FairQueue();
  for (let i = 0; i < 1_000; i++) queue.push('v', entry('flood', { caller: 'flood' }));
  for (let i = 0; i < 20; i++) queue.push('v', entry('dear', { caller: 'dear', costMs: 10 }));
  for (let i = 0; i < 60; i++) queue.push('w', entry('victim', { caller: 'victim' }));

  const served = serve(queue, 126);

  expect(countOf(served, 'victim')).toBe(60);
  expect(countOf(served, 'flood')).toBe(60);
  expect(countOf(served, 'dear')).toBe(6);
});

test('a caller gets no larger share by spreading over versions', () => {
  const queue = new FairQueue();
  for (let i = 0; i < 100; i++) {
    for (let version = 0; version < 10; version++) queue.push(`v${version}`, entry('many', { caller: 'many' }));
    queue.push('w', entry('one', { caller: 'one' }));
  }

  const served = serve(queue, 100);

  expect([countOf(served, 'many'), countOf(served, 'one')]).toEqual([50, 50]);
});

test('the versions of one caller get equal shares', () => {
  const queue = new FairQueue();
  for (let i = 0; i < 1_000; i++) queue.push('v', entry('v'));
  for (let i = 0; i < 10; i++) queue.push('w', entry('w'));

  const served = serve(queue, 20);

  expect([countOf(served, 'v'), countOf(served, 'w')]).toEqual([10, 10]);
});

test('a short input of another caller and version waits for one of 100 very long ones', () => {
  const queue = new FairQueue();
  for (let i = 0; i < 100; i++) queue.push('texts', entry('long', { caller: 'a', costMs: 500 }));
  serve(queue, 10);

  queue.push('rows', entry('short', { caller: 'b' }));

  expect(serve(queue, 1)).toEqual(['short']);
});

test('time that a caller did not use is not saved up', () => {
  const queue = new FairQueue();
  for (let i = 0; i < 200; i++) queue.push('v', entry('busy', { caller: 'busy' }));
  serve(queue, 100);
  for (let i = 0; i < 100; i++) queue.push('v', entry('late', { caller: 'late' }));

  const served = serve(queue, 20);

  expect([countOf(served, 'busy'), countOf(served, 'late')]).toEqual([10, 10]);
});

test('a caller keeps its used time when its queue is briefly empty', () => {
  const queue = new FairQueue();
  for (let i = 0; i < 100; i++) queue.push('v', entry('steady', { caller: 'steady' }));
  let ofPulsing = 0;
  for (let i = 0; i < 50; i++) {
    queue.push('v', entry('pulsing', { caller: 'pulsing', costMs: 5 }));
    ofPulsing += countOf(serve(queue, 2), 'pulsing');
  }

  expect(ofPulsing).toBeLessThanOrEqual(20);
});

test('what a run really took is charged, when it is known', () => {
  const queue = new FairQueue();
  for (let i = 0; i < 100; i++) {
    queue.push('v', entry('cheap', { caller: 'cheap' }));
    queue.push('v', entry('dear', { caller: 'dear' }));
  }
  const served: string[] = [];
  for (let i = 0; i < 44; i++) {
    for (const one of queue.take('v', ONE, 0)) {
      queue.correct('v', one, nameOf(one) === 'dear' ? 10 : 1);
      served.push(nameOf(one));
    }
  }

  expect([countOf(served, 'cheap'), countOf(served, 'dear')]).toEqual([40, 4]);
});

test('a batch mixes callers and priorities of one version', () => {
  const queue = queueOf(entry('a'), entry('b', { caller: 'b' }), entry('c', { priority: 'LOW' }));
  queue.push('w', entry('d'));

  expect(namesOf(queue.take('v', upTo(10), 0)).sort()).toEqual(['a', 'b', 'c']);
});

test('a batch holds at most so many rows and so much work, but always at least one entry', () => {
  const queue = queueOf(entry('a', { rows: 3 }), entry('b', { rows: 2 }), entry('c', { rows: 9 }), entry('d'));

  expect(namesOf(queue.take('v', upTo(4), 0))).toEqual(['a']);
  expect(namesOf(queue.take('v', upTo(9, { work: 3 }), 0))).toEqual(['b']);
  expect(namesOf(queue.take('v', upTo(20, { preprocessingWork: 4 }), 0))).toEqual(['c']);
  expect(queue.totals).toEqual({ rows: 1, bytes: 4, queuedMs: 1 });
});

test('an entry past its deadline, or whose caller has disconnected, is never taken', () => {
  const connection = { isClosed: true, caller: 'a' };
  const queue = queueOf(entry('late', { deadlineAt: 5 }), entry('gone', { connection }), entry('in time'));

  expect(queue.next(5)?.entry && nameOf(queue.next(5)?.entry as Entry)).toBe('in time');
  expect(namesOf(queue.take('v', upTo(10), 5))).toEqual(['in time']);
  expect(queue.totals.rows).toBe(0);
});

test('an entry can be removed from anywhere in the queue, and frees its bytes', () => {
  const entries = ['a', 'b', 'c', 'd'].map((name) => entry(name));
  const queue = queueOf(...entries);

  expect([entries[1], entries[3]].map((one) => queue.remove(one as Entry))).toEqual([true, true]);
  expect(queue.remove(entries[1] as Entry)).toBe(false);
  expect([queue.totals.bytes, queue.totalsOf('a').bytes, queue.rowsOf('v')]).toEqual([8, 8, 2]);
  expect(namesOf(queue.take('v', upTo(10), 0))).toEqual(['a', 'c']);
});

test('requeued entries precede later arrivals and keep their order', () => {
  const queue = queueOf(entry('a'), entry('b'), entry('c'));

  queue.requeue('v', queue.take('v', upTo(2), 0));

  expect(namesOf(queue.take('v', upTo(10), 0))).toEqual(['a', 'b', 'c']);
});

test('the predicted wait of a caller counts their own entries, and as much and one more of every other caller', () => {
  const queue = new FairQueue();
  for (let i = 0; i < 1_000; i++) queue.push('v', entry('flood', { caller: 'flood' }));

  expect(queue.ahead('v', 'flood', 'NORMAL', 1)).toEqual({ queuedMs: 1_000, shareMs: 1_000 });
  expect(queue.ahead('v', 'new', 'NORMAL', 1)).toEqual({ queuedMs: 1, shareMs: 1 });
  for (let i = 0; i < 5; i++) queue.push('w', entry('some', { caller: 'some' }));
  expect(queue.ahead('w', 'some', 'NORMAL', 1)).toEqual({ queuedMs: 11, shareMs: 11 });
  expect(queue.ahead('v', 'flood', 'NORMAL', 1)).toEqual({ queuedMs: 1_005, shareMs: 2_001 });
  expect(queue.ahead('v', 'flood', 'HIGH', 1)).toEqual({ queuedMs: 1, shareMs: 1 });
});

test('callers who no longer wait are forgotten, at the latest when a thousand are remembered', () => {
  const queue = new FairQueue();
  for (let i = 0; i < 5_000; i++) {
    queue.push('v', entry('x', { caller: `caller ${i}` }));
    serve(queue, 1);
  }
  queue.push('v', entry('last', { caller: 'caller 0' }));

  expect(serve(queue, 1)).toEqual(['last']);
  expect(queue.totals).toEqual({ rows: 0, bytes: 0, queuedMs: 0 });
});

test('the load of a version counts in the share of the caller who needed it, after the input for which it was loaded', () => {
  const queue = new FairQueue();
  const first = entry('first', { caller: 'loader' });
  queue.push('cold', first);
  for (let i = 0; i < 100; i++) queue.push('w', entry('other', { caller: 'other' }));
  serve(queue, 1);
  for (let i = 0; i < 100; i++) queue.push('v', entry('next', { caller: 'loader' }));
  queue.push('cold', first);
  queue.chargeLoad('cold', first, 80);
  queue.chargeLoad('cold', first, -30);

  const served = serve(queue, 71);

  expect(served.indexOf('first')).toBeLessThanOrEqual(1);
  expect([countOf(served, 'other'), countOf(served, 'next')]).toEqual([61, 9]);
});

test('callers who come after a load start level with the caller before it, and not behind it', () => {
  const queue = new FairQueue();
  const first = entry('first', { caller: 'loader' });
  queue.push('cold', first);
  queue.chargeLoad('cold', first, 50);
  serve(queue, 1);
  for (let i = 0; i < 100; i++) {
    queue.push('v', entry('next', { caller: 'loader' }));
    queue.push('w', entry('late', { caller: 'late' }));
  }

  const served = serve(queue, 60);

  expect([countOf(served, 'late'), countOf(served, 'next')]).toEqual([55, 5]);
});
