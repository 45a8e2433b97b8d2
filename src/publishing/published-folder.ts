/**
 * One publication: puts the files into a new folder that looks like one of the model store, and has the import scan and probe
 * it. Only the transaction at the end changes the catalog.
 */
import { link, mkdir, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { Logger } from 'pino';
import { findApiKey } from '../access/api-key.queries.js';
import { type Author, appendAudit } from '../access/audit.queries.js';
import { findGatedAliases, moveAlias } from '../catalog/alias.queries.js';
import type { Catalog } from '../catalog/catalog.js';
import { addVersion } from '../catalog/registration.queries.js';
import type { Engine } from '../engine/engine.js';
import { ManifestError } from '../errors.js';
import { faultPoint } from '../fault-points.js'; // @fault
import { type ImportedGraphs, importGraphs } from '../importing/import-graphs.js';
import { type NamedVersion, readyVersion } from '../importing/import-version.js';
import { type ModelManifest, readModelManifest } from '../importing/manifest.js';
import { findVersionFolders, readContents, sourceDigest, type VersionContents } from '../importing/version-files.js';
import type { PublisherKeys } from '../signing/publisher-keys.js';
import type { BlobFolder } from '../storage/blobs.js';
import type { CatalogDatabase } from '../storage/database.js';
import { throwDiskFailureAsStorageFull } from '../storage/disk-failure.js';
import type { ModelTable } from '../storage/migrations/catalog.table.js';
import type { PublicationTable } from '../storage/migrations/publishing.table.js';
import { findModel, findSameVersion, nextNumber, setCard, setPublication } from './publication.queries.js';

export interface PublisherParts {
  readonly db: CatalogDatabase;
  readonly blobs: BlobFolder;
  readonly catalog: Catalog;
  readonly engine: Pick<Engine, 'provider' | 'startProbes' | 'workerMemoryBytes'>;
  readonly log: Logger;
  readonly publisherKeys: PublisherKeys;
  /** The file of a complete upload. */
  readonly fileOf: (upload: string) => string;
  /** For one publication at a time. */
  readonly folder: string;
  /** Aborted when the server stops. */
  readonly signal: AbortSignal;
}

/** @throws ManifestError with the reason why there is no version; RetriedImportError, StorageFullError */
export async function publishFolder(parts: PublisherParts, publication: PublicationTable): Promise<void> {
  const { db, blobs, log, engine, signal, publisherKeys } = parts;
  const model = await findModel(db, publication.model_id);
  if (!model) throw new ManifestError('the model was deleted');
  await refuseRevoked(db, publication);
  // The server may have been started with other keys since it was recorded.
  publisherKeys.refuseUnknown(publication.signed_by);
  const folder = await makeFolder(parts, publication, model.name).catch(throwDiskFailureAsStorageFull);
  faultPoint('publish.begin'); // @fault
  const manifest = await readModelManifest(folder);
  checkManifest(manifest, model);
  const version = await onlyVersion(folder);
  const contents = await readContents(version, signal);
  await setPublication(db, publication.id, { stage: 'SCANNED' });
  const { provider, workerMemoryBytes } = engine;
  const processes = engine.startProbes();
  try {
    const prober = { provider, workerMemoryBytes, processes };
    const imported = await importGraphs({ db, blobs, log, signal, prober }, manifest, contents);
    await setPublication(db, publication.id, { stage: 'PROBED' });
    await saveVersion(parts, { publication, contents, imported, version: { ...version, modelId: model.id, manifest } });
    faultPoint('publish.saved'); // @fault
  } finally {
    processes.end();
  }
}

/** Hard links to the uploads, which never change. Paths were checked when the publication was recorded. */
async function makeFolder(
  { folder: root, fileOf }: PublisherParts,
  { files, manifest }: PublicationTable,
  name: string,
): Promise<string> {
  const folder = path.join(root, name);
  await rm(root, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  for (const file of JSON.parse(files) as { path: string; upload: string }[]) {
    const target = path.join(folder, file.path);
    await mkdir(path.dirname(target), { recursive: true });
    await link(fileOf(file.upload), target).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOENT') throw error;
      throw new ManifestError(`${file.path}: its upload is gone; upload it again`);
    });
  }
  // JSON is YAML.
  if (manifest !== null) await writeFile(path.join(folder, 'model.yaml'), manifest);
  return folder;
}

function checkManifest({ taskProblem, yaml, account }: ModelManifest, { task, name }: ModelTable): void {
  if (taskProblem !== null) throw new ManifestError(taskProblem);
  if (account !== null) throw new ManifestError(`model.yaml: remove account: ${name} was registered by an account`);
  if (yaml.task !== task)
    throw new ManifestError(`the files are of a model for ${yaml.task}, but ${name} was registered for ${task}`);
}

async function onlyVersion(folder: string) {
  const versions = await findVersionFolders(folder);
  const [version] = versions;
  if (!version || versions.length > 1)
    throw new ManifestError(
      `there are ${versions.length} versions among the files: publish one, with its graph as onnx/model.onnx, or in one folder such as 1/`,
    );
  if (version.graphFiles.size === 0) throw new ManifestError('there is no graph: add 1/model.onnx, or onnx/model.onnx');
  return version;
}

/** What to do about an alias with a gate. */
export const PUBLISH_WITHOUT =
  'publish without it, evaluate the version, and have an administrator move the alias with setAlias';

interface Proven {
  readonly publication: PublicationTable;
  readonly version: NamedVersion;
  readonly contents: VersionContents;
  readonly imported: ImportedGraphs;
}

/** Adds the version, unless the model has one of the same files, and finishes the publication, in one transaction. */
async function saveVersion(
  { db }: PublisherParts,
  { publication, version, contents, imported }: Proven,
): Promise<void> {
  const { modelId, manifest } = version;
  const source = sourceDigest(contents, manifest);
  const { reason, signed_by } = publication;
  const author = authorOf(publication);
  await db.transaction().execute(async (trx) => {
    const now = Date.now();
    const model = await findModel(trx, modelId);
    if (!model) throw new ManifestError('the model was deleted');
    await refuseRevoked(trx, publication);
    let versionId = await findSameVersion(trx, modelId, source, signed_by);
    if (!versionId) {
      const number = await nextNumber(trx, modelId);
      // What is loaded at start is the operator's choice.
      const row = { ...readyVersion({ ...version, number }, source, imported), signed_by, preload: 0 };
      const by = { author, action: 'publishVersion' as const, reason };
      versionId = await addVersion(trx, row, manifest.trainedOn, now, by);
      const { title: _, summary: __, ...card } = manifest.card;
      await setCard(trx, model, { card: JSON.stringify(card), retention_days: manifest.yaml.retentionDays });
    }
    const aliases = JSON.parse(publication.aliases) as string[];
    const [gated] = await findGatedAliases(trx, modelId, aliases);
    if (gated !== undefined) throw new ManifestError(`the alias ${gated} has a gate since: ${PUBLISH_WITHOUT}`);
    for (const alias of aliases) {
      const before = await moveAlias(trx, { modelId, alias, versionId, author, reason, restores: null }, now);
      const states = { before: before === null ? null : { version: `${model.name}:${before}` }, after: { versionId } };
      await appendAudit(trx, author, { action: 'setAlias', target: `${model.name}@${alias}`, reason, ...states });
    }
    await setPublication(trx, publication.id, { stage: 'PUBLISHED', version_id: versionId });
  });
}

/** A key is revoked because somebody else may have it. What was published with one that has expired since goes on. */
async function refuseRevoked(db: CatalogDatabase, { key_id }: PublicationTable): Promise<void> {
  if (key_id !== null && (await findApiKey(db, key_id))?.revokedAt)
    throw new ManifestError('the key that published it was revoked: publish it again with another one');
}

function authorOf({ account, key_id, issuer, subject }: PublicationTable): Author {
  return {
    id: account,
    key: key_id === null ? null : { id: key_id },
    token: issuer === null || subject === null ? null : { issuer, subject },
  };
}
