/** Finds rows that were there before. Holds 24 to 48 bytes for each row, by digests of 64 bits. */
import { hash } from 'node:crypto';

const FIRST_SLOTS = 4_096;
/** More would make lookups slow. */
const MAX_LOAD = 0.5;

export class RowDigests {
  /** Three numbers a slot: the digest in two, and the row; 0 if it is free. */
  #slots = new Uint32Array(3 * FIRST_SLOTS);
  #count = 0;

  /** The row with the same bytes that was added before; null if there is none. */
  add(bytes: string, row: number): number | null {
    if (this.#count >= (this.#slots.length / 3) * MAX_LOAD) this.#grow();
    const digest = hash('sha1', bytes, 'buffer');
    return this.#put(digest.readUInt32LE(0), digest.readUInt32LE(4), row);
  }

  #put(low: number, high: number, row: number): number | null {
    const slots = this.#slots.length / 3;
    for (let slot = low % slots; ; slot = (slot + 1) % slots) {
      const at = 3 * slot;
      const known = this.#slots[at + 2] as number;
      if (known === 0) {
        this.#slots.set([low, high, row], at);
        this.#count++;
        return null;
      }
      if (this.#slots[at] === low && this.#slots[at + 1] === high) return known;
    }
  }

  #grow(): void {
    const before = this.#slots;
    this.#slots = new Uint32Array(before.length * 2);
    this.#count = 0;
    for (let at = 0; at < before.length; at += 3) {
      const [low, high, row] = before.subarray(at, at + 3) as unknown as [number, number, number];
      if (row !== 0) this.#put(low, high, row);
    }
  }
}
