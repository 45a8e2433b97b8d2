/** One data key, as this process uses it: to seal and open values, and to make digests that are useless without it. */
import { createHmac } from 'node:crypto';
import { open, seal, type ToSeal } from '../storage/sealing.js';
import { FileKey } from './file-key.js';

/** What a sealed value belongs to. A value opens at its own address only. */
export interface Address {
  readonly account: string;
  readonly table: string;
  readonly column: string;
  readonly row: string;
}

/** Characters in base64url: 132 bits. */
const DIGEST_CHARACTERS = 22;
/** Digests that one key remembers: of labels, of which a model has few. */
const MAX_REMEMBERED = 1_000;

/** When and how often a key may seal. */
interface Uses {
  /** What was made from then on, and before `until`, in milliseconds since 1970. */
  readonly from: number;
  readonly until: number;
  readonly uses: number;
}

/** Of a key that only opens. */
export const NO_USES: Uses = { from: 0, until: 0, uses: 0 };

export class DataKey {
  readonly id: number;
  readonly #from: number;
  readonly #until: number;
  readonly #bytes: Buffer;
  /** Made when it seals: keys that only open are in no text, which cannot be overwritten. */
  #base64: string | null = null;
  #usesLeft: number;
  #digestKey: Buffer | null = null;
  #isErased = false;
  readonly #remembered = new Map<string, string>();

  constructor({ id, bytes, from, until, uses }: { id: number; bytes: Buffer } & Uses) {
    this.id = id;
    this.#from = from;
    this.#until = until;
    this.#bytes = bytes;
    this.#usesLeft = uses;
  }

  /** Whether it may seal this many values more, of what was made at this time. */
  maySeal(at: number, values: number): boolean {
    return at >= this.#from && at < this.#until && this.#usesLeft >= values && !this.#isErased;
  }

  get isErased(): boolean {
    return this.#isErased;
  }

  /** Values that it seals from now on could never be opened. */
  markErased(): void {
    this.#isErased = true;
  }

  /** For `lent-keys.ts`. */
  copyTo(target: Uint8Array): void {
    target.set(this.#bytes);
  }

  /** The value, for the storage thread to seal. It may do so twice, if a commit has to be repeated. */
  toSeal(value: string, address: Address): ToSeal {
    this.#usesLeft -= 2;
    this.#base64 ??= this.#bytes.toString('base64');
    return { seal: value, key: this.#base64, address: this.#text(address) };
  }

  seal(value: string | Uint8Array, address: Address): Buffer {
    this.#usesLeft--;
    return seal(value, this.#bytes, this.#text(address));
  }

  /** Null if the value was not sealed with this key for this address. */
  open(sealed: Uint8Array, address: Address): Buffer | null {
    return open(sealed, this.#bytes, this.#text(address));
  }

  /** The key of the one file with this address. What it seals does not count as uses of this key. */
  ofFile(address: Address): FileKey {
    return new FileKey(
      createHmac('sha256', this.#bytes)
        .update(`file\n${this.#text(address)}`)
        .digest(),
    );
  }

  /** A digest of the text that nobody can compute, or compare with a guess, without the key. */
  digest(purpose: string, text: string): string {
    this.#digestKey ??= createHmac('sha256', this.#bytes).update('digests').digest();
    const digest = createHmac('sha256', this.#digestKey).update(`${purpose}\n`).update(text).digest('base64url');
    return digest.slice(0, DIGEST_CHARACTERS);
  }

  /** As `digest`, for texts that are the same again and again. */
  repeatedDigest(purpose: string, text: string): string {
    const name = `${purpose}\n${text}`;
    const known = this.#remembered.get(name);
    if (known !== undefined) return known;
    if (this.#remembered.size >= MAX_REMEMBERED) this.#remembered.clear();
    const digest = this.digest(purpose, text);
    this.#remembered.set(name, digest);
    return digest;
  }

  /** The account is last, because it is the only part that may contain line breaks. */
  #text({ account, table, column, row }: Address): string {
    return `${table}\n${column}\n${row}\n${this.id}\n${account}`;
  }
}
