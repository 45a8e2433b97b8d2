/** Registers the datasets of the model store: their description, digest, number of rows, and the first rows as a preview. */
import { createHash } from 'node:crypto';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { pipeline, Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';
import type { Logger } from 'pino';
import {
  findDatasetDigest,
  isUnchangedDataset,
  type NewDataset,
  saveDataset,
} from '../catalog/registration.queries.js';
import { ManifestError } from '../errors.js';
import type { CatalogDatabase } from '../storage/database.js';
import { unlessDiskIsFull } from './full-disk.js';
import { errorOfFolder } from './import-errors.js';
import { type DatasetYaml, readDatasetManifest, subfolders } from './manifest.js';
import { chunksOf, refuseDeep, sizeOf } from './store-file.js';

interface DatasetImporter {
  readonly db: CatalogDatabase;
  readonly log: Logger;
  /** Aborted when the server stops. */
  readonly signal?: AbortSignal | undefined;
}

const PREVIEW_ROWS = 100;
const PREVIEW_CHARACTERS = 200_000;

/** Returns whether some of them could not be stored, because the disk is full or cannot be written. */
export async function importDatasets(importer: DatasetImporter, folder: string): Promise<boolean> {
  const imports = (await subfolders(folder)).map((name) =>
    unlessDiskIsFull(importer.log, { dataset: name }, async () => {
      await importDataset(importer, path.join(folder, name));
      return true;
    }),
  );
  return (await Promise.all(imports)).includes(null);
}

async function importDataset(importer: DatasetImporter, folder: string): Promise<void> {
  const name = path.basename(folder);
  try {
    const yaml = await readDatasetManifest(folder);
    const data = yaml.file === null ? null : await readData(path.join(folder, yaml.file), folder, importer.signal);
    if (data && yaml.sha256 !== null && data.sha256 !== yaml.sha256) {
      throw new ManifestError(`${yaml.file} has SHA-256 ${data.sha256}, but dataset.yaml says ${yaml.sha256}`);
    }
    if (data && yaml.rowCount !== null && data.rowCount !== yaml.rowCount) {
      throw new ManifestError(`${yaml.file} has ${data.rowCount} rows, but dataset.yaml says ${yaml.rowCount}`);
    }
    await save(importer, name, datasetRow(name, yaml, data));
  } catch (thrown) {
    const { message: reason, cause } = errorOfFolder(thrown);
    importer.log.error({ dataset: name, reason, err: cause }, 'a dataset cannot be registered');
  }
}

/** Data of a registered dataset must not change, because evaluations refer to it. */
async function save(importer: DatasetImporter, name: string, row: NewDataset): Promise<void> {
  if (await isUnchangedDataset(importer.db, row)) return;
  await importer.db.transaction().execute(async (trx) => {
    const registered = await findDatasetDigest(trx, name);
    if (registered && registered !== row.sha256)
      throw new ManifestError('the data has changed since the dataset was registered; use a new dataset name');
    await saveDataset(trx, row, Date.now());
  });
}

interface DataFile {
  readonly sha256: string;
  readonly rowCount: number;
  readonly preview: readonly unknown[];
}

/** Reads a file of JSON lines, plain or gzipped. `root`: the dataset's folder. @throws ManifestError that names the line */
async function readData(file: string, root: string, signal?: AbortSignal): Promise<DataFile> {
  await sizeOf(file, root);
  const hash = createHash('sha256');
  const hashed = async function* (chunks: AsyncIterable<Uint8Array>) {
    for await (const chunk of chunks) {
      hash.update(chunk);
      yield chunk;
    }
  };
  const bytes = hashed(chunksOf(file, signal));
  // `pipeline` passes errors of the file on to the stream that is read; `pipe` does not.
  const plain = file.endsWith('.gz') ? pipeline(bytes, createGunzip(), () => {}) : bytes;
  const text = Readable.from(withShortLines(plain));
  const preview: unknown[] = [];
  let rowCount = 0;
  let characters = 0;
  try {
    for await (const line of createInterface({ input: text, crlfDelay: Number.POSITIVE_INFINITY })) {
      if (++rowCount > MAX_ROWS) throw new Error(`a dataset can have at most ${MAX_ROWS} rows`);
      characters += line.length;
      if (rowCount <= PREVIEW_ROWS && characters <= PREVIEW_CHARACTERS) preview.push(parseRow(line));
    }
  } catch (error) {
    if (rowCount === 0 && error instanceof ManifestError) throw error;
    throw new ManifestError(
      `${path.basename(file)}, line ${rowCount}: ${error instanceof Error ? error.message : error}`,
    );
  } finally {
    text.destroy();
  }
  return { sha256: hash.digest('hex'), rowCount, preview };
}

/** All rows are read at every start, and a few bytes of gzip can stand for millions of them. */
const MAX_ROWS = 10_000_000;
const MAX_UNPACKED_BYTES = 1024 ** 3;
/** A line is in memory as a whole. */
const MAX_LINE_BYTES = 16 * 1024 * 1024;
const NEWLINE = 10;

/** @throws Error if a line is too long, or all of them are */
async function* withShortLines(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let lineBytes = 0;
  let bytes = 0;
  for await (const chunk of chunks) {
    const newline = chunk.lastIndexOf(NEWLINE);
    lineBytes = newline < 0 ? lineBytes + chunk.length : chunk.length - newline - 1;
    if (lineBytes > MAX_LINE_BYTES) throw new Error(`a line has more than ${MAX_LINE_BYTES} bytes`);
    bytes += chunk.length;
    if (bytes > MAX_UNPACKED_BYTES) throw new Error(`a dataset can have at most ${MAX_UNPACKED_BYTES} bytes, unpacked`);
    yield chunk;
  }
}

function parseRow(line: string): unknown {
  const row: unknown = refuseDeep(JSON.parse(line), 'the row');
  if (typeof row !== 'object' || row === null || Array.isArray(row))
    throw new ManifestError('the row is not a JSON object');
  return row;
}

function datasetRow(name: string, yaml: DatasetYaml, data: DataFile | null): NewDataset {
  return {
    name,
    title: yaml.title,
    family: yaml.family,
    split: yaml.split,
    task: yaml.task,
    row_count: data?.rowCount ?? null,
    sha256: data?.sha256 ?? null,
    license: yaml.license,
    source: yaml.source,
    description: yaml.description,
    target: yaml.target,
    columns: JSON.stringify(yaml.columns),
    preview: JSON.stringify(data?.preview ?? []),
  };
}
