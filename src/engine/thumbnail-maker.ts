/**
 * Makes thumbnails, or images with hidden patches, in a process of its own, because decoding an image can crash one. Thumbnails
 * are made at the lowest priority, because predictions come first. The process starts when it is first needed, and ends after
 * 30 s without work.
 */
import os from 'node:os';
import type { StartChild } from './child.js';
import { ReusableProcesses, type SendToWorker } from './disposable-worker.js';
import type { Command, FromWorker, ImageToHide, Thumbnail } from './messages.js';

/** The lowest priority of the operating system. */
export const LOWEST_PRIORITY = 19;
const MAX_MS = 20_000;
const IDLE_MS = 30_000;

export class ThumbnailMaker {
  readonly #startChild: StartChild;
  #processes: ReusableProcesses | null = null;
  #idle: NodeJS.Timeout | null = null;
  #hasEnded = false;
  /** One image at a time. */
  #last: Promise<unknown> = Promise.resolve();

  /** `priority`: of the operating system; null for that of workers. */
  constructor(startChild: StartChild, priority: number | null) {
    this.#startChild = (...args) => {
      const child = startChild(...args);
      if (priority !== null) setPriority(child.pid, priority);
      return child;
    };
  }

  /** @throws Error if the image cannot be decoded, or the process ends */
  async make(image: Uint8Array, maxSize: number): Promise<Thumbnail> {
    const reply = await this.#ask({ kind: 'makeThumbnail', image, maxSize }, 'thumbnailMade');
    return reply.thumbnail;
  }

  /** As PNG, one image for each patch. @throws as `make` */
  async hide(image: ImageToHide): Promise<readonly Uint8Array[]> {
    const reply = await this.#ask({ kind: 'hidePatches', ...image }, 'patchesHidden');
    return reply.images;
  }

  #ask<Kind extends FromWorker['kind']>(command: Command, kind: Kind): Promise<Extract<FromWorker, { kind: Kind }>> {
    const asked = this.#last.then(() => this.#askNow(command, kind));
    this.#last = asked.catch(() => {});
    return asked;
  }

  async #askNow<Kind extends FromWorker['kind']>(command: Command, kind: Kind) {
    if (this.#hasEnded) throw new Error('the server is stopping');
    if (this.#idle) clearTimeout(this.#idle);
    this.#processes ??= new ReusableProcesses(this.#startChild);
    const work = async (ask: SendToWorker) => {
      const reply = await ask(command);
      if (reply.kind === kind) return reply as Extract<FromWorker, { kind: Kind }>;
      throw new Error(reply.kind === 'failed' ? reply.message : `expected "${kind}", received "${reply.kind}"`);
    };
    try {
      return (
        (await this.#processes.inUsedProcess(work, MAX_MS)) ?? (await this.#processes.inFreshProcess(work, MAX_MS))
      );
    } finally {
      this.#idle = setTimeout(() => this.#endProcesses(), IDLE_MS).unref();
    }
  }

  /** Ends the process, and starts no more. */
  end(): void {
    this.#hasEnded = true;
    if (this.#idle) clearTimeout(this.#idle);
    this.#endProcesses();
  }

  #endProcesses(): void {
    this.#processes?.end();
    this.#processes = null;
  }
}

function setPriority(pid: number, priority: number): void {
  try {
    os.setPriority(pid, priority);
  } catch {
    // The process has not started, or it is not permitted: workers lower their priority themselves, if not as much.
  }
}
