/**
 * Synchronises the model store into the catalog at start: by digest, adding versions, never rewriting one.
 *
 * A folder that cannot be read, or whose model does not answer as its source framework did, becomes a FAILED version
 * with the reason; it stops nothing else.
 */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import type { Logger } from 'pino';
import { SYSTEM } from '../access/principal.js';
import { findModelsByNames } from '../catalog/model.queries.js';
import { MODEL_NAME } from '../catalog/ref.js';
import {
  addVersion,
  findVersionSource,
  type NewVersion,
  saveModel,
  type Trx,
} from '../catalog/registration.queries.js';
import type { Pool } from '../engine/pool.js';
import { faultPoint } from '../fault-points.js'; // @fault
import { type BlobFolder, sha256 } from '../storage/blobs.js';
import type { CatalogDatabase } from '../storage/database.js';
import { parseGolden } from './golden.js';
import { importDatasets } from './import-datasets.js';
import {
  type ImportedResult,
  ManifestError,
  type ModelManifest,
  readModelManifest,
  readText,
  readVersionNumbers,
  subfolders,
} from './manifest.js';
import { type ProbedVersion, ProbeKilledError, probe } from './probe.js';

export interface Importer {
  readonly db: CatalogDatabase;
  readonly blobs: BlobFolder;
  readonly pool: Pool;
  readonly log: Logger;
}

/** What the evaluation slice still has to take over: metrics that a model card states. */
export interface ImportedCard {
  readonly modelId: string;
  readonly results: readonly ImportedResult[];
}

const DATASETS = 'datasets';

export async function importModelStore(importer: Importer, store: string): Promise<ImportedCard[]> {
  await importDatasets(importer, path.join(store, DATASETS));
  const folders = (await subfolders(store)).filter((name) => name !== DATASETS);
  return (await Promise.all(folders.map((name) => importModel(importer, path.join(store, name))))).filter(
    (card) => card !== null,
  );
}

async function importModel(importer: Importer, folder: string): Promise<ImportedCard | null> {
  const name = path.basename(folder);
  try {
    const manifest = await readModelManifest(folder);
    const modelId = await importer.db.transaction().execute((trx) => saveModelOf(trx, manifest));
    const numbers = await readVersionNumbers(folder);
    if (numbers.length === 0) await recordFailure(importer, modelId, 1, 'no version folder: expected 1/model.onnx');
    for (const number of numbers) await importVersion(importer, { folder, modelId, manifest, number });
    return { modelId, results: manifest.results };
  } catch (error) {
    if (!(error instanceof ManifestError)) throw error;
    importer.log.error({ model: name, reason: error.message }, 'a model folder cannot be read');
    await recordUnreadable(importer, name, error.message);
    return null;
  }
}

function saveModelOf(trx: Trx, { name, card, license, tags, yaml }: ModelManifest): Promise<string> {
  const { title, summary, ...sections } = card;
  const model = {
    name,
    title,
    summary,
    task: yaml.task,
    owner: yaml.owner,
    license,
    retention_days: yaml.retentionDays,
    tags,
  };
  return saveModel(trx, { ...model, card: JSON.stringify(sections) }, Date.now());
}

interface VersionFolder {
  readonly folder: string;
  readonly modelId: string;
  readonly manifest: ModelManifest;
  readonly number: number;
}

async function importVersion(importer: Importer, version: VersionFolder): Promise<void> {
  const { folder, modelId, manifest, number } = version;
  const files = path.join(folder, String(number));
  const bytes = await readFile(path.join(files, 'model.onnx')).catch(() => null);
  const goldenText = await readText(path.join(files, 'golden.json'));
  // What a version answers follows from these alone; the card may be edited at any time.
  const source = sha256(
    JSON.stringify([bytes && sha256(bytes), goldenText && sha256(goldenText), manifest.yaml, manifest.trainedOn]),
  );
  const known = await importer.db.transaction().execute((trx) => findVersionSource(trx, modelId, number));
  if (known?.source_sha256 === source) return;
  if (known && known.state !== 'FAILED') {
    importer.log.warn(
      { model: manifest.name, number },
      'a published version has changed on disk and is left as it was; add a new version folder',
    );
    return;
  }
  try {
    if (!bytes) throw new ManifestError(`${number}/model.onnx is missing`);
    faultPoint('import.begin'); // @fault
    const artifactSha256 = await importer.blobs.put(bytes);
    faultPoint('import.stored'); // @fault
    const artifactPath = importer.blobs.pathOf(artifactSha256);
    const golden = goldenText === null ? null : parseGolden(goldenText);
    const probed = await probe(importer.pool, { manifest, golden, artifactSha256, artifactPath });
    faultPoint('import.probed'); // @fault
    const row = readyVersion(version, source, { sha256: artifactSha256, bytes: bytes.byteLength }, probed);
    await save(importer, row, manifest.trainedOn);
    faultPoint('import.saved'); // @fault
    importer.log.info({ model: manifest.name, number, maxBatch: probed.spec.maxBatch }, 'a version was imported');
  } catch (error) {
    if (!(error instanceof ManifestError)) throw error;
    importer.log.error({ model: manifest.name, number, reason: error.message }, 'a version failed');
    // Without the source's digest it is new again at the next start.
    const probedSource = error instanceof ProbeKilledError ? undefined : source;
    await recordFailure(importer, modelId, number, error.message, probedSource);
  }
}

async function save(importer: Importer, row: NewVersion, trainedOn: readonly string[]): Promise<void> {
  await importer.db.transaction().execute((trx) => addVersion(trx, row, trainedOn, Date.now()));
}

function readyVersion(
  { modelId, number, manifest: { yaml } }: VersionFolder,
  source: string,
  artifact: { sha256: string; bytes: number },
  { spec, facts }: ProbedVersion,
): NewVersion {
  return {
    ...emptyVersion(modelId, number, source),
    state: 'READY',
    spec: JSON.stringify(spec),
    artifact_sha256: artifact.sha256,
    artifact_bytes: artifact.bytes,
    parameter_count: facts.parameterCount || null,
    opset: facts.opset,
    producer: facts.producer,
    framework: yaml.framework,
    framework_name: yaml.framework?.split(' ')[0] ?? null,
    preload: Number(yaml.preload),
    test_dataset: yaml.testData,
  };
}

async function recordFailure(
  importer: Importer,
  modelId: string,
  number: number,
  reason: string,
  source = sha256(reason),
): Promise<void> {
  await importer.db.transaction().execute(async (trx) => {
    const known = await findVersionSource(trx, modelId, number);
    const row = { ...emptyVersion(modelId, number, source), state_reason: reason };
    const isNews = known?.source_sha256 !== source && (known?.state ?? 'FAILED') === 'FAILED';
    if (isNews) await addVersion(trx, row, [], Date.now());
  });
}

function emptyVersion(modelId: string, number: number, source: string): NewVersion {
  return {
    model_id: modelId,
    number,
    state: 'FAILED',
    state_reason: null,
    spec: null,
    source_sha256: source,
    artifact_sha256: null,
    artifact_bytes: null,
    parameter_count: null,
    opset: null,
    producer: null,
    framework: null,
    framework_name: null,
    preload: 0,
    test_dataset: null,
  };
}

/** A model of which nothing could be read is still listed, so that its owner finds the reason where they look. */
async function recordUnreadable(importer: Importer, name: string, reason: string): Promise<void> {
  const markdown = `This folder could not be read: ${reason}`;
  const model = {
    name,
    title: name,
    summary: null,
    task: 'TENSOR',
    owner: null,
    license: null,
    retention_days: null,
    tags: [],
  };
  if (!MODEL_NAME.test(name) || (await findModelsByNames(importer.db, SYSTEM, [name])).length > 0) return;
  const id = await importer.db
    .transaction()
    .execute((trx) => saveModel(trx, { ...model, card: JSON.stringify({ markdown }) }, Date.now()));
  await recordFailure(importer, id, 1, reason);
}
