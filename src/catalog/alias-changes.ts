/**
 * Makes the changes of each alias in the order in which they were requested, although the version of one may load for
 * seconds. Otherwise a rollback could be undone by the change that it was to undo.
 */
export class AliasChanges {
  /** By alias: the change that was requested last, of those that may still be made. */
  readonly #latest = new Map<string, Change>();

  /**
   * Makes the change when it is prepared, or immediately if a later change of the same alias is prepared before. Rejects,
   * and does not make the change, if `prepared` rejects before.
   */
  make(alias: string, prepared: Promise<void>, change: () => Promise<void>): Promise<void> {
    const earlier = this.#latest.get(alias) ?? null;
    const { promise: superseded, resolve: stopWaiting } = Promise.withResolvers<void>();
    const latest: Change = { earlier, isSettled: false, stopWaiting, made: Promise.resolve() };
    latest.made = Promise.race([prepared, superseded])
      .then(() => {
        earlier?.stopWaiting();
        return earlier?.made.catch(() => {});
      })
      .then(change)
      .finally(() => {
        latest.isSettled = true;
        if (this.#latest.get(alias) === latest) this.#forget(alias, latest);
      });
    this.#latest.set(alias, latest);
    return latest.made;
  }

  /** If the latest change was refused, earlier ones may still be waiting. */
  #forget(alias: string, latest: Change): void {
    let pending = latest.earlier;
    while (pending?.isSettled) pending = pending.earlier;
    if (pending) this.#latest.set(alias, pending);
    else this.#latest.delete(alias);
  }
}

interface Change {
  readonly earlier: Change | null;
  isSettled: boolean;
  readonly stopWaiting: () => void;
  made: Promise<void>;
}
