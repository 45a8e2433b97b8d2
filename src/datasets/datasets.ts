/** Datasets that accounts register, beside those of the model store. Names are unique on the server. */
import { createHash } from 'node:crypto';
import { stat } from 'node:fs/promises';
import path from 'node:path';
import { appendAudit } from '../access/audit.queries.js';
import type { Principal } from '../access/principal.js';
import { checkReason } from '../access/reason.js';
import { folderInStore, takenName } from '../catalog/name-problems.js';
import { ForbiddenError, type InputProblem, InvalidInputError, NotFoundError, UploadLimitError } from '../errors.js';
import type { CatalogDatabase } from '../storage/database.js';
import { replaceImages } from './dataset-images.queries.js';
import { MAX_DATASET_BYTES } from './dataset-limits.js';
import type { DatasetReader, RowsToStore } from './dataset-reader.js';
import {
  deleteDataset,
  findDataset,
  insertDataset,
  isTaken,
  replacePieces,
  sumDatasets,
} from './dataset-rows.queries.js';
import { checkNewDataset, describedAs, fieldsOf, type WantedDataset } from './new-dataset.js';
import type { ReadRows, WantedRows } from './read-rows.js';
import type { ImageFile } from './row-images.js';
import { type RowProblem, sentenceOf } from './row-problem.js';
import type { DatasetSource } from './row-source.js';

const GIB = 1024 ** 3;
const OF_ACCOUNT = { count: 1_000, bytes: 16 * GIB };
const OF_ALL = { count: 10_000, bytes: 64 * GIB };
/** Threads that read at the same time: one for an account. */
const MAX_READING = 2;

interface Parts {
  readonly db: CatalogDatabase;
  readonly reader: DatasetReader;
  readonly uploads: {
    /** A complete upload of the account; null if there is none. */
    findComplete(
      id: string,
      principal: Principal,
    ): Promise<{ readonly path: string; readonly sizeBytes: number } | null>;
    /** All complete uploads of the account. */
    findAllComplete(principal: Principal): Promise<ImageFile[]>;
  };
  /** Folder of the model store. */
  readonly modelStore: string;
}

export class Datasets {
  readonly #parts: Parts;
  /** The accounts whose datasets are being read. */
  readonly #reading = new Set<string>();

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  /**
   * Reads and stores a dataset, and returns its id.
   *
   * @throws InvalidInputError with the rows that are wrong, ForbiddenError, UploadLimitError, StorageFullError, ShuttingDownError
   */
  async register(wanted: WantedDataset, principal: Principal): Promise<string> {
    checkNewDataset(wanted);
    const reason = checkReason(wanted.reason, ['input', 'reason']);
    refuseBoundKey(principal, 'Registering');
    await this.#parts.db.transaction().execute((trx) => checkRoom(trx, wanted.name, principal.id, 0));
    const source = await this.#sourceOf(wanted, principal);
    if (this.#reading.has(principal.id)) throw new UploadLimitError('Another dataset of your account is being read.');
    if (this.#reading.size >= MAX_READING) throw new UploadLimitError('Other datasets are being read.');
    this.#reading.add(principal.id);
    try {
      const files = await this.#parts.uploads.findAllComplete(principal);
      return await this.#parts.reader.read(
        rowsOf(wanted, { source, images: { folder: null, files } }),
        async (read) => {
          if ('problems' in read) throw new InvalidInputError(read.problems.map((one) => problemOf(one, wanted)));
          return this.#save(wanted, read.rows, { principal, reason });
        },
      );
    } finally {
      this.#reading.delete(principal.id);
    }
  }

  async #save(
    wanted: WantedDataset,
    rows: RowsToStore,
    { principal, reason }: { readonly principal: Principal; readonly reason: string | null },
  ): Promise<string> {
    const { db } = this.#parts;
    const checkAll = (trx: Parameters<typeof checkRoom>[0]) => checkRoom(trx, wanted.name, principal.id, rows.bytes);
    await db.transaction().execute(checkAll);
    await rows.store();
    return db.transaction().execute(async (trx) => {
      await checkAll(trx);
      const described = describedAs(wanted, principal.id);
      const id = await insertDataset(trx, { ...described, ...columnsOfRows(rows, rowsOf(wanted)) }, Date.now());
      await replacePieces(trx, id, rows.pieces);
      await replaceImages(trx, id, rows.images);
      const after = { ...described, sha256: rows.sha256, rowCount: rows.rowCount };
      await appendAudit(trx, principal, {
        action: 'registerDataset',
        target: wanted.name,
        reason,
        before: null,
        after,
      });
      return id;
    });
  }

  async #sourceOf({ data: { format, content, upload } }: WantedDataset, principal: Principal): Promise<DatasetSource> {
    if (content != null && format !== 'PARQUET') return { kind: 'text', text: content, format };
    const found = await this.#parts.uploads.findComplete(upload ?? '', principal);
    const at = { path: ['input', 'data', 'upload'] };
    if (!found)
      throw new InvalidInputError([
        {
          ...at,
          code: 'UNKNOWN_NAME',
          message: 'there is no such upload, or it is not complete',
          expected: 'the id of a complete upload of your account',
          received: upload ?? null,
        },
      ]);
    if (found.sizeBytes > MAX_DATASET_BYTES)
      throw new InvalidInputError([
        {
          ...at,
          code: 'TOO_LARGE',
          message: 'the file is too large',
          expected: `at most ${MAX_DATASET_BYTES} bytes`,
          received: `${found.sizeBytes} bytes`,
        },
      ]);
    return { kind: 'file', path: found.path, format, isGzipped: false };
  }

  /**
   * Deletes a dataset that the caller may see, with its evaluations. Its rows are removed from the disk within two days.
   *
   * @throws InvalidInputError for a dataset whose folder is in the model store, NotFoundError, ForbiddenError, StorageFullError
   */
  async delete(id: string, wanted: { dataset: string; reason?: string | null }, principal: Principal): Promise<void> {
    const reason = checkReason(wanted.reason, ['input', 'reason']);
    refuseBoundKey(principal, 'Deleting');
    await this.#parts.db.transaction().execute(async (trx) => {
      const found = await findDataset(trx, id);
      if (!found) throw new NotFoundError(`The dataset "${wanted.dataset.slice(0, 80)}"`);
      const { name, title, task, account, visibility, sha256 } = found;
      if (account !== principal.id && !principal.roles.includes('admin'))
        throw new ForbiddenError(`Deleting "${name}"`, 'the account that owns the dataset');
      const folder = path.join(this.#parts.modelStore, 'datasets', name);
      if (found.origin === 'store' && (await stat(folder).catch(() => null)))
        throw new InvalidInputError([folderInStore('dataset', name)]);
      await deleteDataset(trx, id);
      const before = { id, title, task, account, visibility, sha256 };
      await appendAudit(trx, principal, { action: 'deleteDataset', target: name, reason, before, after: null });
    });
  }
}

/** A key that is bound to models does nothing else. @throws ForbiddenError */
function refuseBoundKey({ key }: Principal, action: string): void {
  if (key?.models) throw new ForbiddenError(`${action} datasets`, 'keys that are not bound to models');
}

/** @throws InvalidInputError if the name is taken, UploadLimitError */
async function checkRoom(
  trx: Parameters<typeof isTaken>[0],
  name: string,
  account: string,
  bytes: number,
): Promise<void> {
  if (await isTaken(trx, name)) throw new InvalidInputError([takenName('dataset', name)]);
  for (const [limit, sum, whose] of [
    [OF_ACCOUNT, await sumDatasets(trx, account), 'your account has'],
    [OF_ALL, await sumDatasets(trx, null), 'the server has'],
  ] as const)
    if (sum.count >= limit.count || sum.bytes + bytes > limit.bytes)
      throw new UploadLimitError(
        `There is no room for the dataset: ${whose} ${sum.count} datasets of ${sum.bytes} bytes, and may have ${limit.count} of ${limit.bytes}.`,
      );
}

function rowsOf<From extends Pick<WantedRows, 'source' | 'images'> | undefined>(
  { task, target, columns, allowDuplicates }: WantedDataset,
  from?: From,
) {
  const stated = columns?.length ? columns.map(fieldsOf) : null;
  const strict = { isStrict: true, allowsDuplicates: allowDuplicates };
  return { ...(from as From), task, target: target ?? null, columns: stated, ...strict };
}

/** What a row of the table `dataset` says of its rows. */
export function columnsOfRows(rows: ReadRows, wanted: Omit<WantedRows, 'source' | 'images'>) {
  return {
    row_count: rows.rowCount,
    sha256: rows.sha256,
    columns: JSON.stringify(rows.columns),
    preview: rows.preview,
    rows_sha256: rows.rowsSha256,
    row_bytes: rows.bytes,
    read_key: readKeyOf(rows.sha256, wanted),
  };
}

/** Incremented when the same file is read in another way. */
const READER_VERSION = 2;

/** The same for the same rows, so that they need not be read again. */
export function readKeyOf(sha256: string, { task, target, columns }: Omit<WantedRows, 'source' | 'images'>): string {
  return createHash('sha256')
    .update(JSON.stringify([READER_VERSION, sha256, task, target, columns]))
    .digest('hex');
}

function problemOf(problem: RowProblem, { data: { content } }: WantedDataset): InputProblem {
  const { row, column, code, expected, received } = problem;
  const place = row === null ? ['columns'] : ['rows', String(row)];
  const path = [
    'input',
    'data',
    content != null ? 'content' : 'upload',
    ...place,
    ...(column === null ? [] : [column]),
  ];
  const message = sentenceOf({ ...problem, column: null, expected: null, received: null });
  return { path: row === null && column === null ? path.slice(0, 3) : path, code, message, expected, received };
}
