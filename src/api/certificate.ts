/**
 * The certificate of the server: read from files, checked, and read again when they change, so that a renewal needs no
 * restart. Open connections keep the one with which they began.
 */
import { constants, createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import { createSecureContext, type SecureContextOptions, type Server } from 'node:tls';
import type { Logger } from 'pino';
import type { Config } from '../config.js';
import { StartupError } from '../errors.js';

/** How often the files are looked at. */
const POLL_MS = 5_000;
/** Of a file. Chains have a few kilobytes. */
const MAX_FILE_BYTES = 1024 * 1024;

/** With forward secrecy and authenticated encryption only: of Mozilla's intermediate configuration. */
const CIPHERS = [
  'TLS_AES_128_GCM_SHA256',
  'TLS_AES_256_GCM_SHA384',
  'TLS_CHACHA20_POLY1305_SHA256',
  'ECDHE-ECDSA-AES128-GCM-SHA256',
  'ECDHE-RSA-AES128-GCM-SHA256',
  'ECDHE-ECDSA-AES256-GCM-SHA384',
  'ECDHE-RSA-AES256-GCM-SHA384',
  'ECDHE-ECDSA-CHACHA20-POLY1305',
  'ECDHE-RSA-CHACHA20-POLY1305',
].join(':');

interface Files {
  readonly cert: string;
  readonly key: string;
}

export class Certificate {
  readonly #files: Files;
  readonly #pollMs: number;
  /** The state of the files that are used. */
  #seen: string;
  /** Why another one cannot be used; empty if there is none. */
  #problem = '';
  #options: SecureContextOptions;
  #timer: NodeJS.Timeout | null = null;

  private constructor(files: Files, seen: string, options: SecureContextOptions, pollMs: number) {
    this.#files = files;
    this.#seen = seen;
    this.#options = options;
    this.#pollMs = pollMs;
  }

  /** Null if the server has none. @throws StartupError that says which file cannot be used, and why */
  static async open(
    { tlsCertFile: cert, tlsKeyFile: key }: Pick<Config, 'tlsCertFile' | 'tlsKeyFile'>,
    pollMs = POLL_MS,
  ): Promise<Certificate | null> {
    if (cert === null || key === null) return null;
    const files = { cert, key };
    const seen = await stateOf(files);
    return new Certificate(files, seen, await readOptions(files), pollMs);
  }

  get options(): SecureContextOptions {
    return this.#options;
  }

  /** Has the server use what the files contain, until `stop`. */
  follow(server: Pick<Server, 'setSecureContext'>, log: Pick<Logger, 'info' | 'warn'>): void {
    this.#timer = setTimeout(async () => {
      try {
        const state = await stateOf(this.#files);
        if (state !== this.#seen) {
          this.#options = await readOptions(this.#files);
          server.setSecureContext(this.#options);
          this.#seen = state;
          this.#problem = '';
          log.info({ file: this.#files.cert }, 'the certificate was replaced');
        }
      } catch (error) {
        // It is tried again: the other file may be written a moment later, and the time come from which it is valid.
        const reason = (error as Error).message;
        if (reason !== this.#problem)
          log.warn({ reason }, 'the certificate stays, because the new one cannot be used; it is tried again');
        this.#problem = reason;
      }
      if (this.#timer) this.follow(server, log);
    }, this.#pollMs).unref();
  }

  stop(): void {
    if (this.#timer) clearTimeout(this.#timer);
    this.#timer = null;
  }
}

/** Differs from before if a file was written, replaced, or made readable. */
async function stateOf({ cert, key }: Files): Promise<string> {
  const states = await Promise.all(
    [cert, key].map((file) =>
      stat(file).then(
        ({ mtimeMs, ctimeMs, size, ino }) => [mtimeMs, ctimeMs, size, ino],
        (error: NodeJS.ErrnoException) => error.code,
      ),
    ),
  );
  return JSON.stringify(states);
}

/** @throws StartupError */
async function readOptions(files: Files): Promise<SecureContextOptions> {
  const [cert, key] = await Promise.all([readPem('TLS_CERT_FILE', files.cert), readPem('TLS_KEY_FILE', files.key)]);
  const options = {
    cert,
    key,
    minVersion: 'TLSv1.2',
    ciphers: CIPHERS,
    secureOptions: constants.SSL_OP_NO_RENEGOTIATION,
  } as const;
  check(files, options);
  return options;
}

async function readPem(variable: string, file: string): Promise<string> {
  try {
    const found = await stat(file);
    if (!found.isFile()) throw new Error('it is not a file');
    if (found.size > MAX_FILE_BYTES) throw new Error(`it has ${found.size} bytes; at most ${MAX_FILE_BYTES} are read`);
    return await readFile(file, 'utf8');
  } catch (error) {
    throw new StartupError(`${variable}=${file}: it cannot be read: ${(error as Error).message}`);
  }
}

/** @throws StartupError */
function check(files: Files, options: SecureContextOptions & { readonly cert: string; readonly key: string }): void {
  const [ofCert, ofKey] = [`TLS_CERT_FILE=${files.cert}`, `TLS_KEY_FILE=${files.key}`];
  const certificate = certificateIn(options.cert);
  if (!certificate) throw new StartupError(`${ofCert}: expected a certificate in PEM format, with its chain after it`);
  const key = keyIn(options.key);
  if (typeof key === 'string') throw new StartupError(`${ofKey}: ${key}`);
  if (!certificate.checkPrivateKey(key))
    throw new StartupError(`${ofCert}: the certificate is not for the key of ${ofKey}; both must be of the same pair`);
  const { validFromDate, validToDate } = certificate;
  if (validToDate.getTime() <= Date.now())
    throw new StartupError(`${ofCert}: the certificate has expired on ${validToDate.toISOString()}; renew it`);
  if (validFromDate.getTime() > Date.now())
    throw new StartupError(`${ofCert}: the certificate is not valid before ${validFromDate.toISOString()}`);
  try {
    createSecureContext(options);
  } catch (error) {
    throw new StartupError(`${ofCert}: the certificate cannot be used: ${(error as Error).message}`);
  }
}

/** The first one, which is that of the server. */
function certificateIn(pem: string): X509Certificate | null {
  try {
    return new X509Certificate(pem);
  } catch {
    return null;
  }
}

/** Why there is none, as a text. */
function keyIn(pem: string): KeyObject | string {
  try {
    return createPrivateKey(pem);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ERR_MISSING_PASSPHRASE' || pem.includes('ENCRYPTED')
      ? 'the key is encrypted; write it without a passphrase, readable by the server only'
      : 'expected a private key in PEM format';
  }
}
