/**
 * The master keys, with which data keys are wrapped: from the environment, from a command that asks a key management service,
 * from a file, or from `master.key` in the data folder, which is made if there is none.
 *
 * A file, and what a command prints, has one key a line, as base64 of 32 bytes. It has more than one during a rotation only.
 */
import { exec } from 'node:child_process';
import { createHmac, randomBytes, randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { type FileHandle, open, readFile, rename, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { StartupError } from '../errors.js';
import { syncFolder } from '../storage/blobs.js';
import { KEY_BYTES } from '../storage/sealing.js';

export interface MasterKey {
  /** A digest of the key, by which data keys name it. */
  readonly id: string;
  readonly bytes: Buffer;
}

export interface MasterKeySettings {
  /** Base64 of 32 bytes; null if it is not set. */
  readonly masterKey: string | null;
  readonly masterKeyFile: string | null;
  /** For the shell; null if it is not set. */
  readonly masterKeyCommand: string | null;
}

/** The key is `master.key` in the data folder. */
export const NO_SETTINGS: MasterKeySettings = { masterKey: null, masterKeyFile: null, masterKeyCommand: null };

const MAX_KEYS = 10;
const COMMAND_TIMEOUT_MS = 30_000;
const MAX_COMMAND_BYTES = 64 * 1024;
/** A command runs at most once in this time, however often a missing key is looked up. */
const COMMAND_INTERVAL_MS = 10_000;
const BASE64 = /^[A-Za-z0-9+/]{43}=$/;

/** Null if the text is not base64 of 32 bytes. */
function readMasterKey(text: string): MasterKey | null {
  const bytes = Buffer.from(text, 'base64');
  return BASE64.test(text) && bytes.length === KEY_BYTES ? masterKeyOf(bytes) : null;
}

export function newMasterKey(): MasterKey {
  return masterKeyOf(randomBytes(KEY_BYTES));
}

function masterKeyOf(bytes: Buffer): MasterKey {
  return { id: createHmac('sha256', bytes).update('modelgraph master key').digest('hex').slice(0, 16), bytes };
}

export class MasterKeys {
  readonly #fromEnvironment: MasterKey | null;
  /** Null if the keys come from elsewhere. */
  readonly command: string | null;
  #commandRanAt = Number.NEGATIVE_INFINITY;
  /** Null if the keys come from elsewhere. */
  readonly file: string | null;
  /** Whether the file is the one in the data folder. */
  readonly isInDataFolder: boolean;
  #keys: readonly MasterKey[] = [];

  constructor({ masterKey, masterKeyFile, masterKeyCommand }: MasterKeySettings, dataDir: string) {
    this.#fromEnvironment = masterKey === null ? null : readMasterKey(masterKey);
    this.command = masterKeyCommand;
    const isFile = masterKey === null && masterKeyCommand === null;
    this.file = isFile ? (masterKeyFile ?? path.join(dataDir, 'master.key')) : null;
    this.isInDataFolder = isFile && masterKeyFile === null;
  }

  /** In the order of the file: the first is the newest. */
  get all(): readonly MasterKey[] {
    return this.#keys;
  }

  find(id: string): MasterKey | undefined {
    return this.#keys.find((key) => key.id === id);
  }

  /** Where the keys come from, for messages. */
  get source(): string {
    return this.file ?? (this.command === null ? 'MASTER_KEY' : 'the output of MASTER_KEY_COMMAND');
  }

  /** Reads the keys, again if they may have changed. @throws StartupError if they cannot be read */
  async load(): Promise<void> {
    if (this.#fromEnvironment) this.#keys = [this.#fromEnvironment];
    else if (this.command !== null) await this.#loadByCommand(this.command);
    else if (this.file !== null) this.#keys = keysOf(this.file, await read(this.file));
  }

  async #loadByCommand(command: string): Promise<void> {
    const now = performance.now();
    if (now - this.#commandRanAt < COMMAND_INTERVAL_MS) return;
    this.#commandRanAt = now;
    this.#keys = keysOf(this.source, await outputOf(command));
  }

  /** Makes a key if it belongs in the data folder and is missing. Returns whether it did. */
  async makeMissing(): Promise<boolean> {
    if (!this.isInDataFolder || existsSync(this.file as string)) return false;
    await this.write([newMasterKey()]);
    return true;
  }

  /** Replaces the file by one with these keys, which only this user may read. It is on disk when this resolves. */
  async write(keys: readonly MasterKey[]): Promise<void> {
    const file = this.file as string;
    const aside = `${file}.${randomUUID()}`;
    try {
      const handle = await open(aside, 'wx', 0o600);
      try {
        await keepOwner(handle, file);
        await handle.writeFile(keys.map(({ bytes }) => `${bytes.toString('base64')}\n`).join(''));
        await handle.sync();
      } finally {
        await handle.close();
      }
      await rename(aside, file);
      await syncFolder(path.dirname(file));
    } catch (error) {
      await rm(aside, { force: true });
      throw new StartupError(`${file} could not be written: ${(error as Error).message}`);
    }
    this.#keys = keys;
  }
}

/** An administrator of the machine may replace a key that belongs to the user of the server. */
async function keepOwner(handle: FileHandle, file: string): Promise<void> {
  const before = process.getuid?.() === 0 ? await stat(file).catch(() => null) : null;
  if (!before) return;
  await handle.chown(before.uid, before.gid);
  await handle.chmod(before.mode & 0o777);
}

/** What the command prints is in no message. @throws StartupError */
async function outputOf(command: string): Promise<string> {
  const options = { timeout: COMMAND_TIMEOUT_MS, maxBuffer: MAX_COMMAND_BYTES };
  return promisify(exec)(command, options).then(
    ({ stdout }) => stdout,
    ({ code, signal, stderr }) => {
      const ended = signal
        ? `was ended by ${signal} (it may take ${COMMAND_TIMEOUT_MS / 1_000} s)`
        : `ended with ${code}`;
      const said = String(stderr ?? '')
        .trim()
        .slice(0, 500);
      throw new StartupError(`MASTER_KEY_COMMAND ${ended}${said && `: ${said}`}`);
    },
  );
}

async function read(file: string): Promise<string> {
  return readFile(file, 'utf8').catch((error: Error) => {
    throw new StartupError(
      `the master key could not be read: ${error.message}. keys.db cannot be used without it: put the key there, or set MASTER_KEY_FILE to its place`,
    );
  });
}

function keysOf(source: string, text: string): readonly MasterKey[] {
  const lines = text.split('\n').flatMap((line) => line.trim() || []);
  const keys = lines.map(readMasterKey);
  if (keys.length >= 1 && keys.length <= MAX_KEYS && keys.every((key) => key !== null)) return keys;
  const wrong = keys.indexOf(null);
  throw new StartupError(
    `${source} is no list of master keys${wrong < 0 ? '' : ` (line ${wrong + 1})`}: expected 1 to ${MAX_KEYS} lines, each base64 of 32 bytes, as made by: openssl rand -base64 32`,
  );
}
