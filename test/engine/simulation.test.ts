/** The supervisor under a virtual clock, with seeded schedules: every order of messages, deaths and timers. */
import { jest } from '@jest/globals';
import fc from 'fast-check';
import {
  CRASHES,
  GRAPH_ERROR,
  HANGS,
  inVirtualTime,
  OUT_OF_MEMORY,
  Simulation,
  settled,
  simulatedVersion,
} from '../support/simulation.js';

beforeEach(() => {
  jest.useFakeTimers({ doNotFake: ['nextTick', 'queueMicrotask'] });
});
afterEach(() => {
  jest.useRealTimers();
});

const RUNS = Number(process.env['SIMULATED_SCHEDULES'] ?? 300);
/** Of 528 batches each: every position in every size from 1 to 32. */
const POISON_ROUNDS = Number(process.env['POISON_ROUNDS'] ?? 1);

async function start(options: ConstructorParameters<typeof Simulation>[0]): Promise<Simulation> {
  const simulation = new Simulation(options);
  await inVirtualTime(simulation.engine.start(), options.scheduler);
  return simulation;
}

test('F1, F20: workers killed at any moment fail nobody, and every answer is to its own question', async () => {
  const property = fc.asyncProperty(
    fc.scheduler(),
    fc.array(fc.integer({ min: 0, max: 500 }), { minLength: 1, maxLength: 40 }),
    fc.array(fc.nat(1_000), { maxLength: 3 }),
    async (scheduler, values, kills) => {
      const simulation = await start({ workers: 2, scheduler });
      const answers = Promise.all(values.map((value) => settled(simulation.run(value))));
      const killing = (async () => {
        for (const kill of kills) {
          await scheduler.schedule(Promise.resolve(), 'a kill');
          const { living } = simulation;
          living[kill % living.length]?.die('SIGKILL');
        }
      })();
      const received = await inVirtualTime(
        Promise.all([answers, killing]).then(([all]) => all),
        scheduler,
      );
      expect(received).toEqual(values.map((value) => 2 * value + 1));
    },
  );

  await fc.assert(property, { numRuns: RUNS, seed: 20_261_124 });
}, 3_600_000);

test('F3, F4, F6: whatever is among its mates, exactly the guilty fail, whichever order things happen in', async () => {
  const value = fc.oneof(
    { weight: 10, arbitrary: fc.integer({ min: 0, max: 500 }) },
    { weight: 1, arbitrary: fc.constantFrom(CRASHES, HANGS, OUT_OF_MEMORY, GRAPH_ERROR) },
  );
  const property = fc.asyncProperty(
    fc.scheduler(),
    fc.array(value, { minLength: 1, maxLength: 33 }),
    async (scheduler, values) => {
      const simulation = await start({ workers: 2, scheduler });
      const answers = values.map((one, i) =>
        settled(simulation.run(one, { caller: `caller ${i}`, deadlineMs: 600_000 })),
      );
      const received = await inVirtualTime(Promise.all(answers), scheduler);
      for (const [i, answer] of received.entries()) {
        const sent = values[i] as number;
        if (sent < CRASHES) expect(answer).toBe(2 * sent + 1);
        else expect(answer).toMatch(sent === GRAPH_ERROR ? /Non-zero status/ : /^INFERENCE_FAILED/);
      }
    },
  );

  await fc.assert(property, { numRuns: RUNS, seed: 20_261_124 });
}, 3_600_000);

test('F3: the culprit at every position of every batch size is the one that is named', async () => {
  const positions = Array.from({ length: 32 }, (_, i) => i + 1).flatMap((size) =>
    Array.from({ length: size }, (_, culprit) => ({ size, culprit })),
  );
  for (const { size, culprit } of Array(POISON_ROUNDS).fill(positions).flat()) {
    const simulation = await start({ workers: 1 });
    const answers = Array.from({ length: size }, (_, i) => settled(simulation.run(i === culprit ? CRASHES : i)));
    const received = await inVirtualTime(Promise.all(answers));
    expect(received[culprit]).toMatch(/INFERENCE_FAILED .*crashed the inference process \(signal SIGSEGV\)/);
    expect(received.toSpliced(culprit, 1)).toEqual(
      Array.from({ length: size }, (_, i) => 2 * i + 1).toSpliced(culprit, 1),
    );
    // Its timers would be looked at by every later one.
    await inVirtualTime(simulation.engine.stop(0));
  }

  expect(positions).toHaveLength(528);
}, 3_600_000);

test('F2: a caller whose inputs crash again and again is confined, and costs the others no worker', async () => {
  const simulation = await start({ workers: 1 });
  const version = { ...simulatedVersion(), key: 'w' };
  for (let i = 0; i < 3; i++) {
    const bad = itemsThatCrash(simulation, version, i);
    expect(await inVirtualTime(bad)).toMatch(/INFERENCE_FAILED/);
  }
  const serving = () => simulation.engine.pool.ready.map(({ pid }) => pid);
  const before = serving();

  const fourth = await inVirtualTime(itemsThatCrash(simulation, version, 3));
  const other = await inVirtualTime(settled(simulation.run(5, { version, caller: 'else' })));
  const mine = await inVirtualTime(settled(simulation.run(6, { version, caller: 'offender' })));

  expect([fourth, other, mine]).toEqual([expect.stringContaining('INFERENCE_FAILED'), 11, 13]);
  expect(serving()).toEqual(before);
});

/** Two values, so that each input is another: a convicted one is not run again. */
function itemsThatCrash(simulation: Simulation, version: ReturnType<typeof simulatedVersion>, i: number) {
  const data = Float32Array.of(CRASHES, i);
  const item = {
    kind: 'tensors',
    rows: 2,
    work: 2,
    tensors: [{ name: 'x', datatype: 'FP32', shape: [2], data }],
  } as const;
  const connection = { isClosed: false, caller: 'offender' };
  return settled(simulation.engine.run(version, item, { deadlineMs: 60_000, priority: 'NORMAL', connection }));
}

test('F2: an input that was convicted is not run again', async () => {
  const simulation = await start({ workers: 1 });
  await inVirtualTime(settled(simulation.run(CRASHES)));
  const processes = simulation.children.length;

  const again = await inVirtualTime(settled(simulation.run(CRASHES, { caller: 'else' })));

  expect(again).toMatch(/this very input, a moment ago; it was not run again/);
  expect(simulation.children.length).toBe(processes);
});

test('F2: crashing inputs of many callers close nothing while the example of the version answers', async () => {
  const simulation = await start({ workers: 2 });
  const version = simulatedVersion('sound');
  for (let i = 0; i < 6; i++) {
    const data = Float32Array.of(CRASHES, i);
    const item = {
      kind: 'tensors',
      rows: 2,
      work: 2,
      tensors: [{ name: 'x', datatype: 'FP32', shape: [2], data }],
    } as const;
    const connection = { isClosed: false, caller: `caller ${i}` };
    await inVirtualTime(
      settled(simulation.engine.run(version, item, { deadlineMs: 60_000, priority: 'NORMAL', connection })),
    );
  }

  expect(await inVirtualTime(settled(simulation.run(7, { version })))).toBe(15);
});

test('F2: a version that crashes on its own example is out of service for half a minute, and others serve', async () => {
  const simulation = await start({ workers: 1 });
  const broken = simulatedVersion('broken', 1, CRASHES);
  const failures = [];
  for (let i = 0; i < 3; i++)
    failures.push(
      await inVirtualTime(settled(simulation.run(i, { version: broken, caller: `c${i}`, deadlineMs: 120_000 }))),
    );
  await jest.advanceTimersByTimeAsync(10_000);

  const refused = await settled(simulation.run(9, { version: broken, caller: 'new' }));
  const other = await inVirtualTime(settled(simulation.run(9)));

  expect(failures.every((failure) => /INFERENCE_FAILED/.test(String(failure)))).toBe(true);
  expect(refused).toMatch(/NOT_READY .*does not answer its own example.*try again in \d+ ms/);
  expect(other).toBe(19);
});

test('F5: after a failed allocation its worker takes no more work and is replaced', async () => {
  const simulation = await start({ workers: 1 });
  await inVirtualTime(settled(simulation.run(1)));
  const [before] = simulation.engine.pool.ready;

  const [bad, mate] = await inVirtualTime(
    Promise.all([settled(simulation.run(OUT_OF_MEMORY)), settled(simulation.run(4))]),
  );
  await jest.advanceTimersByTimeAsync(1_000);

  expect(bad).toMatch(/INFERENCE_FAILED .*needs more memory than a worker may take/);
  expect(mate).toBe(9);
  expect(before?.state).toBe('EXITED');
  expect(simulation.engine.pool.ready).toHaveLength(1);
});

test('F5: a worker that outgrows its limit is ended, an old or large one is replaced in peace', async () => {
  const simulation = await start({ workers: 2 });
  await inVirtualTime(settled(simulation.run(1)));
  await jest.advanceTimersByTimeAsync(1_000);
  const [first, second] = simulation.engine.pool.ready.map(({ pid }) => simulation.children.find((c) => c.pid === pid));
  if (first) first.memoryBytes = 1_100_000_000;
  if (second) second.memoryBytes = 900_000_000;
  const stuck = settled(simulation.run(HANGS, { deadlineMs: 60_000 }));

  await jest.advanceTimersByTimeAsync(30_000);

  expect([first?.isDead, second?.isDead]).toEqual([true, true]);
  expect(simulation.engine.pool.ready).toHaveLength(2);
  expect(await inVirtualTime(settled(simulation.run(8)))).toBe(17);
  expect(await inVirtualTime(stuck)).toMatch(/INFERENCE_FAILED/);
});

test('F16: time that runs out in the queue or in a run ends the wait at the deadline, and no worker', async () => {
  const simulation = await start({ workers: 1 });
  const version = simulatedVersion('single', 1);
  await inVirtualTime(settled(simulation.run(1, { version })));
  const [worker] = simulation.engine.pool.ready;
  const begun = performance.now();

  const running = settled(simulation.run(HANGS, { version, deadlineMs: 300 })).then((answer) => [
    answer,
    performance.now(),
  ]);
  await jest.advanceTimersByTimeAsync(20);
  settled(simulation.run(2, { version }));
  const queued = settled(simulation.run(3, { version, deadlineMs: 200 })).then((answer) => [answer, performance.now()]);
  const [[ran, ranUntil], [waited, waitedUntil]] = await inVirtualTime(Promise.all([running, queued]));

  expect(ran).toMatch(/DEADLINE_EXCEEDED .*phase "run"/);
  expect(waited).toMatch(/DEADLINE_EXCEEDED .*phase "queue"/);
  expect(Number(ranUntil) - begun).toBeLessThanOrEqual(550);
  expect(Number(waitedUntil) - begun).toBeLessThanOrEqual(470);
  expect(worker?.isReady).toBe(true);
});

test('F15: what nobody waits for any more is not run', async () => {
  const simulation = await start({ workers: 1 });
  await inVirtualTime(settled(simulation.run(1)));
  let isClosed = false;
  const busy = settled(simulation.run(HANGS, { deadlineMs: 500 }));
  await jest.advanceTimersByTimeAsync(20);
  const gone = settled(simulation.run(CRASHES, { isClosed: () => isClosed, deadlineMs: 400 }));
  isClosed = true;
  const processes = simulation.children.length;

  await inVirtualTime(Promise.all([busy, gone]));

  expect(simulation.children.filter(({ purpose }) => purpose === 'quarantine')).toEqual([]);
  expect(simulation.children.length).toBeLessThanOrEqual(processes + 1);
});

test('F17: a queue that cannot be emptied in time refuses at once and says when to come back', async () => {
  const simulation = await start({ workers: 1 });
  const version = simulatedVersion('slow', 1);
  await inVirtualTime(settled(simulation.run(1, { version })));
  const stuck = settled(simulation.run(HANGS, { version, deadlineMs: 60_000 }));
  await jest.advanceTimersByTimeAsync(20);
  const waiting = Array.from({ length: 20_000 }, (_, i) =>
    settled(simulation.run(i % 500, { version, deadlineMs: 50_000 })),
  );

  const refused = await settled(simulation.run(3, { version }));

  expect(refused).toMatch(/OVERLOADED .*try again in \d+ ms/);
  expect(simulation.engine.queueDepth).toBeLessThanOrEqual(20_000);
  await inVirtualTime(simulation.engine.stop(0));
  expect(new Set(await Promise.all([stuck, ...waiting])).size).toBeGreaterThan(0);
});

test('F18: the wall clock may jump an hour: nothing expires, nothing waits', async () => {
  const simulation = await start({ workers: 1 });
  await inVirtualTime(settled(simulation.run(1)));
  const waiting = settled(simulation.run(HANGS, { deadlineMs: 1_000 }));

  jest.setSystemTime(Date.now() + 3_600_000);
  const forward = await inVirtualTime(settled(simulation.run(2)));
  jest.setSystemTime(Date.now() - 7_200_000);

  expect(forward).toBe(5);
  expect(await inVirtualTime(waiting)).toMatch(/DEADLINE_EXCEEDED|INFERENCE_FAILED/);
});

test('a worker that dies at its start is tried again ever more slowly, and the pool recovers', async () => {
  const simulation = await start({ workers: 1 });
  await inVirtualTime(settled(simulation.run(1)));
  await jest.advanceTimersByTimeAsync(1_000);
  const begun = simulation.children.length;
  simulation.startsFail = true;
  for (const child of simulation.living) child.die('SIGABRT');
  await jest.advanceTimersByTimeAsync(10_000);
  const tried = simulation.children.length - begun;
  simulation.startsFail = false;

  expect(tried).toBeGreaterThan(5);
  expect(tried).toBeLessThan(25);
  expect(await inVirtualTime(settled(simulation.run(3, { deadlineMs: 60_000 })))).toBe(7);
});
