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
import { type DatasetYaml, readDatasetManifest, subfolders } from './manifest.js';
import { chunksOf } from './store-file.js';

interface DatasetImporter {
  readonly db: CatalogDatabase;
  readonly log: Logger;
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
    const data = yaml.file === null ? null : await readData(path.join(folder, yaml.file));
    if (data && yaml.sha256 !== null && data.sha256 !== yaml.sha256) {
      throw new ManifestError(`${yaml.file} has SHA-256 ${data.sha256}, but dataset.yaml says ${yaml.sha256}`);
    }
    if (data && yaml.rowCount !== null && data.rowCount !== yaml.rowCount) {
      throw new ManifestError(`${yaml.file} has ${data.rowCount} rows, but dataset.yaml says ${yaml.rowCount}`);
    }
    await save(importer, name, datasetRow(name, yaml, data));
  } catch (error) {
    if (!(error instanceof ManifestError)) throw error;
    importer.log.error({ dataset: name, reason: error.message }, 'a dataset cannot be registered');
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

/** Reads a file of JSON lines, plain or gzipped. @throws ManifestError that names the line */
async function readData(file: string): Promise<DataFile> {
  const hash = createHash('sha256');
  const bytes = Readable.from(chunksOf(file), { objectMode: false }).on('data', (chunk) => hash.update(chunk));
  // `pipeline` passes errors of the file on to the stream that is read; `pipe` does not.
  const text = file.endsWith('.gz') ? pipeline(bytes, createGunzip(), () => {}) : bytes;
  const preview: unknown[] = [];
  let rowCount = 0;
  let characters = 0;
  try {
    for await (const line of createInterface({ input: text, crlfDelay: Number.POSITIVE_INFINITY })) {
      rowCount++;
      characters += line.length;
      if (rowCount <= PREVIEW_ROWS && characters <= PREVIEW_CHARACTERS) preview.push(parseRow(line));
    }
  } catch (error) {
    if (rowCount === 0 && error instanceof ManifestError) throw error;
    throw new ManifestError(
      `${path.basename(file)}, line ${rowCount}: ${error instanceof Error ? error.message : error}`,
    );
  }
  return { sha256: hash.digest('hex'), rowCount, preview };
}

function parseRow(line: string): unknown {
  const row: unknown = JSON.parse(line);
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
