/**
 * Work that was recorded before it was acknowledged: done in the background, one after the other, and accounts take turns. What
 * fails for a reason outside of the work, such as a full disk, is tried again.
 */

/** Until it is tried again. */
const RETRY_MS = 30_000;

interface Parts<Work> {
  /** The oldest unfinished one of the next account that has any, after the account whose turn was last. */
  readonly findNext: (lastAccount: string) => Promise<Work | undefined>;
  /** Finishes it, or counts the attempt. @throws what may go better later */
  readonly run: (work: Work) => Promise<void>;
  /** Called before it is tried again. */
  readonly report: (error: unknown) => void;
}

export class RecordedWork<Work extends { readonly account: string }> {
  readonly #parts: Parts<Work>;
  #running: Promise<void> | null = null;
  #isStarted = false;
  /** Whether some was recorded since the last one was looked for. */
  #hasMore = false;
  /** Whose turn was last. */
  #lastAccount = '';
  #timer: NodeJS.Timeout | null = null;

  constructor(parts: Parts<Work>) {
    this.#parts = parts;
  }

  get isStarted(): boolean {
    return this.#isStarted;
  }

  /** Begins with what was recorded before. */
  start(): void {
    this.#isStarted = true;
    this.goOn();
  }

  /** Resolves when nothing is running. */
  async stop(): Promise<void> {
    this.#isStarted = false;
    if (this.#timer) clearTimeout(this.#timer);
    await this.#running;
  }

  /** To be called when some was recorded. */
  goOn(): void {
    this.#hasMore = true;
    if (!this.#isStarted || this.#running) return;
    this.#running = this.#runAll()
      .catch((error) => this.#retryLater(error))
      .finally(() => {
        this.#running = null;
      });
  }

  #retryLater(error: unknown): void {
    if (!this.#isStarted) return;
    this.#parts.report(error);
    this.#timer = setTimeout(() => this.goOn(), RETRY_MS).unref();
  }

  async #runAll(): Promise<void> {
    for (;;) {
      this.#hasMore = false;
      const next = this.#isStarted ? await this.#parts.findNext(this.#lastAccount) : undefined;
      if (!next && this.#isStarted && this.#hasMore) continue;
      if (!next) return;
      this.#lastAccount = next.account;
      await this.#parts.run(next);
    }
  }
}
