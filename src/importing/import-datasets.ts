/**
 * Registers the datasets of the model store with their rows. Rows are read once: again only if the file, or what is read from
 * it, changes.
 */
import { createHash } from 'node:crypto';
import path from 'node:path';
import type { Logger } from 'pino';
import { SYSTEM } from '../access/principal.js';
import {
  findDatasetDigest,
  isUnchangedDataset,
  type NewDataset,
  saveDataset,
} from '../catalog/registration.queries.js';
import { findImagesAfter, replaceImages } from '../datasets/dataset-images.queries.js';
import { MAX_DATASET_BYTES } from '../datasets/dataset-limits.js';
import { DatasetReader, type ReadResult, type RowsToStore } from '../datasets/dataset-reader.js';
import { findPieces, findReadDataset, replacePieces } from '../datasets/dataset-rows.queries.js';
import { columnsOfRows, readKeyOf } from '../datasets/datasets.js';
import type { DatasetFormat } from '../datasets/raw-rows.js';
import type { WantedRows } from '../datasets/read-rows.js';
import { sentenceOf } from '../datasets/row-problem.js';
import { ManifestError, ShuttingDownError } from '../errors.js';
import type { BlobFolder } from '../storage/blobs.js';
import type { CatalogDatabase } from '../storage/database.js';
import { unlessDiskIsFull } from './full-disk.js';
import { errorOfFolder, ImportStoppedError } from './import-errors.js';
import { type DatasetYaml, readDatasetManifest, subfolders } from './manifest.js';
import { chunksOf, sizeOf } from './store-file.js';

interface DatasetImporter {
  readonly db: CatalogDatabase;
  readonly blobs: BlobFolder;
  readonly log: Logger;
  /** Aborted when the server stops. */
  readonly signal?: AbortSignal | undefined;
}

/** Returns whether some of them could not be stored, because the disk is full or cannot be written. */
export async function importDatasets(importer: DatasetImporter, folder: string): Promise<boolean> {
  const reader = new DatasetReader(importer.blobs, importer.signal);
  let mustRetry = false;
  for (const name of await subfolders(folder)) {
    const done = await unlessDiskIsFull(importer.log, { dataset: name }, async () => {
      await importDataset(importer, reader, path.join(folder, name));
      return true;
    });
    mustRetry ||= done === null;
  }
  return mustRetry;
}

async function importDataset(importer: DatasetImporter, reader: DatasetReader, folder: string): Promise<void> {
  const name = path.basename(folder);
  try {
    const yaml = await readDatasetManifest(folder);
    const data =
      yaml.file === null
        ? NO_DATA
        : await readData({ importer, reader }, yaml, { folder, file: path.join(folder, yaml.file) });
    if (yaml.file !== null && yaml.rowCount !== null && data.row.row_count !== yaml.rowCount) {
      throw new ManifestError(`${yaml.file} has ${data.row.row_count} rows, but dataset.yaml says ${yaml.rowCount}`);
    }
    await save(importer, datasetRow(name, yaml, data.row), data.stored);
  } catch (thrown) {
    const { message: reason, cause } = errorOfFolder(thrown);
    importer.log.error({ dataset: name, reason, err: cause }, 'a dataset cannot be registered');
  }
}

/** Data of a registered dataset must not change, because evaluations refer to it. */
async function save(importer: DatasetImporter, row: NewDataset, stored: Data['stored']): Promise<void> {
  if (stored === null && (await isUnchangedDataset(importer.db, row))) return;
  await importer.db.transaction().execute(async (trx) => {
    const registered = await findDatasetDigest(trx, row.name);
    if (registered && registered !== row.sha256)
      throw new ManifestError('the data has changed since the dataset was registered; use a new dataset name');
    const id = await saveDataset(trx, row, Date.now());
    if (stored === null) return;
    await replacePieces(trx, id, stored.pieces);
    await replaceImages(trx, id, stored.images);
  });
}

type DataRow = Pick<
  NewDataset,
  'row_count' | 'sha256' | 'columns' | 'preview' | 'rows_sha256' | 'row_bytes' | 'read_key'
>;

interface Data {
  /** The columns of the file; those of dataset.yaml if it is null. */
  readonly row: Omit<DataRow, 'columns'> & { readonly columns: string | null };
  /** Null if the database refers to them already. */
  readonly stored: Pick<RowsToStore, 'pieces' | 'images'> | null;
}

const NO_DATA: Data = {
  row: {
    row_count: null,
    sha256: null,
    columns: null,
    preview: '[]',
    rows_sha256: null,
    row_bytes: null,
    read_key: null,
  },
  stored: null,
};

/** @throws ManifestError that names rows */
async function readData(
  { importer, reader }: { importer: DatasetImporter; reader: DatasetReader },
  yaml: DatasetYaml,
  { folder, file }: { readonly folder: string; readonly file: string },
): Promise<Data> {
  const sizeBytes = await sizeOf(file, folder);
  const fileName = path.basename(file);
  if (sizeBytes > MAX_DATASET_BYTES)
    throw new ManifestError(`${fileName} has ${sizeBytes} bytes; a dataset can have at most ${MAX_DATASET_BYTES}`);
  const sha256 = await digestOf(file, importer.signal);
  if (yaml.sha256 !== null && sha256 !== yaml.sha256)
    throw new ManifestError(`${fileName} has SHA-256 ${sha256}, but dataset.yaml says ${yaml.sha256}`);
  const wanted = wantedOf(yaml, { folder, file });
  const known = await findKnown(importer, path.basename(folder), readKeyOf(sha256, wanted));
  if (known) return { row: known, stored: null };
  const store = async (read: ReadResult): Promise<Data> => {
    if ('problems' in read) {
      const [first, ...more] = read.problems.map(sentenceOf);
      throw new ManifestError(`${fileName}, ${first}${more.length > 0 ? ` (and ${more.length} more)` : ''}`);
    }
    await read.rows.store();
    return { row: columnsOfRows(read.rows, wanted), stored: read.rows };
  };
  return reader.read(wanted, store).catch((error) => {
    throw error instanceof ShuttingDownError ? new ImportStoppedError() : error;
  });
}

/** Folder in the folder of a dataset. */
const IMAGES_FOLDER = 'images';

function wantedOf(
  { task, target, columns }: DatasetYaml,
  { folder, file }: { readonly folder: string; readonly file: string },
): WantedRows {
  const source = { kind: 'file' as const, path: file, ...formatOf(path.basename(file)) };
  const stated = columns.length > 0 ? columns.map((column) => ({ ...column, input: '' })) : null;
  const images = { folder: path.join(folder, IMAGES_FOLDER), files: [] };
  return { source, images, task, target, columns: stated, isStrict: false, allowsDuplicates: true };
}

const FORMATS: Readonly<Record<string, DatasetFormat>> = { jsonl: 'JSON_LINES', csv: 'CSV', parquet: 'PARQUET' };

/** @throws ManifestError */
function formatOf(fileName: string): { format: DatasetFormat; isGzipped: boolean } {
  const [, extension = '', gz] = /\.(jsonl|csv|parquet)(\.gz)?$/.exec(fileName) ?? [];
  const format = FORMATS[extension];
  if (format && !(gz && format === 'PARQUET')) return { format, isGzipped: gz !== undefined };
  throw new ManifestError(
    `${fileName}: use a file such as data.jsonl, data.jsonl.gz, data.csv, data.csv.gz or data.parquet`,
  );
}

async function digestOf(file: string, signal: AbortSignal | undefined): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of chunksOf(file, signal)) hash.update(chunk);
  return hash.digest('hex');
}

/** Of pieces or images that are looked up together. */
const BLOBS_A_STEP = 500;

/** What is known of the same rows, unless one of their blobs was lost. */
async function findKnown({ db, blobs }: DatasetImporter, name: string, readKey: string): Promise<DataRow | null> {
  const found = await findReadDataset(db, SYSTEM, name, readKey);
  if (!found) return null;
  for await (const { sha256, size_bytes } of blobsOf(db, found.id))
    if (!(await blobs.has(sha256, size_bytes))) return null;
  const { row_count, sha256, columns, preview, rows_sha256, row_bytes, read_key } = found;
  return { row_count, sha256, columns, preview, rows_sha256, row_bytes, read_key };
}

/** Pieces and images of a dataset. */
async function* blobsOf(db: CatalogDatabase, id: string): AsyncGenerator<{ sha256: string; size_bytes: number }> {
  for (let from = 1; ; ) {
    const pieces = await findPieces(db, SYSTEM, id, { from, limit: BLOBS_A_STEP });
    yield* pieces;
    if (pieces.length < BLOBS_A_STEP) break;
    from = (pieces.at(-1)?.first_row ?? 0) + 1;
  }
  for (let after = ''; ; ) {
    const images = await findImagesAfter(db, SYSTEM, id, { after, limit: BLOBS_A_STEP });
    yield* images;
    if (images.length < BLOBS_A_STEP) return;
    after = images.at(-1)?.image ?? '';
  }
}

function datasetRow(name: string, yaml: DatasetYaml, { columns, ...row }: Data['row']): NewDataset {
  return {
    name,
    title: yaml.title,
    family: yaml.family,
    split: yaml.split,
    task: yaml.task,
    license: yaml.license,
    source: yaml.source,
    description: yaml.description,
    target: yaml.target,
    columns: columns ?? JSON.stringify(yaml.columns),
    ...row,
  };
}
