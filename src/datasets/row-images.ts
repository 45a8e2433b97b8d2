/**
 * Images in the rows of a dataset. Small ones are stored in their row, as base64; others once, whatever number of rows have them,
 * as files that rows name by digest. The same image is stored the same way, however it was sent.
 */
import { hash } from 'node:crypto';
import { lstatSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { factsOfImage, type ImageFacts } from '../tasks/image-file.js';
import { MAX_BYTES_OF_IMAGES, MAX_IMAGE_BYTES, MAX_IMAGES, MAX_INLINE_BYTES } from './dataset-limits.js';
import { digestIn, isImage, isReference, referenceTo } from './image-value.js';
import type { ValueProblem } from './row-problem.js';

export interface StoredImage extends ImageFacts {
  readonly sha256: string;
  readonly sizeBytes: number;
}

/** Where images are that rows name by digest. */
export interface ImagePlaces {
  /** Folder of files with any names; null if there is none. */
  readonly folder: string | null;
  readonly files: readonly ImageFile[];
}

export interface ImageFile {
  readonly sha256: string;
  readonly path: string;
}

type Read = { readonly value: string } | { readonly problem: ValueProblem };

const BASE64 = /^[A-Za-z0-9+/]+={0,2}$/;
const DATA_URL = /^data:[a-z/+.-]{0,40};base64,/;
const EXPECTED_FILE = 'a JPEG, PNG or WebP file';

export class RowImages {
  readonly #places: ImagePlaces;
  readonly #onBytes: (bytes: Uint8Array) => void;
  readonly #stored = new Map<string, StoredImage>();
  #storedBytes = 0;
  /** Paths by digest; null until a row names the first image. */
  #files: ReadonlyMap<string, string> | null = null;

  /** `onBytes`: called with each image that is stored as a file, in the order of `stored`. */
  constructor(places: ImagePlaces, onBytes: (bytes: Uint8Array) => void) {
    this.#places = places;
    this.#onBytes = onBytes;
  }

  get stored(): StoredImage[] {
    return [...this.#stored.values()];
  }

  get storedBytes(): number {
    return this.#storedBytes;
  }

  /** What is stored in the row; null if the text is no image. */
  read(text: string): Read | null {
    if (isReference(text)) return this.#named(text);
    const base64 = text.replace(DATA_URL, '');
    if (!isImage(base64) || base64.length % 4 !== 0 || !BASE64.test(base64)) return null;
    const bytes = Buffer.from(base64, 'base64');
    return bytes.length <= MAX_INLINE_BYTES ? { value: base64 } : this.#kept(bytes, hash('sha256', bytes));
  }

  #named(text: string): Read | null {
    const digest = digestIn(text);
    if (digest === null) return null;
    if (this.#stored.has(digest)) return { value: text };
    this.#files ??= filesIn(this.#places);
    const file = this.#files.get(digest);
    const bytes = file === undefined ? null : bytesOf(file);
    if (bytes && hash('sha256', bytes) === digest)
      return bytes.length <= MAX_INLINE_BYTES && factsOfImage(bytes)
        ? { value: bytes.toString('base64') }
        : this.#kept(bytes, digest);
    const where = this.#places.folder === null ? 'among your complete uploads' : 'in the folder images/';
    return problem('UNKNOWN_NAME', `there is no such image ${where}`, 'the digest of an image that is there', text);
  }

  #kept(bytes: Uint8Array, sha256: string): Read {
    if (this.#stored.has(sha256)) return { value: referenceTo(sha256) };
    const size = `${bytes.length} bytes`;
    if (bytes.length > MAX_IMAGE_BYTES)
      return problem('TOO_LARGE', 'the image is too large', `at most ${MAX_IMAGE_BYTES} bytes`, size);
    const facts = factsOfImage(bytes);
    if (!facts) return problem('UNREADABLE', 'the size of the image cannot be read', EXPECTED_FILE, size);
    if (this.#stored.size >= MAX_IMAGES || this.#storedBytes + bytes.length > MAX_BYTES_OF_IMAGES) {
      const most = `at most ${MAX_IMAGES} of ${MAX_BYTES_OF_IMAGES} bytes together`;
      return problem('TOO_LARGE', 'there are too many images', most, `${this.#stored.size + 1}`);
    }
    this.#stored.set(sha256, { sha256, sizeBytes: bytes.length, ...facts });
    this.#storedBytes += bytes.length;
    this.#onBytes(bytes);
    return { value: referenceTo(sha256) };
  }
}

function problem(code: ValueProblem['code'], message: string, expected: string, received: string): Read {
  return { problem: { code, message, expected, received } };
}

/** Files that links lead to may be outside of the folder, and are left out. */
function filesIn({ folder, files }: ImagePlaces): Map<string, string> {
  const found = new Map(files.map((file) => [file.sha256, file.path]));
  for (const name of folder === null ? [] : namesIn(folder)) {
    const file = path.join(folder as string, name);
    const bytes = bytesOf(file);
    if (bytes) found.set(hash('sha256', bytes), file);
  }
  return found;
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder).sort().slice(0, MAX_IMAGES);
  } catch {
    return [];
  }
}

/** Null if it is no file that can be read, or is larger than an image may be. */
function bytesOf(file: string): Buffer | null {
  try {
    const found = lstatSync(file);
    return found.isFile() && found.size <= MAX_IMAGE_BYTES ? readFileSync(file) : null;
  } catch {
    return null;
  }
}
