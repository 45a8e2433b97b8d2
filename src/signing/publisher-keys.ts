/**
 * The public keys of publishers whose signatures are accepted, and whether versions need one.
 *
 * Says who has signed a folder: nothing is trusted without a key, and nothing that a key has signed may differ.
 */
import { createHash, createPublicKey, type KeyObject, verify } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import { promisify } from 'node:util';
import { type InputProblem, SignatureError, StartupError } from '../errors.js';
import { readBundle, signedBytes } from './bundle.js';
import { SIGNATURE_FILE, signatureError } from './signature-file.js';
import { readStatement, type SignedFiles } from './statement.js';

/** A signed file takes about 200 bytes. */
const MAX_SIGNATURE_BYTES = 512 * 1024;
const MAX_KEYS_BYTES = 64 * 1024;
/** A signature that does not say by whom it is made is tried with all of them. */
const MAX_KEYS = 20;
const MAX_PROBLEMS = 20;
const MAX_NAMED_KEYS = 3;

/** Outside of the event loop: a signature that all keys are tried with takes a tenth of a second. */
const verifyInPool = promisify(verify);

/** The digest that belongs to a curve. */
const DIGESTS: Readonly<Record<string, string>> = { prime256v1: 'sha256', secp384r1: 'sha384', secp521r1: 'sha512' };

/** The files of a version, or of a model with its versions. */
export interface SignedFolder {
  /** Relative to the folder, with `/`. */
  readonly paths: ReadonlySet<string>;
  /** Where the bytes of `model.sig` are; null if it is not among the paths. */
  readonly signatureFile: string | null;
  /** SHA-256 of a file, in hexadecimal; null if there is none with this path. */
  readonly digestOf: (path: string) => Promise<string | null> | string | null;
}

export interface SigningSettings {
  readonly publisherKeysFile: string | null;
  readonly requireSignature: boolean;
}

export class PublisherKeys {
  /** By fingerprint. */
  readonly #keys: ReadonlyMap<string, KeyObject>;
  readonly #isRequired: boolean;

  private constructor(keys: ReadonlyMap<string, KeyObject>, isRequired: boolean) {
    this.#keys = keys;
    this.#isRequired = isRequired;
  }

  /** @throws StartupError that says which key cannot be used, and why */
  static async open({ publisherKeysFile: file, requireSignature }: SigningSettings): Promise<PublisherKeys> {
    if (file === null) return new PublisherKeys(new Map(), requireSignature);
    try {
      return new PublisherKeys(parseKeys(await readFile(file, 'utf8')), requireSignature);
    } catch (error) {
      throw new StartupError(`PUBLISHER_KEYS_FILE=${file}: ${(error as Error).message}`);
    }
  }

  /** Without keys, nothing is verified. */
  get hasAny(): boolean {
    return this.#keys.size > 0;
  }

  /**
   * The fingerprint of the key that has signed all files of the folder, and no others; null if no signature is needed and
   * there is none, or no key to verify it.
   *
   * @throws SignatureError
   */
  async signerOf(folder: SignedFolder): Promise<string | null> {
    if (folder.signatureFile === null) {
      this.refuseUnknown(null);
      return null;
    }
    if (!this.hasAny) return null;
    const { signedBy, files } = await this.#verified(await readSignature(folder.signatureFile));
    const problems = await differences(files, folder);
    if (problems.length > 0) throw new SignatureError(problems);
    return signedBy;
  }

  /** `signedBy`: as `signerOf` has returned it, perhaps when other keys were accepted. @throws SignatureError */
  refuseUnknown(signedBy: string | null): void {
    if (signedBy === null ? !this.#isRequired : this.#keys.has(signedBy)) return;
    throw signedBy === null
      ? signatureError('MISSING', 'this server accepts signed versions only', this.#expected(), null)
      : signatureError('WRONG_KIND', 'its key is not accepted', this.#expected(), signedBy);
  }

  async #verified(bytes: Uint8Array): Promise<{ signedBy: string; files: SignedFiles }> {
    const { hint, payload, signature } = readBundle(bytes);
    if (hint !== null) this.refuseUnknown(hint);
    const signed = signedBytes(payload);
    for (const [fingerprint, key] of this.#keys) {
      if (hint !== null && hint !== fingerprint) continue;
      if (await verifyInPool(digestFor(key), signed, key, signature))
        return { signedBy: fingerprint, files: readStatement(payload) };
    }
    const message = hint === null ? 'no accepted key has made this signature' : 'its key has not made this signature';
    throw signatureError('UNREADABLE', message, this.#expected(), hint);
  }

  #expected(): string {
    const named = [...this.#keys.keys()].slice(0, MAX_NAMED_KEYS);
    const more = this.#keys.size > named.length ? ', …' : '';
    return `a signature of OpenSSF Model Signing by the key with the SHA-256 ${named.join(' or ')}${more}`;
  }
}

// ── keys ──

const BLOCK = /-----BEGIN ([A-Z0-9 ]+)-----[\s\S]*?-----END \1-----/g;

/** @throws Error */
function parseKeys(text: string): Map<string, KeyObject> {
  if (text.length > MAX_KEYS_BYTES) throw new Error(`it has more than ${MAX_KEYS_BYTES} bytes`);
  const keys = new Map<string, KeyObject>();
  for (const [block, kind] of text.matchAll(BLOCK)) {
    if (kind !== 'PUBLIC KEY')
      throw new Error(`it has a block ${kind}; expected PUBLIC KEY, as made by: openssl pkey -in key.pem -pubout`);
    const key = readKey(block);
    if (!key || !digestFor(key))
      throw new Error(`key ${keys.size + 1} is not supported; expected one of the curve P-256, P-384 or P-521`);
    keys.set(fingerprintOf(key), key);
  }
  if (keys.size === 0 || keys.size > MAX_KEYS)
    throw new Error(`it has ${keys.size} blocks PUBLIC KEY; expected 1 to ${MAX_KEYS}`);
  return keys;
}

function readKey(block: string): KeyObject | null {
  try {
    return createPublicKey(block);
  } catch {
    return null;
  }
}

function digestFor({ asymmetricKeyType, asymmetricKeyDetails }: KeyObject): string | undefined {
  return asymmetricKeyType === 'ec' ? DIGESTS[asymmetricKeyDetails?.namedCurve ?? ''] : undefined;
}

/** As in the `hint` of a bundle, and by `sha256sum` of a file that OpenSSL has written. */
function fingerprintOf(key: KeyObject): string {
  return createHash('sha256')
    .update(key.export({ type: 'spki', format: 'pem' }))
    .digest('hex');
}

// ── files ──

/** @throws SignatureError */
async function readSignature(file: string): Promise<Uint8Array> {
  // Opening a pipe could wait forever.
  const found = await stat(file).catch(() => null);
  if (!found?.isFile()) throw signatureError('UNREADABLE', 'it cannot be read', 'a regular file', null);
  if (found.size > MAX_SIGNATURE_BYTES)
    throw signatureError('TOO_LARGE', 'it is too large', `at most ${MAX_SIGNATURE_BYTES} bytes`, `${found.size} bytes`);
  return readFile(file);
}

/** Between what is signed and what is there, at `[path of the file]`. */
async function differences(signed: SignedFiles, { paths, digestOf }: SignedFolder): Promise<InputProblem[]> {
  const problems: InputProblem[] = [];
  const add = (path: string, code: InputProblem['code'], message: string, expected: string, received: string | null) =>
    problems.push({ path: [path], code, message, expected, received });
  for (const path of paths)
    if (path !== SIGNATURE_FILE && !signed.has(path))
      add(path, 'WRONG_KIND', `${SIGNATURE_FILE} does not cover this file`, 'signed files only', path);
  for (const [path, expected] of signed) {
    if (problems.length >= MAX_PROBLEMS) break;
    const received = await digestOf(path);
    if (received === null) add(path, 'MISSING', 'this file is signed, but missing', `the file ${path}`, null);
    else if (received !== expected)
      add(path, 'UNREADABLE', 'this file is not the one that was signed: its SHA-256 differs', expected, received);
  }
  return problems.slice(0, MAX_PROBLEMS);
}
