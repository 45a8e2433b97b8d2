/**
 * Draws plots as SVG in a thread, one at a time. The thread starts with the first plot, and ends when none has been drawn for a
 * minute.
 */
import { Worker } from 'node:worker_threads';
import { OneAtATime } from '../fair-share.js';
import type { PlotReply, PlotTask } from './plot-thread.js';

/** Plots that wait or are drawn; of one caller, as many as are left for all others. */
const MAX_WAITING = 100;
/** A plot takes 50 ms, and the start of the thread up to a second. */
const MAX_DRAW_MS = 20_000;
const IDLE_MS = 60_000;
const MAX_HEAP_MB = 256;

/** Too many plots wait to be drawn. */
export class TooManyPlotsError extends Error {}

export class Plotter {
  readonly #waiting = new OneAtATime(MAX_WAITING);
  #worker: Worker | null = null;
  #idle: NodeJS.Timeout | undefined;
  #isStopped = false;

  /** @throws TooManyPlotsError; Error if it cannot be drawn */
  async draw(task: PlotTask, caller: string): Promise<string> {
    if (!this.#waiting.hasRoomFor(caller)) throw new TooManyPlotsError();
    return this.#waiting.run(caller, () => this.#drawNext(task));
  }

  /** What waits is not drawn any more. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    clearTimeout(this.#idle);
    await this.#endThread();
  }

  async #drawNext(task: PlotTask): Promise<string> {
    if (this.#isStopped) throw new Error('the server stops');
    clearTimeout(this.#idle);
    const worker = this.#thread();
    const { promise, resolve, reject } = Promise.withResolvers<PlotReply>();
    const timer = setTimeout(() => reject(new Error(`a plot takes longer than ${MAX_DRAW_MS} ms`)), MAX_DRAW_MS);
    const onExit = () => reject(new Error('the thread that draws plots has ended'));
    worker.once('message', resolve).once('error', reject).once('exit', onExit);
    worker.postMessage(task);
    try {
      const reply = await promise;
      if ('error' in reply) throw reply.error;
      return reply.svg;
    } catch (error) {
      await this.#endThread();
      throw error;
    } finally {
      clearTimeout(timer);
      worker.off('message', resolve).off('error', reject).off('exit', onExit);
      this.#idle = setTimeout(() => void this.#endThread(), IDLE_MS).unref();
    }
  }

  #thread(): Worker {
    if (this.#worker) return this.#worker;
    const worker = new Worker(new URL('./plot-thread.js', import.meta.url), {
      resourceLimits: { maxOldGenerationSizeMb: MAX_HEAP_MB },
    });
    worker.unref();
    // Also while nothing is drawn.
    const forget = () => {
      if (this.#worker === worker) this.#worker = null;
    };
    worker.on('error', forget).on('exit', forget);
    this.#worker = worker;
    return worker;
  }

  async #endThread(): Promise<void> {
    const worker = this.#worker;
    this.#worker = null;
    await worker?.terminate();
  }
}
