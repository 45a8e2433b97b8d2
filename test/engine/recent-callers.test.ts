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
