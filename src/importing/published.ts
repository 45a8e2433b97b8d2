/**
 * Published versions whose folders are still in the model store. They never change, but what was lost or lacking is
 * repaired: blobs are restored, and batches that could not be checked for lack of memory are checked when there is more.
 */
import path from 'node:path';
import type { Logger } from 'pino';
import { findVersionName, updateBatchLimits, type VersionSource } from '../catalog/registration.queries.js';
import type { EngineVersion } from '../engine/messages.js';
import { type BlobFolder, sha256 } from '../storage/blobs.js';
import type { CatalogDatabase } from '../storage/database.js';
import { readSpec, readVariants } from '../tasks/stored-spec.js';
import type { VersionSpec } from '../tasks/tasks.js';
import { type ImportParts, importGraphs, storedSpecs } from './import-graphs.js';
import { type ModelManifest, modelNameOf, subfolders } from './manifest.js';
import type { Prober } from './probe.js';
import { chunksOf, fileDigest } from './store-file.js';
import { earlierDigest, findVersionFolders, readContents, type VersionContents } from './version-files.js';

/**
 * Returns whether the files are those that were imported. `source`: the digest of the contents.
 *
 * @throws ManifestError if the batches cannot be checked; StorageFullError
 */
export async function keepPublished(
  importer: ImportParts,
  manifest: ModelManifest,
  contents: VersionContents,
  recorded: VersionSource & { readonly number: number },
  source: string,
): Promise<boolean> {
  const { number } = recorded;
  const isUnchanged = [source, earlierDigest(contents, manifest)].includes(recorded.source_sha256);
  if (!isUnchanged)
    importer.log.warn(
      { model: manifest.name, number },
      'the files of a published version have changed; the old version is kept. Add a new version folder for the changed files',
    );
  const used = [recorded.artifact_sha256, recorded.spec, recorded.variants].join();
  for (const blob of blobsOf(contents))
    if (used.includes(blob.sha256) && !(await importer.blobs.has(blob.sha256, blob.sizeBytes)))
      await restore(importer, blob);
  if (isUnchanged && lackedMemory(recorded, importer.prober))
    await checkBatchesAgain(importer, manifest, contents, recorded);
  return isUnchanged;
}

// ── batches ──

/** Whether batches of the version, or of one of its variants, could not be checked with less memory than there is now. */
function lackedMemory({ spec, variants }: VersionSource, { workerMemoryBytes }: Prober): boolean {
  // Nearly all versions were checked, and specs can be large.
  if (!`${spec}${variants}`.includes('uncheckedBatchesBytes' satisfies keyof VersionSpec)) return false;
  const specs = [spec === null ? null : readSpec(spec), ...readVariants(variants).map(({ spec }) => spec)];
  return specs.some((one) => (one?.uncheckedBatchesBytes ?? Infinity) < workerMemoryBytes);
}

async function checkBatchesAgain(
  importer: ImportParts,
  manifest: ModelManifest,
  contents: VersionContents,
  { id, artifact_sha256 }: VersionSource,
): Promise<void> {
  const imported = await importGraphs(importer, manifest, contents);
  if (imported.plain.sha256 !== artifact_sha256) return;
  await importer.db.transaction().execute((trx) => updateBatchLimits(trx, id, storedSpecs(imported), Date.now()));
}

// ── blobs ──

interface Original {
  readonly sha256: string;
  readonly sizeBytes: number;
  readonly read: () => AsyncIterable<Uint8Array>;
}

/** What the version needs in the data folder. */
function blobsOf({ graphs, hf: { tokenizer } }: VersionContents): Original[] {
  const files = graphs.flatMap((graph) => [graph, ...graph.dataFiles]);
  const originals = files.map(({ file, sha256, sizeBytes }): Original => {
    return { sha256, sizeBytes, read: () => chunksOf(file) };
  });
  if (tokenizer === null) return originals;
  const bytes = Buffer.from(tokenizer);
  const read = async function* () {
    yield bytes;
  };
  return [...originals, { sha256: sha256(bytes), sizeBytes: bytes.length, read }];
}

async function restore({ blobs, log }: Pick<ImportParts, 'blobs' | 'log'>, { sha256, read }: Original): Promise<void> {
  if (await blobs.replaceChunks(sha256, read())) log.warn({ sha256 }, 'a lost blob was restored from the model store');
}

/** A version whose blobs could not be restored is not tried again for this long. */
const RETRY_MS = 60_000;

/** Restores blobs that turn out to be lost or damaged when they are loaded. */
export class BlobRestorer {
  readonly #parts: { readonly db: CatalogDatabase; readonly blobs: BlobFolder; readonly log: Logger };
  readonly #store: string;
  /** When each version was tried last, by its id, in order of time: those of the last `RETRY_MS`. */
  readonly #triedAt = new Map<string, number>();

  constructor(parts: { db: CatalogDatabase; blobs: BlobFolder; log: Logger }, store: string) {
    this.#parts = parts;
    this.#store = store;
  }

  /** The version could not be loaded. Logs what is restored, and failures. `versionId`: of the version or its variant. */
  async restore(versionId: string, version: EngineVersion): Promise<void> {
    const now = performance.now();
    if (now - (this.#triedAt.get(versionId) ?? -Infinity) < RETRY_MS) return;
    for (const [id, at] of this.#triedAt) {
      if (now - at < RETRY_MS) break;
      this.#triedAt.delete(id);
    }
    this.#triedAt.set(versionId, now);
    try {
      const { text, dataFiles = [] } = version.spec;
      const lost: string[] = [];
      const tokenizer = text ? [text.tokenizerSha256] : [];
      for (const digest of [version.artifactSha256, ...dataFiles.map(({ sha256 }) => sha256), ...tokenizer])
        if (!(await this.#isIntact(digest))) lost.push(digest);
      if (lost.length === 0) return;
      const originals = (await this.#originalsOf(versionId)).filter(({ sha256 }) => lost.includes(sha256));
      for (const original of originals) await restore(this.#parts, original);
    } catch (error) {
      this.#parts.log.error({ err: error, ref: version.ref }, 'lost blobs could not be restored from the model store');
    }
  }

  async #isIntact(digest: string): Promise<boolean> {
    const found = await fileDigest(this.#parts.blobs.pathOf(digest)).catch(() => null);
    return found?.sha256 === digest;
  }

  async #originalsOf(versionId: string): Promise<Original[]> {
    const version = await findVersionName(this.#parts.db, versionId);
    const folder = (await subfolders(this.#store)).find((name) => modelNameOf(name) === version?.name);
    if (!version || !folder) return [];
    const folders = await findVersionFolders(path.join(this.#store, folder));
    const files = folders.find(({ number }) => number === version.number);
    return files ? blobsOf(await readContents(files)) : [];
  }
}
