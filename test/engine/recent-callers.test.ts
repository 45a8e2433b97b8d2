/** Loads for one caller leave room for the others. */
import { jest } from '@jest/globals';
import { RecentCallers } from '#src/engine/recent-callers.js';
import { inVirtualTime, Simulation, settled, simulatedVersion } from '../support/simulation.js';
import { readyWorkers } from '../support/workers.js';

beforeEach(() => {
  jest.useFakeTimers({ doNotFake: ['nextTick', 'queueMicrotask'] });
});
afterEach(() => {
  jest.useRealTimers();
});

test('a caller is served lately for a second, whoever was served last', () => {
  const callers = new RecentCallers();
  callers.note('a', 0);
  callers.note('b', 500);
  callers.note('b', 900);

  expect(['a', 'b', 'c'].map((caller) => callers.hasOther(caller, 999))).toEqual([true, true, true]);
  expect(['a', 'b', 'c'].map((caller) => callers.hasOther(caller, 1_000))).toEqual([true, false, true]);
  expect(['a', 'b', 'c'].map((caller) => callers.hasOther(caller, 1_900))).toEqual([false, false, false]);
});

test('while others are served, the loads of one caller leave a worker to them, and alone they take all workers', async () => {
  // The warm-up of a cold version takes 100 ms.
  const runMs = ([value]: readonly number[]) => (value === 50 ? 100 : 1);
  const simulation = new Simulation({ workers: 2, runMs });
  const loading = () => readyWorkers(simulation.engine).filter((worker) => worker.loading.size > 0).length;
  await inVirtualTime(simulation.engine.start());
  const warm = simulatedVersion('warm', 1);
  await inVirtualTime(simulation.engine.preload(warm));
  const cold = Array.from({ length: 6 }, (_, i) => simulatedVersion(`cold ${i}`, 1, 50));
  const most = { beside: 0, alone: 0 };
  const advance = async (kind: keyof typeof most) => {
    await jest.advanceTimersByTimeAsync(5);
    most[kind] = Math.max(most[kind], loading());
  };

  await inVirtualTime(settled(simulation.run(5, { version: warm, caller: 'victim' })));
  const answers = cold.slice(0, 3).map((version) => settled(simulation.run(7, { version, caller: 'other' })));
  for (let i = 0; i < 100; i++) {
    answers.push(settled(simulation.run(5, { version: warm, caller: 'victim' })));
    await advance('beside');
  }
  await inVirtualTime(Promise.all(answers));
  await jest.advanceTimersByTimeAsync(2_000);
  answers.push(...cold.slice(3).map((version) => settled(simulation.run(7, { version, caller: 'other' }))));
  for (let i = 0; i < 100; i++) await advance('alone');

  expect(most).toEqual({ beside: 1, alone: 2 });
  expect(new Set(await inVirtualTime(Promise.all(answers)))).toEqual(new Set([11, 15]));
});

test('a caller who needs one version after another gets a fair share of a worker, the loads included', async () => {
  const LOAD_MS = 100;
  const RUN_MS = 20;
  const COLD = 50;
  // The warm-up of a cold version takes long; its inputs do not.
  const runMs = ([value]: readonly number[]) => (value === COLD ? LOAD_MS : value === 7 ? 1 : RUN_MS);
  const simulation = new Simulation({ workers: 1, runMs });
  await inVirtualTime(simulation.engine.start());
  const warm = ['a', 'b', 'c'].map((key) => simulatedVersion(key, 1));
  for (const version of warm) await inVirtualTime(simulation.engine.preload(version));
  let isDone = false;
  let served = 0;
  // Each victim always has two inputs outstanding, so that there is always one that waits.
  const victims = [...warm, ...warm].map(async (version) => {
    while (!isDone) {
      await settled(simulation.run(5, { version, caller: version.key }));
      served++;
    }
  });
  let loads = 0;
  const cycler = (async () => {
    for (; !isDone; loads++) {
      const version = simulatedVersion(`cold ${loads}`, 1, COLD);
      await settled(simulation.run(7, { version, caller: 'cycler' }));
    }
  })();
  await jest.advanceTimersByTimeAsync(20_000);
  const sharesMs = [loads * LOAD_MS, (served * RUN_MS) / warm.length];
  isDone = true;
  await inVirtualTime(Promise.all([...victims, cycler]));

  // A quarter of 20 s each.
  for (const ms of sharesMs) {
    expect(ms).toBeGreaterThan(4_000);
    expect(ms).toBeLessThan(6_000);
  }
});
