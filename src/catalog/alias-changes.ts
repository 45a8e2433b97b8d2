/**
 * Makes the changes of each alias in the order in which they were requested, although the version of one may load for
 * seconds. Otherwise a rollback could be undone by the change that it was to undo.
 */
export class AliasChanges {
  /** By alias: the change that was requested last, until it is made. */
  readonly #latest = new Map<string, { readonly made: Promise<void>; readonly stopWaiting: () => void }>();

  /**
   * Makes the change when it is prepared, or immediately if another change of the same alias is requested meanwhile.
   * Rejects, and does not make the change, if `prepared` rejects before.
   */
  make(alias: string, prepared: Promise<void>, change: () => Promise<void>): Promise<void> {
    const earlier = this.#latest.get(alias);
    earlier?.stopWaiting();
    const { promise: superseded, resolve: stopWaiting } = Promise.withResolvers<void>();
    const made = Promise.race([prepared, superseded])
      .then(() => earlier?.made.catch(() => {}))
      .then(change)
      .finally(() => {
        if (this.#latest.get(alias) === latest) this.#latest.delete(alias);
      });
    const latest = { made, stopWaiting };
    this.#latest.set(alias, latest);
    return made;
  }
}
