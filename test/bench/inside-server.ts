/**
 * Loaded by `--import` before the server's own code, and answers the parent's messages. Between `start` and `stop` it
 * measures the event-loop delay, and how long refused predictions take. `memory` collects garbage (with `--expose-gc`) and reports what is left.
 */
import { subscribe } from 'node:diagnostics_channel';
import { type IncomingMessage, ServerResponse } from 'node:http';
import { type EventLoopUtilization, monitorEventLoopDelay, performance } from 'node:perf_hooks';
import { isMainThread } from 'node:worker_threads';
import { Histogram } from './histogram.ts';
import type { Spread } from './numbers.ts';

export interface LoopDelay {
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
  /** Share of the time in which the loop was busy. */
  readonly utilization: number;
  /** Of answers with a problem, from the last header of the request until the answer is handed to the system. */
  readonly refusals: Spread;
}

/** In bytes, after a garbage collection. */
export interface ServerMemory {
  readonly heapUsed: number;
  /** Memory outside the heap that belongs to its objects, buffers included. */
  readonly external: number;
}

const RESOLUTION_MS = 5;
const MS = 1e6;

let refusals = new Histogram();

function timeRefusals(): void {
  const begun = new WeakMap<object, number>();
  subscribe('http.server.request.start', (message) => {
    begun.set((message as { request: IncomingMessage }).request, performance.now());
  });
  const { end } = ServerResponse.prototype;
  ServerResponse.prototype.end = function (this: ServerResponse, ...args: unknown[]) {
    const result = Reflect.apply(end, this, args);
    const since = begun.get(this.req);
    if (since !== undefined && String(args[0]).includes('"problem":{')) refusals.add(performance.now() - since);
    return result;
  } as typeof end;
}

if (isMainThread && process.send) {
  const delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  let since: EventLoopUtilization | undefined;
  let isTiming = false;
  process.on('message', (message) => {
    if (message === 'start') {
      delay.reset();
      delay.enable();
      if (!isTiming) timeRefusals();
      isTiming = true;
      refusals = new Histogram();
      since = performance.eventLoopUtilization();
    } else if (message === 'stop') {
      delay.disable();
      // The histogram holds the time between two ticks; the delay is the part over the resolution.
      const beyond = (nanoseconds: number) => Math.max(0, nanoseconds / MS - RESOLUTION_MS);
      const { utilization } = performance.eventLoopUtilization(since);
      const [p50, p99, max] = [delay.percentile(50), delay.percentile(99), delay.max].map(beyond);
      process.send?.({ p50, p99, max, utilization, refusals: refusals.spread });
    } else if (message === 'memory') {
      globalThis.gc?.();
      const { heapUsed, external } = process.memoryUsage();
      process.send?.({ heapUsed, external });
    }
  });
  process.channel?.unref();
}
