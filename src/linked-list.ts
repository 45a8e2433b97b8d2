/**
 * A list from whose middle values can be removed.
 *
 * It takes the place of a `Set` or `Map` for what comes and goes with requests but is referred to by what lives long. Those
 * fill their table with deleted entries and then move to a new table, and V8 links each table to the next for the sake of
 * iterators. Once one table has been promoted to the old generation, all tables after it stay alive until the next full
 * collection, with all that was in them: each request would be copied twice and collected late. A removed link refers to
 * no other link.
 */

export interface Link<T> {
  readonly value: T;
  /** Whether it is in its list. */
  readonly isLinked: boolean;
}

class Node<T> implements Link<T> {
  before: Node<T> | null;
  after: Node<T> | null;
  isLinked = true;

  constructor(
    readonly value: T,
    before: Node<T> | null,
    after: Node<T> | null,
  ) {
    this.before = before;
    this.after = after;
  }
}

export class LinkedList<T> {
  #first: Node<T> | null = null;
  #last: Node<T> | null = null;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  get first(): T | undefined {
    return this.#first?.value;
  }

  /** Adds a value at the end. */
  push(value: T): Link<T> {
    const node = new Node(value, this.#last, null);
    if (this.#last) this.#last.after = node;
    else this.#first = node;
    this.#last = node;
    this.#size++;
    return node;
  }

  /** Adds a value at the front. */
  unshift(value: T): Link<T> {
    const node = new Node(value, null, this.#first);
    if (this.#first) this.#first.before = node;
    else this.#last = node;
    this.#first = node;
    this.#size++;
    return node;
  }

  /** Has no effect on a link that was removed before. */
  remove(link: Link<T>): void {
    const node = link as Node<T>;
    if (!node.isLinked) return;
    const { before, after } = node;
    if (before) before.after = after;
    else this.#first = after;
    if (after) after.before = before;
    else this.#last = before;
    node.before = null;
    node.after = null;
    node.isLinked = false;
    this.#size--;
  }

  /** The first link whose value is wanted. */
  find(isWanted: (value: T) => boolean): Link<T> | undefined {
    for (let node = this.#first; node; node = node.after) if (isWanted(node.value)) return node;
    return undefined;
  }

  /** The values that were in the list at the beginning and have not been removed meanwhile. */
  *[Symbol.iterator](): Generator<T> {
    const nodes: Node<T>[] = [];
    for (let node = this.#first; node; node = node.after) nodes.push(node);
    for (const node of nodes) if (node.isLinked) yield node.value;
  }
}
