/**
 * Kills workers no faster than the engine promises to make up for: a batch whose worker is killed runs again, at most
 * three times. On a busy machine a batch may outlast several kills; without this limit it would rightly fail.
 */
import { killIfRunning } from '../../support/processes.ts';
import { until } from '../../support/until.ts';

const MAX_RETRIES = 3;

export class Kills {
  count = 0;
  readonly #inFlight = new Set<{ readonly killsBefore: number }>();

  /** Every request that expects an answer goes through here. */
  async during<T>(send: () => Promise<T>): Promise<T> {
    const request = { killsBefore: this.count };
    this.#inFlight.add(request);
    try {
      return await send();
    } finally {
      this.#inFlight.delete(request);
    }
  }

  /** Resolves when every request in flight can lose one more worker. */
  async allowed(): Promise<void> {
    const retriesLeft = ({ killsBefore }: { killsBefore: number }) => MAX_RETRIES - (this.count - killsBefore);
    await until('each request in flight has a retry left', () =>
      [...this.#inFlight].every((one) => retriesLeft(one) > 0),
    );
  }

  /** Does nothing if the worker has already ended. */
  kill(pid: number): void {
    if (killIfRunning(pid)) this.count++;
  }
}
