/**
 * Loaded by `--import` before the server's own code. The first SIGUSR2 starts measuring the event-loop delay, the second
 * writes the result to `LOOP_DELAY_FILE`. Like `test/bench/inside-server.ts`, for a server without a channel to its parent.
 */
import { renameSync, writeFileSync } from 'node:fs';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { isMainThread } from 'node:worker_threads';

export interface LoopDelay {
  readonly p99: number;
  readonly max: number;
}

const RESOLUTION_MS = 5;
const MS = 1e6;
const file = process.env['LOOP_DELAY_FILE'];

if (isMainThread && file && process.argv[1]?.endsWith('main.js')) {
  const delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  let isWatching = false;
  process.on('SIGUSR2', () => {
    if (isWatching) {
      // The histogram holds the time between two ticks; the delay is the part over the resolution.
      const beyond = (nanoseconds: number) => Math.max(0, nanoseconds / MS - RESOLUTION_MS);
      writeFileSync(`${file}.part`, JSON.stringify({ p99: beyond(delay.percentile(99)), max: beyond(delay.max) }));
      renameSync(`${file}.part`, file);
    } else {
      isWatching = delay.enable();
    }
  });
}
