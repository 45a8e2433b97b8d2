/** The worker process as the operating system sees it. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import os from 'node:os';
import type { Readable } from 'node:stream';
import { CHANNEL_FD } from '#src/engine/frames.js';

test.each([0, 10])('a worker started with nice %i becomes ready and never raises its priority', async (steps) => {
  const command = ['-n', String(steps), process.execPath, 'dist/worker/worker.js'];
  const child = spawn('nice', command, { stdio: ['ignore', 'ignore', 'inherit', 'pipe'] });
  const ended = once(child, 'exit');
  const heard = once(child.stdio[CHANNEL_FD] as Readable, 'data').then(() => 'ready');

  expect(await Promise.race([heard, ended])).toBe('ready');
  expect(os.getPriority(child.pid)).toBe(Math.min(19, Math.max(5, os.getPriority() + steps)));

  child.kill('SIGKILL');
  await ended;
});
