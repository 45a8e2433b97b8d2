/** Supervision under a virtual clock, with seeded random schedules of messages, exits and timers. */
import { jest } from '@jest/globals';
import fc from 'fast-check';
import {
  blockOf,
  CRASHES,
  GRAPH_ERROR,
  HANGS,
  inVirtualTime,
  itemOf,
  LARGE,
  LARGE_ABORTS,
  OUT_OF_MEMORY,
  Simulation,
  settled,
  settledRows,
  simulatedConnection,
  simulatedVersion,
} from '../support/simulation.js';
import { readyWorkers } from '../support/workers.js';

beforeEach(() => {
  jest.useFakeTimers({ doNotFake: ['nextTick', 'queueMicrotask'] });
});
afterEach(() => {
  jest.useRealTimers();
});

const RUNS = Number(process.env['SIMULATED_SCHEDULES'] ?? 150);
/** Each round runs 528 batches: every position in every batch size from 1 to 32. */
const POISON_ROUNDS = Number(process.env['POISON_ROUNDS'] ?? 1);

async function start(options: ConstructorParameters<typeof Simulation>[0]): Promise<Simulation> {
  const simulation = new Simulation(options);
  await inVirtualTime(simulation.engine.start(), options.scheduler);
  return simulation;
}

/** Each kill is the index of a living worker, modulo their number, at a moment that the scheduler chooses. */
async function killWorkers(simulation: Simulation, scheduler: fc.Scheduler, kills: readonly number[]): Promise<void> {
  for (const kill of kills) {
    await scheduler.schedule(Promise.resolve(), 'a kill');
    const { living } = simulation;
    living[kill % living.length]?.die('SIGKILL');
  }
}

test('workers killed at any moment fail no request, and every request gets its own answer', async () => {
  const property = fc.asyncProperty(
    fc.scheduler(),
    fc.array(fc.integer({ min: 0, max: 500 }), { minLength: 1, maxLength: 40 }),
    fc.array(fc.nat(1_000), { maxLength: 3 }),
    async (scheduler, values, kills) => {
      const simulation = await start({ workers: 2, scheduler });
      const answers = Promise.all(values.map((value) => settled(simulation.run(value))));
      const killing = killWorkers(simulation, scheduler, kills);
      const received = await inVirtualTime(
        Promise.all([answers, killing]).then(([all]) => all),
        scheduler,
      );
      expect(received).toEqual(values.map((value) => 2 * value + 1));
    },
  );

  await fc.assert(property, { numRuns: RUNS, seed: 20_261_124 });
}, 3_600_000);

test('rows of blocks get their own answers, beside inputs that were sent alone, and poison rows fail alone', async () => {
  const value = fc.oneof(
    { weight: 20, arbitrary: fc.integer({ min: 0, max: 500 }) },
    { weight: 1, arbitrary: fc.constantFrom(CRASHES, GRAPH_ERROR) },
  );
  const property = fc.asyncProperty(
    fc.scheduler(),
    fc.array(fc.array(value, { minLength: 1, maxLength: 12 }), { minLength: 1, maxLength: 8 }),
    fc.array(fc.nat(1_000), { maxLength: 2 }),
    async (scheduler, blocks, kills) => {
      const simulation = await start({ workers: 2, scheduler });
      const runRows = async (rows: readonly number[], caller: string) => {
        const options = { caller, deadlineMs: 600_000 };
        const alone = () => Promise.all(rows.map((row) => settled(simulation.run(row, options))));
        if (rows.length === 1) return alone();
        const together = await settledRows(simulation.run(0, { ...options, item: blockOf(rows) }), rows.length);
        return together.includes(null) ? alone() : together;
      };
      const answers = Promise.all(blocks.map((rows, i) => runRows(rows, `caller ${i}`)));
      const killing = killWorkers(simulation, scheduler, kills);
      const received = await inVirtualTime(
        Promise.all([answers, killing]).then(([all]) => all),
        scheduler,
      );
      for (const [i, rows] of blocks.entries())
        for (const [k, sent] of rows.entries()) {
          const answer = received[i]?.[k];
          if (sent < CRASHES) expect(answer).toBe(2 * sent + 1);
          else expect(answer).toMatch(sent === GRAPH_ERROR ? /Non-zero status/ : /^INFERENCE_FAILED/);
        }
    },
  );

  await fc.assert(property, { numRuns: RUNS, seed: 20_261_126 });
}, 3_600_000);

test('in a batch with poison inputs, exactly those inputs fail, under every schedule', async () => {
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

test('a poison input at any position of any batch size is the only one that fails', async () => {
  const positions = Array.from({ length: 32 }, (_, i) => i + 1).flatMap((size) =>
    Array.from({ length: size }, (_, poison) => ({ size, poison })),
  );
  for (const { size, poison } of Array(POISON_ROUNDS).fill(positions).flat()) {
    const simulation = await start({ workers: 1 });
    const answers = Array.from({ length: size }, (_, i) => settled(simulation.run(i === poison ? CRASHES : i)));
    const received = await inVirtualTime(Promise.all(answers));
    expect(received[poison]).toMatch(/INFERENCE_FAILED .*crashed the inference process \(signal SIGSEGV\)/);
    expect(received.toSpliced(poison, 1)).toEqual(
      Array.from({ length: size }, (_, i) => 2 * i + 1).toSpliced(poison, 1),
    );
    // Pending timers of this simulation would slow down the virtual clock of all later ones.
    await inVirtualTime(simulation.engine.stop(0));
  }

  expect(positions).toHaveLength(528);
}, 3_600_000);

test('a caller who sends three poison inputs is confined and kills no more workers that serve others', async () => {
  const simulation = await start({ workers: 1 });
  const version = { ...simulatedVersion(), key: 'w' };
  for (let i = 0; i < 3; i++) {
    expect(await inVirtualTime(runPoisonInput(simulation, version, i))).toMatch(/INFERENCE_FAILED/);
  }
  const serving = () => readyWorkers(simulation.engine).map(({ pid }) => pid);
  const before = serving();

  const fourth = await inVirtualTime(runPoisonInput(simulation, version, 3));
  const ofAnother = await inVirtualTime(settled(simulation.run(5, { version, caller: 'another' })));
  const ofConfined = await inVirtualTime(settled(simulation.run(6, { version, caller: 'confined' })));

  expect([fourth, ofAnother, ofConfined]).toEqual([expect.stringContaining('INFERENCE_FAILED'), 11, 13]);
  expect(serving()).toEqual(before);
});

/** Runs an input that crashes. `i` makes it unique, because a known poison input is not run again. */
function runPoisonInput(
  simulation: Simulation,
  version: ReturnType<typeof simulatedVersion>,
  i: number,
  caller = 'confined',
) {
  const data = Float32Array.of(CRASHES, i);
  const item = {
    kind: 'tensors',
    rows: 2,
    work: 2,
    preprocessingWork: 0,
    tensors: [{ name: 'x', datatype: 'FP32', shape: [2], data }],
  } as const;
  const connection = { isClosed: false, caller };
  return settled(simulation.engine.run(version, item, { deadlineMs: 60_000, priority: 'NORMAL', connection }));
}

test('a known poison input is refused without being run again', async () => {
  const simulation = await start({ workers: 1 });
  await inVirtualTime(settled(simulation.run(CRASHES)));
  const processes = simulation.children.length;

  const again = await inVirtualTime(settled(simulation.run(CRASHES, { caller: 'another' })));

  expect(again).toMatch(/The same input failed less than 10 minutes ago, so it was not run again/);
  expect(simulation.children.length).toBe(processes);
});

test('poison inputs of many callers do not open the circuit breaker while the example succeeds', async () => {
  const simulation = await start({ workers: 2 });
  const version = simulatedVersion('sound');
  for (let i = 0; i < 6; i++) await inVirtualTime(runPoisonInput(simulation, version, i, `caller ${i}`));

  expect(await inVirtualTime(settled(simulation.run(7, { version })))).toBe(15);
});

test('a version that crashes on its own example is refused while its breaker is open, and others serve', async () => {
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
  expect(refused).toMatch(/NOT_READY .*fails on its own example.*try again in \d+ ms/);
  expect(other).toBe(19);
});

test('a failed allocation fails one input, and its worker is replaced', async () => {
  const simulation = await start({ workers: 1 });
  await inVirtualTime(settled(simulation.run(1)));
  const [before] = readyWorkers(simulation.engine);

  const [poison, other] = await inVirtualTime(
    Promise.all([settled(simulation.run(OUT_OF_MEMORY)), settled(simulation.run(4))]),
  );
  await jest.advanceTimersByTimeAsync(1_000);

  expect(poison).toMatch(/INFERENCE_FAILED .*needs more memory than one worker may use/);
  expect(other).toBe(9);
  expect(before?.state).toBe('EXITED');
  expect(readyWorkers(simulation.engine)).toHaveLength(1);
});

test('a worker above its memory limit is killed, and a large one is recycled', async () => {
  const simulation = await start({ workers: 2 });
  await inVirtualTime(settled(simulation.run(1)));
  await jest.advanceTimersByTimeAsync(1_000);
  const [first, second] = readyWorkers(simulation.engine).map(({ pid }) =>
    simulation.children.find((c) => c.pid === pid),
  );
  if (first) first.memoryBytes = 1_100_000_000;
  if (second) second.memoryBytes = 900_000_000;
  const stuck = settled(simulation.run(HANGS, { deadlineMs: 60_000 }));

  await jest.advanceTimersByTimeAsync(30_000);

  expect([first?.isDead, second?.isDead]).toEqual([true, true]);
  expect(readyWorkers(simulation.engine)).toHaveLength(2);
  expect(await inVirtualTime(settled(simulation.run(8)))).toBe(17);
  expect(await inVirtualTime(stuck)).toMatch(/INFERENCE_FAILED/);
});

test('a deadline fails the request on time, in the queue or during a run, and keeps the worker', async () => {
  const simulation = await start({ workers: 1 });
  const version = simulatedVersion('single', 1);
  await inVirtualTime(settled(simulation.run(1, { version })));
  const [worker] = readyWorkers(simulation.engine);
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

test('an input whose caller has disconnected is not run', async () => {
  const simulation = await start({ workers: 1 });
  await inVirtualTime(settled(simulation.run(1)));
  const busy = settled(simulation.run(HANGS, { deadlineMs: 500 }));
  await jest.advanceTimersByTimeAsync(20);
  const connection = simulatedConnection('gone');
  const abandoned = settled(simulation.run(CRASHES, { connection, deadlineMs: 400 }));
  connection.close();
  const processes = simulation.children.length;

  await inVirtualTime(Promise.all([busy, abandoned]));

  expect(simulation.children.filter(({ purpose }) => purpose === 'quarantine')).toEqual([]);
  expect(simulation.children.length).toBeLessThanOrEqual(processes + 1);
});

test('an input whose caller disconnected before it arrived fails immediately, not at its deadline', async () => {
  const simulation = await start({ workers: 1 });
  const connection = simulatedConnection('gone');
  connection.close();
  let answer: unknown = null;

  void settled(simulation.run(1, { connection, deadlineMs: 3_600_000 })).then((settledAs) => (answer = settledAs));
  await jest.advanceTimersByTimeAsync(0);

  expect(answer).toMatch('the client has disconnected');
});

test('a full queue refuses immediately and says when to retry', async () => {
  const simulation = await start({ workers: 1 });
  const version = simulatedVersion('slow', 1);
  await inVirtualTime(settled(simulation.run(1, { version })));
  const stuck = settled(simulation.run(HANGS, { version, deadlineMs: 60_000 }));
  await jest.advanceTimersByTimeAsync(20);
  const waiting = Array.from({ length: 20_000 }, (_, i) =>
    settled(simulation.run(i % 500, { version, deadlineMs: 50_000 })),
  );

  const refused = await settled(simulation.run(3, { version }));

  expect(refused).toMatch(/OVERLOADED .*Try again in \d+ ms/);
  expect(simulation.engine.queueDepth).toBeLessThanOrEqual(20_000);
  await inVirtualTime(simulation.engine.stop(0));
  expect(new Set(await Promise.all([stuck, ...waiting])).size).toBeGreaterThan(0);
});

test('jumps of the wall clock by hours neither expire nor delay requests', async () => {
  const simulation = await start({ workers: 1 });
  await inVirtualTime(settled(simulation.run(1)));
  const waiting = settled(simulation.run(HANGS, { deadlineMs: 1_000 }));

  jest.setSystemTime(Date.now() + 3_600_000);
  const forward = await inVirtualTime(settled(simulation.run(2)));
  jest.setSystemTime(Date.now() - 7_200_000);

  expect(forward).toBe(5);
  expect(await inVirtualTime(waiting)).toMatch(/DEADLINE_EXCEEDED|INFERENCE_FAILED/);
});

test('failing starts are retried with backoff, and the pool recovers', async () => {
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

test.each([
  ['fails', LARGE],
  ['ends the process', LARGE_ABORTS],
])(
  'an input that %s beside other versions is answered alone, and whoever sends more of them ends three workers at most',
  async (_, value) => {
    const simulation = await start({ workers: 1 });
    await inVirtualTime(settled(simulation.run(1)));
    const started = () => simulation.children.filter(({ purpose }) => purpose !== 'quarantine').length;
    const answers: (number | string)[] = [];
    const replaced: number[] = [];
    for (let i = 0; i < 6; i++) {
      const before = started();
      answers.push(await inVirtualTime(settled(simulation.run(value, { caller: 'large' }))));
      await jest.advanceTimersByTimeAsync(1_000);
      replaced.push(started() - before);
    }

    expect(new Set(answers)).toEqual(new Set([2 * value + 1]));
    expect(replaced).toEqual([1, 1, 1, 0, 0, 0]);
  },
);

test('a caller whose small input failed in the same run as a large one gets no strike', async () => {
  const simulation = await start({ workers: 1 });
  await inVirtualTime(settled(simulation.run(1)));
  const answers: (number | string)[] = [];
  for (let i = 0; i < 4; i++) {
    const both = [simulation.run(LARGE, { caller: `large ${i}` }), simulation.run(4, { caller: 'small' })];
    answers.push(...(await inVirtualTime(Promise.all(both.map(settled)))));
    await jest.advanceTimersByTimeAsync(1_000);
  }
  const quarantine = simulation.engine.workers.find(({ purpose }) => purpose === 'quarantine');
  const lastUsedAt = quarantine?.lastUsedAt;
  const last = await inVirtualTime(settled(simulation.run(4, { caller: 'small' })));

  expect(new Set(answers)).toEqual(new Set([2 * LARGE + 1, 9]));
  expect(last).toBe(9);
  expect([quarantine?.isReady, quarantine?.lastUsedAt]).toEqual([true, lastUsedAt]);
});

test.each([
  ['crash the process', CRASHES],
  ['are too large to run beside other versions', LARGE],
])('a caller who gives up inputs that %s is found out, too', async (_, value) => {
  const simulation = await start({ workers: 2, runMs: () => 20 });
  await inVirtualTime(settled(simulation.run(1)));
  const exits = () => simulation.children.filter(({ purpose, isDead }) => purpose !== 'quarantine' && isDead).length;
  for (let i = 0; i < 3; i++) {
    const connection = simulatedConnection('hasty');
    const answer = settled(simulation.run(value, { connection, item: { ...itemOf(value), work: 1 + i } }));
    while (!simulation.engine.workers.some(({ batches }) => batches.length > 0)) await jest.advanceTimersByTimeAsync(1);
    connection.close();
    await inVirtualTime(answer);
    await jest.advanceTimersByTimeAsync(10_000);
  }
  const before = exits();
  await inVirtualTime(settled(simulation.run(value, { caller: 'hasty', item: { ...itemOf(value), work: 9 } })));
  await jest.advanceTimersByTimeAsync(10_000);

  expect(before).toBeGreaterThan(0);
  expect(exits()).toBe(before);
});
