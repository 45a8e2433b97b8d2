/**
 * Loaded by `--import` before the server's own code, and answers the parent's messages. Between `start` and `stop` it
 * measures the event-loop delay. `memory` collects garbage (with `--expose-gc`) and reports what is left.
 */
import { type EventLoopUtilization, monitorEventLoopDelay, performance } from 'node:perf_hooks';
import { isMainThread } from 'node:worker_threads';

export interface LoopDelay {
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
  /** Share of the time in which the loop was busy. */
  readonly utilization: number;
}

/** In bytes, after a garbage collection. */
export interface ServerMemory {
  readonly heapUsed: number;
  /** Memory outside the heap that belongs to its objects, buffers included. */
  readonly external: number;
}

const RESOLUTION_MS = 5;
const MS = 1e6;

if (isMainThread && process.send) {
  const delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  let since: EventLoopUtilization | undefined;
  process.on('message', (message) => {
    if (message === 'start') {
      delay.reset();
      delay.enable();
      since = performance.eventLoopUtilization();
    } else if (message === 'stop') {
      delay.disable();
      // The histogram holds the time between two ticks; the delay is the part over the resolution.
      const beyond = (nanoseconds: number) => Math.max(0, nanoseconds / MS - RESOLUTION_MS);
      const { utilization } = performance.eventLoopUtilization(since);
      const [p50, p99, max] = [delay.percentile(50), delay.percentile(99), delay.max].map(beyond);
      process.send?.({ p50, p99, max, utilization });
    } else if (message === 'memory') {
      globalThis.gc?.();
      const { heapUsed, external } = process.memoryUsage();
      process.send?.({ heapUsed, external });
    }
  });
  process.channel?.unref();
}
