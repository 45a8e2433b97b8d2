/** Imports a version of a model from its folder into the catalog, or records why it cannot be imported. */
import { addVersion, findVersionSource, type NewVersion } from '../catalog/registration.queries.js';
import { ManifestError, RetriedImportError } from '../errors.js';
import { faultPoint } from '../fault-points.js'; // @fault
import { sha256 } from '../storage/blobs.js';
import { toFlag } from '../storage/sql.js';
import { errorOfFolder, reasonOf } from './import-errors.js';
import { type ImportedGraphs, type ImportParts, importGraphs, storedSpecs } from './import-graphs.js';
import type { ModelManifest } from './manifest.js';
import { ProbeMemoryError } from './probe.js';
import { programDigest } from './program-digest.js';
import { keepPublished } from './published.js';
import { readContents, sourceDigest, totalBytes, type VersionContents, type VersionFolder } from './version-files.js';

export interface NamedVersion extends VersionFolder {
  readonly modelId: string;
  readonly manifest: ModelManifest;
}

/**
 * `retry`: why it is tried again, such as a process that was killed. `changed`: it is published and stays as it is,
 * although its files have changed.
 */
export type VersionResult = 'done' | 'failed' | 'changed' | { readonly retry: string };

/**
 * Imports a version if it is new, or if it failed before and its files, or the causes of the failure, have changed.
 * `findSigner`: see `signerOfFolder`.
 */
export async function importVersion(
  importer: ImportParts,
  version: NamedVersion,
  findSigner: () => Promise<string | null>,
): Promise<VersionResult> {
  const { modelId, manifest, number } = version;
  /** Once the folder is verified: until then, a failure may be one of files that are not part of the digest. */
  let source: string | undefined;
  try {
    if (manifest.taskProblem !== null) throw new ManifestError(manifest.taskProblem);
    const contents = await readContents(version, importer.signal);
    const digest = sourceDigest(contents, manifest);
    const recorded = await findVersionSource(importer.db, modelId, number);
    if (recorded && recorded.state !== 'FAILED') {
      const isUnchanged = await keepPublished(importer, manifest, contents, { ...recorded, number }, digest);
      return isUnchanged ? 'done' : 'changed';
    }
    if (recorded && (await failureDigests(digest, importer)).includes(recorded.source_sha256)) return 'failed';
    const signedBy = await findSigner();
    source = digest;
    await importContents(importer, { version, contents, source, signedBy });
    return 'done';
  } catch (thrown) {
    const error = errorOfFolder(thrown);
    const { reason, digest } = await failureOf(error, source, importer);
    importer.log.error({ model: manifest.name, number, reason, err: error.cause }, 'a version failed');
    await recordFailure(importer, modelId, number, reason, digest);
    return error instanceof RetriedImportError ? { retry: `version ${number}: ${reason}` } : 'failed';
  }
}

/** What is recorded about a failed version. Its next import is skipped if it would have the same digest. */
async function failureOf(error: ManifestError, source: string | undefined, importer: ImportParts) {
  // Without the digest of the source, the version is imported again.
  if (error instanceof RetriedImportError || source === undefined)
    return { reason: reasonOf(error), digest: undefined };
  const [digest, digestWithMemory] = await failureDigests(source, importer);
  if (!(error instanceof ProbeMemoryError)) return { reason: error.message, digest };
  const { workerMemoryBytes } = importer.prober;
  const reason = `${error.message}; WORKER_MEMORY_BYTES is ${workerMemoryBytes}: the import is retried when it is raised`;
  return { reason, digest: digestWithMemory };
}

/**
 * The digests of a version that failed: of the files and the program, which may support more after an update, and, for lack
 * of memory, also of the limit. Its import is repeated when they change.
 */
async function failureDigests(source: string, { prober }: ImportParts): Promise<[string, string]> {
  const digest = sha256(`${source} read by ${await programDigest()}`);
  return [digest, sha256(`${digest} with ${prober.workerMemoryBytes} bytes`)];
}

interface ReadVersion {
  readonly version: NamedVersion;
  readonly contents: VersionContents;
  readonly source: string;
  readonly signedBy: string | null;
}

async function importContents(
  importer: ImportParts,
  { version, contents, source, signedBy }: ReadVersion,
): Promise<void> {
  const { manifest, number } = version;
  if (contents.graphs.length === 0) throw new ManifestError(`${number}/model.onnx is missing`);
  faultPoint('import.begin'); // @fault
  const imported = await importGraphs(importer, manifest, contents);
  faultPoint('import.probed'); // @fault
  const row = { ...readyVersion(version, source, imported), signed_by: signedBy };
  await importer.db.transaction().execute((trx) => addVersion(trx, row, manifest.trainedOn, Date.now()));
  faultPoint('import.saved'); // @fault
  const { maxBatch } = imported.probed.spec;
  importer.log.info({ model: manifest.name, number, maxBatch }, 'a version was imported');
}

/** The row of a version that was probed, without who has signed it. */
export function readyVersion(
  { modelId, number, manifest: { yaml } }: NamedVersion,
  source: string,
  imported: ImportedGraphs,
): NewVersion {
  const { plain, probed } = imported;
  const { facts, verification } = probed;
  return {
    model_id: modelId,
    number,
    state: 'READY',
    state_reason: null,
    ...storedSpecs(imported),
    source_sha256: source,
    artifact_sha256: plain.sha256,
    artifact_bytes: totalBytes(plain),
    parameter_count: facts.parameterCount || null,
    opset: facts.opset,
    producer: facts.producer,
    framework: yaml.framework,
    framework_name: yaml.framework?.split(' ')[0] ?? null,
    preload: toFlag(yaml.preload),
    test_dataset: yaml.testData,
    verification: JSON.stringify(verification),
    signed_by: null,
  };
}

/** Records a version as FAILED. Without a source digest, that of the reason is used, so that the same failure is not recorded again. */
export async function recordFailure(
  importer: ImportParts,
  modelId: string,
  number: number,
  reason: string,
  source = sha256(reason),
): Promise<void> {
  const recorded = await findVersionSource(importer.db, modelId, number);
  const isNew = recorded?.source_sha256 !== source && (recorded?.state ?? 'FAILED') === 'FAILED';
  const row = failedVersion(modelId, number, source, reason);
  if (isNew) await importer.db.transaction().execute((trx) => addVersion(trx, row, [], Date.now()));
}

function failedVersion(modelId: string, number: number, source: string, reason: string): NewVersion {
  return {
    model_id: modelId,
    number,
    state: 'FAILED',
    state_reason: reason,
    spec: null,
    source_sha256: source,
    artifact_sha256: null,
    artifact_bytes: null,
    parameter_count: null,
    opset: null,
    producer: null,
    framework: null,
    framework_name: null,
    variants: '[]',
    preload: 0,
    test_dataset: null,
    verification: null,
    signed_by: null,
  };
}
