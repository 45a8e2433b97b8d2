/** Values of columns of images: the file as base64, or the digest of the file. */
import { mediaTypeOf } from '../tasks/image-file.js';

const PREFIX = 'sha256:';
const DIGEST = /^sha256:([0-9a-f]{64})$/;
/** As many characters of base64 as the longest signature of an image needs. */
const SIGNATURE_CHARACTERS = 32;

/** Whether the base64 of an image begins like this. */
export function isImage(base64: string): boolean {
  return mediaTypeOf(Buffer.from(base64.slice(0, SIGNATURE_CHARACTERS), 'base64')) !== null;
}

/** Whether it is meant to name an image by its digest. */
export function isReference(value: string): boolean {
  return value.startsWith(PREFIX);
}

export function referenceTo(digest: string): string {
  return PREFIX + digest;
}

/** The digest of the image that a value names; null if it names none. */
export function digestIn(value: unknown): string | null {
  return typeof value === 'string' ? (DIGEST.exec(value)?.[1] ?? null) : null;
}
