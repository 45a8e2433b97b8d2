/** Worker processes outside the pool. */
import { spawn } from 'node:child_process';
import type { StartChild } from '#src/engine/child.js';
import { maxUseMs, ReusableProcesses } from '#src/engine/disposable-worker.js';

test('a probe may take a minute, and longer for data files at 50 MB/s', () => {
  expect(maxUseMs(0)).toBe(60_000);
  expect(maxUseMs(15_000_000_000)).toBe(360_000);
});

test('a process that could not compute in its time is told apart from one that took too long', async () => {
  const idle = spawn('sleep', ['60']);
  const startChild: StartChild = (_, events) => {
    setImmediate(() => events.onMessage({ kind: 'ready' }));
    let isKilled = false;
    const kill = () => {
      if (!isKilled) setImmediate(() => events.onExit('SIGKILL', 'signal SIGKILL'));
      isKilled = true;
    };
    return { pid: idle.pid ?? 0, send: () => {}, kill, memory: async () => null };
  };
  const ask = { kind: 'unload', key: 'x' } as const;

  const lost = await new ReusableProcesses(startChild)
    .inFreshProcess((send) => send(ask), 50)
    .catch((error: unknown) => error);

  idle.kill();
  expect(lost).toMatchObject({
    cause: 'watchdog',
    wasStarved: true,
    message: 'the inference process did not reply in time, because the machine was busy, and was killed',
  });
});
