/** Divides rows, each a line of JSON, into pieces of a fixed size: the same rows always make the same pieces. */
import { createHash, hash } from 'node:crypto';
import { PIECE_BYTES, PIECE_ROWS } from './dataset-limits.js';

export interface Piece {
  readonly firstRow: number;
  /** Where the line of each row ends, in bytes from the beginning of the piece. */
  readonly ends: readonly number[];
  readonly sha256: string;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

export class RowPieces {
  readonly #onPiece: (piece: Piece) => void;
  readonly #all = createHash('sha256');
  #firstRow = 1;
  #lines: string[] = [];
  #ends: number[] = [];
  #totalBytes = 0;

  constructor(onPiece: (piece: Piece) => void) {
    this.#onPiece = onPiece;
  }

  get rowCount(): number {
    return this.#firstRow - 1 + this.#lines.length;
  }

  get totalBytes(): number {
    return this.#totalBytes;
  }

  /** Of all lines, when there are no more. */
  sha256(): string {
    return this.#all.digest('hex');
  }

  /** `line`: without a line break at its end. */
  add(line: string): void {
    const before = this.#ends.at(-1) ?? 0;
    const bytes = Buffer.byteLength(line) + 1;
    if (this.#lines.length === PIECE_ROWS || (before > 0 && before + bytes > PIECE_BYTES)) this.flush();
    this.#lines.push(line);
    this.#ends.push((this.#ends.at(-1) ?? 0) + bytes);
    this.#totalBytes += bytes;
  }

  flush(): void {
    if (this.#lines.length === 0) return;
    const bytes = new TextEncoder().encode(`${this.#lines.join('\n')}\n`);
    this.#all.update(bytes);
    const piece = { firstRow: this.#firstRow, ends: this.#ends, sha256: hash('sha256', bytes), bytes };
    this.#firstRow += this.#lines.length;
    this.#lines = [];
    this.#ends = [];
    this.#onPiece(piece);
  }
}
