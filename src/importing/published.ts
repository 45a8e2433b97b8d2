/**
 * Published versions whose folders are still in the model store. They never change, but what was lost or lacking is
 * repaired: blobs are restored, and what could not be checked or probed for lack of memory is when there is more.
 */
import path from 'node:path';
import { findVersionName, updateSpecs, type VersionSource } from '../catalog/registration.queries.js';
import type { EngineVersion } from '../engine/messages.js';
import { sha256 } from '../storage/blobs.js';
import { readSpec, readVariants, type VariantSpec } from '../tasks/stored-spec.js';
import type { VersionSpec } from '../tasks/tasks.js';
import { type ImportParts, importGraphs, storedSpecs } from './import-graphs.js';
import { type ModelManifest, modelNameOf, subfolders } from './manifest.js';
import type { Prober } from './probe.js';
import { chunksOf } from './store-file.js';
import { earlierDigest, findVersionFolders, readContents, type VersionContents } from './version-files.js';

/**
 * Returns whether the files are those that were imported. `source`: the digest of the contents.
 *
 * @throws ManifestError if it cannot be probed again; StorageFullError
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
  for (const blob of blobsOf(contents, importer.signal))
    if (used.includes(blob.sha256) && !(await importer.blobs.has(blob.sha256, blob.sizeBytes)))
      await restore(importer, blob);
  if (isUnchanged && lackedMemory(recorded, importer.prober)) await probeAgain(importer, manifest, contents, recorded);
  return isUnchanged;
}

// ── lack of memory ──

/**
 * Whether batches of the version or of one of its variants could not be checked with less memory than there is now, or a
 * variant could not be probed.
 */
function lackedMemory({ spec, variants }: VersionSource, { workerMemoryBytes }: Prober): boolean {
  // Nearly all versions were checked, and specs can be large.
  if (!NOTES_OF_LACK.some((note) => `${spec}${variants}`.includes(note))) return false;
  const stored = readVariants(variants);
  const specs = [spec === null ? null : readSpec(spec), ...stored.map(({ spec }) => spec)];
  const lacked = [...specs.map((one) => one?.uncheckedBatchesBytes), ...stored.map((one) => one.unprobedBytes)];
  return lacked.some((bytes = Number.POSITIVE_INFINITY) => bytes < workerMemoryBytes);
}

const NOTES_OF_LACK = [
  'uncheckedBatchesBytes' satisfies keyof VersionSpec,
  'unprobedBytes' satisfies keyof VariantSpec,
];

async function probeAgain(
  importer: ImportParts,
  manifest: ModelManifest,
  contents: VersionContents,
  { id, artifact_sha256 }: VersionSource,
): Promise<void> {
  const imported = await importGraphs(importer, manifest, contents);
  if (imported.plain.sha256 !== artifact_sha256) return;
  await importer.db.transaction().execute((trx) => updateSpecs(trx, id, storedSpecs(imported), Date.now()));
}

// ── blobs ──

interface Original {
  readonly sha256: string;
  readonly sizeBytes: number;
  readonly read: () => AsyncIterable<Uint8Array>;
}

/** What the version needs in the data folder. */
function blobsOf({ graphs, hf: { tokenizer, ofClass } }: VersionContents, signal?: AbortSignal): Original[] {
  const files = graphs.flatMap((graph) => [graph, ...graph.dataFiles]);
  const originals = files.map(({ file, sha256, sizeBytes }): Original => {
    return { sha256, sizeBytes, read: () => chunksOf(file, signal) };
  });
  const tokenizers = [tokenizer, ofClass && 'tokenizer' in ofClass ? ofClass.tokenizer : null];
  const texts = tokenizers.flatMap((text) => (text === null ? [] : [Buffer.from(text)]));
  const ofTexts = texts.map((bytes): Original => {
    const read = async function* () {
      yield bytes;
    };
    return { sha256: sha256(bytes), sizeBytes: bytes.length, read };
  });
  return [...originals, ...ofTexts];
}

async function restore(
  { blobs, log, signal }: Pick<ImportParts, 'blobs' | 'log' | 'signal'>,
  { sha256, read }: Original,
): Promise<void> {
  if (await blobs.putChunks(sha256, read(), signal))
    log.warn({ sha256 }, 'a lost blob was restored from the model store');
}

type RestoreParts = Pick<ImportParts, 'db' | 'blobs' | 'log' | 'signal'>;

/** Restores these blobs of a version or its variant, if its folder is still in the model store and has them. */
export async function restoreBlobs(
  parts: RestoreParts,
  store: string,
  versionId: string,
  lost: readonly string[],
): Promise<void> {
  const originals = (await originalsOf(parts, store, versionId)).filter(({ sha256 }) => lost.includes(sha256));
  for (const original of originals) await restore(parts, original);
}

async function originalsOf({ db, signal }: RestoreParts, store: string, versionId: string): Promise<Original[]> {
  const version = await findVersionName(db, versionId);
  const folder = (await subfolders(store)).find((name) => modelNameOf(name) === version?.name);
  if (!version || !folder) return [];
  const folders = await findVersionFolders(path.join(store, folder));
  const files = folders.find(({ number }) => number === version.number);
  return files ? blobsOf(await readContents(files, signal), signal) : [];
}

/** A version whose blobs could not be restored is not tried again for this long. */
const RETRY_MS = 60_000;

/** Restores blobs that turn out to be lost or damaged when they are loaded. */
export class BlobRestorer {
  readonly #parts: RestoreParts;
  readonly #store: string;
  /** When each version was tried last, by its id, in order of time: those of the last `RETRY_MS`. */
  readonly #triedAt = new Map<string, number>();

  constructor(parts: RestoreParts, store: string) {
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
        if (!(await this.#parts.blobs.isIntact(digest, this.#parts.signal))) lost.push(digest);
      if (lost.length === 0) return;
      await restoreBlobs(this.#parts, this.#store, versionId, lost);
    } catch (error) {
      this.#parts.log.error({ err: error, ref: version.ref }, 'lost blobs could not be restored from the model store');
    }
  }
}
