/** Loaded by `--import` before the server's own code: measures one request for the parent process. */
import { isMainThread } from 'node:worker_threads';

export interface ServerUse {
  /** CPU time of the thread of the event loop. Unlike elapsed time, it does not grow with the load of the machine. */
  readonly loopMs: number;
  /** CPU time of the process, all threads. */
  readonly cpuMs: number;
  /** Growth of resident memory at its peak since `baseline`, in megabytes. */
  readonly memoryMb: number;
}

const SAMPLE_MS = 5;
const MB = 1_000_000;

const msOf = ({ user, system }: NodeJS.CpuUsage) => (user + system) / 1_000;

const cpuMs = () => ({ loop: msOf(process.threadCpuUsage()), process: msOf(process.cpuUsage()) });

if (isMainThread && process.send) {
  let rss = { before: 0, peak: 0 };
  let before = cpuMs();
  const sample = () => {
    rss.peak = Math.max(rss.peak, process.memoryUsage.rss());
  };
  const handlers: Readonly<Record<string, () => unknown>> = {
    baseline: () => {
      globalThis.gc?.();
      rss = { before: process.memoryUsage.rss(), peak: 0 };
    },
    begin: () => {
      before = cpuMs();
    },
    end: (): ServerUse => {
      const now = cpuMs();
      sample();
      const memoryMb = (rss.peak - rss.before) / MB;
      return { loopMs: now.loop - before.loop, cpuMs: now.process - before.process, memoryMb };
    },
  };
  process.on('message', (message) => process.send?.(handlers[String(message)]?.() ?? {}));
  process.channel?.unref();
  setInterval(sample, SAMPLE_MS).unref();
}
