/** Counts the responses that have been sent, to be read as metrics. */
import { Buckets, DURATION_BOUNDS_MS } from '../counting/buckets.js';

const CLASSES = 5;

export class Responses {
  /** By the first digit of the status, less one. */
  readonly byClass = new Float64Array(CLASSES);
  /** From the arrival of the headers until the response was handed to the operating system. */
  readonly durationMs = new Buckets(DURATION_BOUNDS_MS);

  add(status: number, durationMs: number): void {
    const at = Math.floor(status / 100) - 1;
    this.byClass[at] = (this.byClass[at] as number) + 1;
    this.durationMs.add(durationMs);
  }
}
