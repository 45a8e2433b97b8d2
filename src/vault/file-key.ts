/**
 * A key for one file, which is sealed in chunks, so that any part of it can be opened without the others, and none has to be
 * in memory as a whole.
 *
 * It is derived from a data key, and ends with it. The number of a chunk and the size of the file are authenticated with each
 * chunk: one that was moved, and a file that was cut, do not open.
 */
import { createHash } from 'node:crypto';
import { MIN_SEALED_BYTES, open, seal } from '../storage/sealing.js';

export const CHUNK_BYTES = 64 * 1024;
const SEALED_CHUNK_BYTES = CHUNK_BYTES + MIN_SEALED_BYTES;
/** Sealed in one turn of the event loop: takes about a millisecond, with its digest. */
const CHUNKS_A_TURN = 8;

export interface SealedFile {
  readonly bytes: Buffer;
  readonly sha256: string;
}

/** Where a chunk is in the sealed file. */
export interface ChunkPlace {
  readonly chunk: number;
  readonly offset: number;
  readonly length: number;
}

export class FileKey {
  readonly #bytes: Buffer;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  async seal(file: Uint8Array): Promise<SealedFile> {
    const hash = createHash('sha256');
    const sealed: Buffer[] = [];
    for (let begin = 0; begin < file.length; begin += CHUNK_BYTES) {
      if (sealed.length % CHUNKS_A_TURN === CHUNKS_A_TURN - 1) await new Promise(setImmediate);
      const part = file.subarray(begin, begin + CHUNK_BYTES);
      const chunk = seal(part, this.#bytes, addressOf(sealed.length, file.length));
      hash.update(chunk);
      sealed.push(chunk);
    }
    return { bytes: Buffer.concat(sealed), sha256: hash.digest('hex') };
  }

  /** Null if it is not that chunk of a file of this size, sealed with this key. */
  open(sealed: Uint8Array, chunk: number, sizeBytes: number): Buffer | null {
    return open(sealed, this.#bytes, addressOf(chunk, sizeBytes));
  }
}

/** The chunk that has this byte of a file. */
export function placeOf(at: number, sizeBytes: number): ChunkPlace {
  const chunk = Math.floor(at / CHUNK_BYTES);
  const length = Math.min(CHUNK_BYTES, sizeBytes - chunk * CHUNK_BYTES) + MIN_SEALED_BYTES;
  return { chunk, offset: chunk * SEALED_CHUNK_BYTES, length };
}

function addressOf(chunk: number, sizeBytes: number): string {
  return `chunk\n${chunk}\n${sizeBytes}`;
}
