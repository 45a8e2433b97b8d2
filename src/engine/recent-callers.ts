/** Which callers were served lately: a load that one caller needs must leave room for the others. */

/** A caller counts as served for this long after the last of their batches began. */
const RECENT_MS = 1_000;

export class RecentCallers {
  #last: { readonly caller: string; readonly at: number } | null = null;
  /** The last one who was served and is not `#last`. */
  #other: { readonly caller: string; readonly at: number } | null = null;

  note(caller: string, now: number): void {
    if (this.#last && this.#last.caller !== caller) this.#other = this.#last;
    this.#last = { caller, at: now };
  }

  /** Whether anybody but this caller was served lately. */
  hasOther(caller: string, now: number): boolean {
    return [this.#last, this.#other].some((one) => one && one.caller !== caller && now - one.at < RECENT_MS);
  }
}
