/**
 * Loaded before the server's own code by `--import`: the first SIGUSR2 begins to watch the event loop, the second writes
 * what was seen to `LOOP_DELAY_FILE`. As `test/bench/loop-delay.ts`, for a server that has no channel to its parent.
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
      // The histogram holds the time from tick to tick; the delay is what exceeds the resolution.
      const beyond = (nanoseconds: number) => Math.max(0, nanoseconds / MS - RESOLUTION_MS);
      writeFileSync(`${file}.part`, JSON.stringify({ p99: beyond(delay.percentile(99)), max: beyond(delay.max) }));
      renameSync(`${file}.part`, file);
    } else {
      isWatching = delay.enable();
    }
  });
}
