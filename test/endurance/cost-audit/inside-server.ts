/** Loaded by `--import` before the server's own code: measures one request for the parent process. */
import { performance } from 'node:perf_hooks';
import { isMainThread } from 'node:worker_threads';

export interface ServerUse {
  /** Time in which the event loop was busy. */
  readonly loopMs: number;
  /** CPU time of the process, all threads. */
  readonly cpuMs: number;
  /** Growth of resident memory at its peak, in megabytes. */
  readonly memoryMb: number;
}

const SAMPLE_MS = 5;
const MB = 1_000_000;

if (isMainThread && process.send) {
  let before = { loop: performance.eventLoopUtilization(), cpu: process.cpuUsage(), rss: 0 };
  let peak = 0;
  let timer: NodeJS.Timeout | undefined;
  const sample = () => {
    peak = Math.max(peak, process.memoryUsage.rss());
  };
  process.on('message', (message) => {
    if (message === 'begin') {
      globalThis.gc?.();
      const rss = process.memoryUsage.rss();
      peak = rss;
      timer = setInterval(sample, SAMPLE_MS);
      before = { loop: performance.eventLoopUtilization(), cpu: process.cpuUsage(), rss };
      process.send?.('begun');
    } else if (message === 'end') {
      const { active } = performance.eventLoopUtilization(before.loop);
      const { user, system } = process.cpuUsage(before.cpu);
      clearInterval(timer);
      sample();
      process.send?.({ loopMs: active, cpuMs: (user + system) / 1_000, memoryMb: (peak - before.rss) / MB });
    }
  });
  process.channel?.unref();
}
