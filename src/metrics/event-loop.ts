/** How long the event loop of the server is delayed. */
import { type IntervalHistogram, monitorEventLoopDelay, performance } from 'node:perf_hooks';

/** Interval of the sampling timer. */
const RESOLUTION_MS = 20;
const MS_PER_NANOSECOND = 1e-6;
const QUANTILES = [0.5, 0.99, 1] as const;

export class EventLoopDelay {
  #histogram: IntervalHistogram | null = null;

  /** Of the time since the last call; the first one starts the measurement, so that servers that are never scraped pay nothing. */
  readMs(): { quantile: number; ms: number }[] {
    const histogram = this.#histogram ?? this.#start();
    // The histogram has the time between two calls of the timer, and NaN or 0 before the first.
    const delayMs = (quantile: number) =>
      Math.max(0, histogram.percentile(100 * quantile) * MS_PER_NANOSECOND - RESOLUTION_MS) || 0;
    const read = QUANTILES.map((quantile) => ({ quantile, ms: delayMs(quantile) }));
    histogram.reset();
    return read;
  }

  /** Time that the loop was busy since the process started. */
  get busyMs(): number {
    return performance.eventLoopUtilization().active;
  }

  stop(): void {
    this.#histogram?.disable();
  }

  #start(): IntervalHistogram {
    this.#histogram = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
    this.#histogram.enable();
    return this.#histogram;
  }
}
