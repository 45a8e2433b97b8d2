/**
 * Uploads: files that clients send in pieces to a signed URL, before they publish them. They belong to an account, are bounded
 * by it, and are removed when they expire.
 *
 * What other accounts have uploaded, or which blobs exist, makes no difference to what a client gets to see.
 */
import { randomBytes, randomUUID } from 'node:crypto';
import type { Logger } from 'pino';
import { isSameDigest } from '../access/api-key.js';
import type { Principal } from '../access/principal.js';
import { type InputProblem, InvalidInputError, NotFoundError, UploadLimitError } from '../errors.js';
import { fitsShare, Shares } from '../fair-share.js';
import { faultPoint } from '../fault-points.js'; // @fault
import { sha256 as sha256Of } from '../storage/blobs.js';
import type { CatalogDatabase } from '../storage/database.js';
import type { UploadTable } from '../storage/migrations/publishing.table.js';
import { checkNewUpload, type WantedUpload } from './new-upload.js';
import {
  deleteUploads,
  findCompleteUpload,
  findCompleteUploads,
  findExpiredUploads,
  findKnownUploads,
  findUploadOfUrl,
  findUploads,
  insertUpload,
  setUpload,
  sumUploads,
} from './upload.queries.js';
import { UploadFiles } from './upload-files.js';

const GIB = 1024 ** 3;
const OF_ACCOUNT = { count: 500, bytes: 32 * GIB };
const OF_ALL = { count: 10_000, bytes: 128 * GIB };
/** Uploads that are received at the same time: each holds a file and a chunk. */
const MAX_RECEIVING = 100;
/** Uploads whose digest is computed at the same time. */
const MAX_DIGESTS = 2;
/** How long an upload may take, and how long a complete one stays. */
const UPLOAD_LIFE_MS = 24 * 3_600_000;
const SWEEP_INTERVAL_MS = 600_000;
const SWEPT_A_STEP = 100;

export interface Upload extends UploadTable {
  readonly receivedBytes: number;
  /** The path and query of the URL; null if nothing more is to be sent, and later on: only a digest of its secret is kept. */
  readonly url: string | null;
}

/** Why bytes are not received. */
export type ReceiveRefusal =
  | { readonly kind: 'complete' }
  | { readonly kind: 'busy' }
  | { readonly kind: 'offset'; readonly receivedBytes: number };

interface Parts {
  readonly db: CatalogDatabase;
  readonly folder: string;
  readonly log: Logger;
  /** Whether the key that created an upload is still accepted. */
  readonly isKeyAccepted: (id: string) => boolean;
}

export class Uploads {
  readonly #parts: Parts;
  readonly #files: UploadFiles;
  /** Uploads that are being received, hashed or removed. */
  readonly #inUse = new Set<string>();
  readonly #receiving = new Shares();
  #digests = 0;
  #timer: NodeJS.Timeout | null = null;
  #sweeping: Promise<void> = Promise.resolve();

  constructor(parts: Parts) {
    this.#parts = parts;
    this.#files = new UploadFiles(parts.folder);
  }

  /** Removes what a crash has left, and what has expired, now and regularly. */
  async start(): Promise<void> {
    await this.#files.open();
    await this.#removeUnknown();
    await this.sweep(Date.now());
    this.#timer = setInterval(() => {
      this.#sweeping = this.sweep(Date.now()).catch((error) =>
        this.#parts.log.error({ err: error }, 'expired uploads could not be removed; this is tried again'),
      );
    }, SWEEP_INTERVAL_MS).unref();
  }

  async stop(): Promise<void> {
    if (this.#timer) clearInterval(this.#timer);
    await this.#sweeping;
  }

  /** @throws InvalidInputError, UploadLimitError, StorageFullError */
  async create(wanted: WantedUpload, principal: Principal): Promise<Upload> {
    checkNewUpload(wanted);
    const { fileName, sizeBytes: size_bytes, sha256 } = wanted;
    const token = randomBytes(32).toString('base64url');
    const now = Date.now();
    const created: UploadTable = {
      id: `upload_${randomUUID()}`,
      account: principal.id,
      key_id: principal.key?.id ?? null,
      token_sha256: sha256Of(token),
      file_name: fileName.toWellFormed(),
      size_bytes,
      sha256,
      completed_at: null,
      created_at: now,
      expires_at: now + UPLOAD_LIFE_MS,
    };
    const complete = await findCompleteUpload(this.#parts.db, principal, created, now);
    if (complete && (await this.#files.size(complete.id)) === size_bytes) {
      const { expires_at } = created;
      await setUpload(this.#parts.db, complete.id, { expires_at });
      return { ...complete, expires_at, receivedBytes: size_bytes, url: null };
    }
    await this.#parts.db.transaction().execute(async (trx) => {
      refuseBeyond(OF_ACCOUNT, await sumUploads(trx, principal.id), size_bytes);
      refuseBeyond(OF_ALL, await sumUploads(trx, null), size_bytes);
      await insertUpload(trx, created);
    });
    return { ...created, receivedBytes: 0, url: `/uploads/${created.id}?token=${token}` };
  }

  /** The upload that a URL names; null if the URL is wrong or has expired, or the key that created it has ended. */
  async ofUrl(
    id: string,
    token: string,
  ): Promise<{ readonly upload: UploadTable; readonly receivedBytes: number } | null> {
    const upload = await findUploadOfUrl(this.#parts.db, id);
    if (!upload || !isSameDigest(upload.token_sha256, sha256Of(token)) || upload.expires_at <= Date.now()) return null;
    if (upload.key_id !== null && !this.#parts.isKeyAccepted(upload.key_id)) return null;
    return { upload, receivedBytes: await this.#received(upload) };
  }

  async #received({ id, completed_at, size_bytes }: UploadTable): Promise<number> {
    return completed_at === null ? this.#files.size(id) : size_bytes;
  }

  /**
   * Receives bytes that follow the first `offset` ones; null: all bytes, in place of those that were received before. What has
   * arrived is on the disk when this returns or rejects.
   *
   * @throws StorageFullError, TooManyBytesError, what `chunks` throws
   */
  async receive(
    { id, account }: UploadTable,
    offset: number | null,
    chunks: AsyncIterable<Uint8Array>,
  ): Promise<ReceiveRefusal | null> {
    if (this.#inUse.has(id) || !fitsShare(1, this.#receiving.total, this.#receiving.of(account), MAX_RECEIVING))
      return { kind: 'busy' };
    this.#inUse.add(id);
    this.#receiving.add(account, 1);
    try {
      const upload = await findUploadOfUrl(this.#parts.db, id);
      if (!upload || upload.completed_at !== null) return { kind: 'complete' };
      const receivedBytes = await this.#files.size(id);
      if (offset !== null && offset !== receivedBytes) return { kind: 'offset', receivedBytes };
      await this.#files.append(id, offset ?? 0, upload.size_bytes, chunks);
      return null;
    } finally {
      this.#receiving.giveBack(account, 1);
      this.#inUse.delete(id);
    }
  }

  /**
   * Checks that all bytes have arrived and have the announced digest. If they have another one, they are dropped.
   *
   * @throws NotFoundError; InvalidInputError; UploadLimitError if it is being received or too many are being checked
   */
  async complete(id: string, principal: Principal): Promise<Upload> {
    const [found] = await findUploads(this.#parts.db, principal, [id]);
    if (!found || found.expires_at <= Date.now()) throw new NotFoundError(`The upload "${id.slice(0, 60)}"`);
    if (found.completed_at !== null) return { ...found, receivedBytes: found.size_bytes, url: null };
    if (this.#inUse.has(id)) throw new UploadLimitError('The upload is still being received or checked.');
    if (this.#digests >= MAX_DIGESTS) throw new UploadLimitError('Other uploads are being checked.');
    this.#inUse.add(id);
    this.#digests++;
    try {
      return await this.#complete(found);
    } finally {
      this.#digests--;
      this.#inUse.delete(id);
    }
  }

  async #complete(upload: UploadTable): Promise<Upload> {
    const { id, size_bytes, sha256 } = upload;
    const received = await this.#files.size(id);
    if (received !== size_bytes) throw new InvalidInputError([incomplete(size_bytes, received)]);
    const digest = await this.#files.digest(id);
    faultPoint('upload.hashed'); // @fault
    if (digest !== sha256) {
      await this.#files.remove(id);
      throw new InvalidInputError([otherDigest(sha256, digest)]);
    }
    if (size_bytes === 0) await this.#files.makeEmpty(id);
    const now = Date.now();
    const values = { completed_at: now, expires_at: now + UPLOAD_LIFE_MS };
    await setUpload(this.#parts.db, id, values);
    return { ...upload, ...values, receivedBytes: size_bytes, url: null };
  }

  /** The file of a complete upload of the principal's account; null if there is none. */
  async findComplete(
    id: string,
    principal: Principal,
  ): Promise<{ readonly path: string; readonly sizeBytes: number } | null> {
    const [found] = await findUploads(this.#parts.db, principal, [id]);
    if (!found || found.completed_at === null || found.expires_at <= Date.now()) return null;
    return { path: this.#files.pathOf(id), sizeBytes: found.size_bytes };
  }

  /** All complete uploads of the principal's account: at most as many as one may have. */
  async findAllComplete(principal: Principal): Promise<{ readonly sha256: string; readonly path: string }[]> {
    const found = await findCompleteUploads(this.#parts.db, principal, Date.now());
    return found.map(({ id, sha256 }) => ({ sha256, path: this.#files.pathOf(id) }));
  }

  /** The file of a complete upload. */
  pathOf(id: string): string {
    return this.#files.pathOf(id);
  }

  async sweep(now: number): Promise<void> {
    for (;;) {
      const expired = await findExpiredUploads(this.#parts.db, now, SWEPT_A_STEP);
      const free = expired.filter((id) => !this.#inUse.has(id));
      if (free.length === 0) return;
      for (const id of free) this.#inUse.add(id);
      try {
        await deleteUploads(this.#parts.db, free);
        for (const id of free) await this.#files.remove(id);
      } finally {
        for (const id of free) this.#inUse.delete(id);
      }
    }
  }

  /** Removes files without a row. */
  async #removeUnknown(): Promise<void> {
    const ids = await this.#files.list();
    for (let at = 0; at < ids.length; at += SWEPT_A_STEP) {
      const step = ids.slice(at, at + SWEPT_A_STEP);
      const known = await findKnownUploads(this.#parts.db, step);
      for (const id of step) if (!known.has(id)) await this.#files.remove(id);
    }
  }
}

function refuseBeyond(
  limit: { count: number; bytes: number },
  sum: { count: number; bytes: number },
  more: number,
): void {
  if (sum.count + 1 > limit.count || sum.bytes + more > limit.bytes)
    throw new UploadLimitError(
      limit === OF_ACCOUNT
        ? `Uploads of your account have ${sum.bytes} bytes in ${sum.count} files; at most ${limit.bytes} in ${limit.count} are kept.`
        : 'The server keeps as many uploads as it can.',
    );
}

function incomplete(expected: number, received: number): InputProblem {
  return {
    path: ['id'],
    code: 'MISSING',
    message: 'not all bytes have arrived: continue at the offset that HEAD of the URL returns',
    expected: `${expected} bytes`,
    received: `${received} bytes`,
  };
}

function otherDigest(expected: string, received: string): InputProblem {
  return {
    path: ['id'],
    code: 'UNREADABLE',
    message: 'the bytes have another SHA-256 and were dropped: send them again',
    expected,
    received,
  };
}
