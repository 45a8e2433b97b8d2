/**
 * All tokens that a text continues with at some place, shortest first.
 *
 * One flat hash table from (node, UTF-16 unit) to the next node: vocabularies have a quarter of a million tokens.
 */
export class TokenTrie {
  readonly #nodes: Int32Array;
  readonly #units: Uint16Array;
  readonly #next: Int32Array;
  readonly #mask: number;
  readonly #idOf: Int32Array;
  #size = 1;

  constructor(tokens: ReadonlyMap<string, number>) {
    let units = 1;
    for (const token of tokens.keys()) units += token.length;
    const slots = 2 ** Math.ceil(Math.log2(2 * units + 2));
    this.#mask = slots - 1;
    this.#nodes = new Int32Array(slots).fill(-1);
    this.#units = new Uint16Array(slots);
    this.#next = new Int32Array(slots);
    this.#idOf = new Int32Array(units + 1).fill(-1);
    for (const [token, id] of tokens) this.#add(token, id);
  }

  forEachPrefix(text: string, from: number, found: (to: number, id: number) => void): void {
    let node = 0;
    for (let at = from; at < text.length; at++) {
      const slot = this.#slotOf(node, text.charCodeAt(at));
      if (this.#nodes[slot] === -1) return;
      node = this.#next[slot] as number;
      const id = this.#idOf[node] as number;
      if (id !== -1) found(at + 1, id);
    }
  }

  #add(token: string, id: number): void {
    if (token === '') return;
    let node = 0;
    for (let i = 0; i < token.length; i++) {
      const unit = token.charCodeAt(i);
      const slot = this.#slotOf(node, unit);
      if (this.#nodes[slot] === -1) {
        this.#nodes[slot] = node;
        this.#units[slot] = unit;
        this.#next[slot] = this.#size++;
      }
      node = this.#next[slot] as number;
    }
    this.#idOf[node] = id;
  }

  /** The slot of this pair, or the empty one where it belongs. */
  #slotOf(node: number, unit: number): number {
    let slot = (Math.imul(node, 0x9e3779b1) ^ Math.imul(unit, 0x85ebca6b)) >>> 0;
    slot = (slot ^ (slot >>> 15)) & this.#mask;
    while (this.#nodes[slot] !== -1 && (this.#nodes[slot] !== node || this.#units[slot] !== unit)) {
      slot = (slot + 1) & this.#mask;
    }
    return slot;
  }
}
