/**
 * Texts that leave the server sealed, and come back: for what a URL has to say, and logs must not tell. Nothing is stored; each
 * text has a key of its own, which is derived from a key of the server.
 */
import { randomBytes } from 'node:crypto';
import { MIN_SEALED_BYTES } from '../storage/sealing.js';
import type { DataKeys } from './data-keys.js';
import { CHUNK_BYTES, type FileKey } from './file-key.js';

const NAME_BYTES = 16;

export class SealedTexts {
  readonly #keys: Pick<DataKeys, 'index'>;
  readonly #account: string;
  readonly #purpose: string;

  /** `account`: whose key it is. Texts that were sealed for one purpose cannot be used for another one. */
  constructor(keys: Pick<DataKeys, 'index'>, { account, purpose }: { account: string; purpose: string }) {
    this.#keys = keys;
    this.#account = account;
    this.#purpose = purpose;
  }

  /** In base64url. @throws RangeError if it has more than 64 KiB */
  async seal(text: string): Promise<string> {
    const bytes = Buffer.from(text);
    if (bytes.length > CHUNK_BYTES) throw new RangeError(`a text of ${bytes.length} bytes is sealed. This is a bug.`);
    const name = randomBytes(NAME_BYTES);
    const sealed = await (await this.#keyOf(name)).seal(bytes);
    return Buffer.concat([name, sealed.bytes]).toString('base64url');
  }

  /** Null if it was not sealed here. */
  async open(sealed: string): Promise<string | null> {
    const bytes = Buffer.from(sealed, 'base64url');
    const sizeBytes = bytes.length - NAME_BYTES - MIN_SEALED_BYTES;
    if (sizeBytes <= 0 || sizeBytes > CHUNK_BYTES) return null;
    const key = await this.#keyOf(bytes.subarray(0, NAME_BYTES));
    return key.open(bytes.subarray(NAME_BYTES), 0, sizeBytes)?.toString('utf8') ?? null;
  }

  async #keyOf(name: Buffer): Promise<FileKey> {
    const key = await this.#keys.index(this.#account);
    return key.ofFile({
      account: this.#account,
      table: 'sealed text',
      column: this.#purpose,
      row: name.toString('hex'),
    });
  }
}
