/** One worker from the server's point of view. */
import { jest } from '@jest/globals';
import type { Child, ChildEvents } from '#src/engine/child.js';
import type { LoadMessage, ToWorker } from '#src/engine/messages.js';
import { WorkerProcess } from '#src/engine/worker-process.js';

beforeEach(() => {
  jest.useFakeTimers();
});
afterEach(() => {
  jest.useRealTimers();
});

const LOAD = { kind: 'load', key: 'one' } as LoadMessage;

/** The server is interrupted for `pauseMs` while it sends, and the worker, on another processor, is not. */
class InterruptedSend implements Child {
  readonly pid = 1;
  readonly #pauseMs: number;
  isKilled = false;
  sent: ToWorker[] = [];

  constructor(pauseMs: number) {
    this.#pauseMs = pauseMs;
  }

  send(message: ToWorker): void {
    this.sent.push(message);
    jest.advanceTimersByTime(this.#pauseMs);
  }

  kill(): void {
    this.isKilled = true;
  }

  async memory(): Promise<null> {
    return null;
  }
}

test('a load that ran while the server was interrupted at sending it took no longer than what has passed', () => {
  const child = new InterruptedSend(1_000);
  const received: unknown[] = [];
  let events: ChildEvents | undefined;
  const start = (_purpose: unknown, given: ChildEvents) => {
    events = given;
    return child;
  };
  const worker = new WorkerProcess(start, 'pool', 0, {
    onMessage: (_worker, message) => received.push(message.kind),
    onExit: () => undefined,
  });
  events?.onMessage({ kind: 'ready' });
  worker.markReady();

  const id = worker.send(LOAD);
  const times = { loadMs: 900, warmUpMs: 100, warmUpCpuMs: 100, executionProvider: 'cpu' };
  events?.onMessage({ kind: 'loaded', id, key: 'one', residentBytes: null, ...times });

  expect(received).toEqual(['ready', 'loaded']);
  expect(child.isKilled).toBe(false);
});
