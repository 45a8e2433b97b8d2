/**
 * Imports a version of a model from its folder into the catalog: reads the files, stores them as blobs, probes the version
 * and records it.
 *
 * A folder can contain several variants of a graph (`model.onnx`, `model_quantized.onnx` …). `model.onnx` is the version
 * itself, and the others are listed as its variants; one that cannot be used does not affect the version. Without
 * `model.onnx`, the first usable variant is the version.
 */
import path from 'node:path';
import type { Logger } from 'pino';
import { addVersion, findVersionSource, type NewVersion } from '../catalog/registration.queries.js';
import { ManifestError } from '../errors.js';
import { faultPoint } from '../fault-points.js'; // @fault
import { type BlobFolder, sha256 } from '../storage/blobs.js';
import type { CatalogDatabase } from '../storage/database.js';
import { toFlag } from '../storage/sql.js';
import type { VariantSpec } from '../tasks/stored-spec.js';
import { parseGolden } from './golden.js';
import { type HuggingFaceFiles, readHuggingFaceFiles } from './hugging-face.js';
import type { ModelManifest } from './manifest.js';
import {
  type Candidate,
  type ProbedVersion,
  ProbeKilledError,
  ProbeMemoryError,
  type Prober,
  probeCandidate,
} from './probe.js';
import { fileDigest, readBytes, readText } from './store-file.js';

export interface Importer {
  readonly db: CatalogDatabase;
  readonly blobs: BlobFolder;
  readonly prober: Prober;
  /** Data memory that one worker may allocate, in bytes. */
  readonly workerMemoryBytes: number;
  readonly log: Logger;
}

interface VersionFolder {
  /** The folder of the model. */
  readonly folder: string;
  /** The folder of the version. Files missing there are taken from the model's folder. */
  readonly files: string;
  /** The graphs of the version, as found by `findGraphs`. */
  readonly graphFiles: ReadonlyMap<string, string>;
  readonly modelId: string;
  readonly manifest: ModelManifest;
  readonly number: number;
}

interface GraphFile {
  /** '' for `model.onnx`. */
  readonly variant: string;
  /** Read only when it is imported: the graphs of a store together can exceed the memory. */
  readonly file: string;
  readonly sizeBytes: number;
  readonly sha256: string;
}

/** The files of a version, before anything is run. */
interface VersionContents {
  readonly graphs: readonly GraphFile[];
  readonly goldenText: string | null;
  readonly hf: HuggingFaceFiles;
}

/** Imports a version if it is new, or if it failed before and its files, or the memory that it lacked, have changed. */
export async function importVersion(importer: Importer, version: VersionFolder): Promise<void> {
  const { modelId, manifest, number } = version;
  let source: string | undefined;
  try {
    if (manifest.taskProblem !== null) throw new ManifestError(manifest.taskProblem);
    const contents = await readContents(version);
    source = sourceDigest(contents, manifest);
    const recorded = await findVersionSource(importer.db, modelId, number);
    if (recorded && recorded.state !== 'FAILED')
      return await keepPublished(importer, version, contents, recorded, source);
    const known = [source, digestForMemory(source, importer)];
    if (recorded && known.includes(recorded.source_sha256)) return;
    await importContents(importer, version, contents, source);
  } catch (error) {
    if (!(error instanceof ManifestError)) throw error;
    const { reason, digest } = failureOf(error, source, importer);
    importer.log.error({ model: manifest.name, number, reason }, 'a version failed');
    await recordFailure(importer, modelId, number, reason, digest);
  }
}

/** What is recorded about a failed version. Its next import is skipped if it would have the same digest. */
function failureOf(error: ManifestError, source: string | undefined, importer: Importer) {
  // Without the digest of the source, the version is imported again at the next start.
  if (error instanceof ProbeKilledError)
    return { reason: `${error.message}; the import is retried at the next start`, digest: undefined };
  if (!(error instanceof ProbeMemoryError) || source === undefined) return { reason: error.message, digest: source };
  const { workerMemoryBytes } = importer;
  const reason = `${error.message}; WORKER_MEMORY_BYTES is ${workerMemoryBytes}: the import is retried when it is raised`;
  return { reason, digest: digestForMemory(source, importer) };
}

/** The digest of a version that failed for lack of memory, so that it is imported again with another limit. */
function digestForMemory(source: string, { workerMemoryBytes }: Importer): string {
  return sha256(`${source} with ${workerMemoryBytes} bytes`);
}

/** A published version never changes. Blobs that were lost from the data folder are restored from its files. */
async function keepPublished(
  importer: Importer,
  { manifest, number }: VersionFolder,
  { graphs, hf }: VersionContents,
  recorded: { readonly source_sha256: string; readonly artifact_sha256: string | null },
  source: string,
): Promise<void> {
  const isUnchanged = recorded.source_sha256 === source;
  if (!isUnchanged)
    importer.log.warn(
      { model: manifest.name, number },
      'the files of a published version have changed; the old version is kept. Add a new version folder for the changed files',
    );
  for (const { file, sha256, sizeBytes } of graphs) {
    const isUsed = isUnchanged || sha256 === recorded.artifact_sha256;
    if (isUsed) await restoreBlob(importer, { sha256, sizeBytes }, () => readBytes(file));
  }
  const { tokenizer } = hf;
  if (tokenizer === null || !isUnchanged) return;
  const blob = { sha256: sha256(tokenizer), sizeBytes: Buffer.byteLength(tokenizer) };
  await restoreBlob(importer, blob, async () => tokenizer);
}

async function restoreBlob(
  { blobs, log }: Importer,
  { sha256, sizeBytes }: { readonly sha256: string; readonly sizeBytes: number },
  read: () => Promise<Uint8Array | string>,
): Promise<void> {
  if (await blobs.has(sha256, sizeBytes)) return;
  await blobs.replace(await read());
  log.warn({ sha256 }, 'a lost blob was restored from the model store');
}

async function readContents({ folder, files, graphFiles }: VersionFolder): Promise<VersionContents> {
  const graphs: GraphFile[] = [];
  for (const [variant, file] of graphFiles) graphs.push({ variant, file, ...(await fileDigest(file)) });
  return {
    graphs,
    goldenText: await readText(path.join(files, 'golden.json')),
    hf: await readHuggingFaceFiles(files === folder ? [folder] : [files, folder]),
  };
}

/** The digest of everything that a version's answers depend on. The card is not part of it and can be edited at any time. */
function sourceDigest({ graphs, goldenText, hf }: VersionContents, { yaml, trainedOn }: ModelManifest): string {
  const digests = graphs.map(({ variant, sha256 }) => [variant, sha256]);
  // Release 0.1.0 also read a file of golden tokens. Without this key, all versions published by it would look changed.
  const texts = { goldenText, tokenizerGoldenText: null, hf: withReleasedWording(hf) };
  return sha256(JSON.stringify([digests, texts, yaml, trainedOn]));
}

/** Reasons in `sentences.refusal` and their wording in release 0.1.0, which is part of the digests of its versions. */
const RELEASED_WORDING: readonly (readonly [RegExp, string])[] = [
  [/ is not supported; export it as part of the graph$/, ' is not read here; export it into the graph'],
  [
    / is missing; modules\.json refers to it for the pooling$/,
    ' is missing, and modules.json names it: it says how the vectors of tokens become one',
  ],
  [
    /: a combination of poolings is not supported; use mean, cls, max or lasttoken$/,
    ': one of mean, cls, max or last token is read here, and no mixture',
  ],
];

function withReleasedWording(hf: HuggingFaceFiles): HuggingFaceFiles {
  if (!hf.sentences?.refusal) return hf;
  const refusal = RELEASED_WORDING.reduce((text, [now, then]) => text.replace(now, then), hf.sentences.refusal);
  return { ...hf, sentences: { ...hf.sentences, refusal } };
}

async function importContents(
  importer: Importer,
  version: VersionFolder,
  contents: VersionContents,
  source: string,
): Promise<void> {
  const { manifest, number } = version;
  if (contents.graphs.length === 0) throw new ManifestError(`${number}/model.onnx is missing`);
  faultPoint('import.begin'); // @fault
  const candidate = await sharedCandidateOf(importer, version, contents);
  const imported = await importGraphs(importer, candidate, contents.graphs);
  faultPoint('import.probed'); // @fault
  const row = readyVersion(version, source, imported);
  await importer.db.transaction().execute((trx) => addVersion(trx, row, manifest.trainedOn, Date.now()));
  faultPoint('import.saved'); // @fault
  const { maxBatch } = imported.probed.spec;
  importer.log.info({ model: manifest.name, number, maxBatch }, 'a version was imported');
}

interface ImportedGraphs {
  /** The graph that runs if no variant is requested. */
  readonly plain: GraphFile;
  readonly probed: ProbedVersion;
  /** Sorted by name. */
  readonly variants: readonly VariantSpec[];
}

async function importGraphs(
  importer: Importer,
  shared: SharedCandidate,
  graphs: readonly GraphFile[],
): Promise<ImportedGraphs> {
  const plain = graphs.find(({ variant }) => variant === '');
  const others = graphs.filter((graph) => graph !== plain).sort(byPreference);
  const variants: VariantSpec[] = [];
  let first = plain && { plain, probed: await probeGraph(importer, shared, plain) };
  const failures: { readonly name: string; readonly error: Error }[] = [];
  for (const graph of others) {
    // Golden cases apply to the graph that is the version. Other variants, such as quantized ones, may differ.
    const tried = await tryVariant(importer, first ? { ...shared, golden: null } : shared, graph);
    if ('probed' in tried) first ??= { plain: graph, probed: tried.probed };
    else failures.push({ name: graph.variant, error: tried.error });
    variants.push(tried.stored);
  }
  if (first) return { ...first, variants: variants.sort((a, b) => (a.name < b.name ? -1 : 1)) };
  const reasons = failures.map(({ name, error }) => `model_${name}.onnx: ${error.message}`).join('; ');
  const Worst = [ProbeKilledError, ProbeMemoryError].find((Kind) =>
    failures.some(({ error }) => error instanceof Kind),
  );
  throw new (Worst ?? ManifestError)(reasons);
}

const PREFERRED_VARIANTS = ['quantized', 'int8', 'uint8', 'fp16'];

/** The order in which variants are tried if there is no `model.onnx`. */
function byPreference(a: GraphFile, b: GraphFile): number {
  const rank = ({ variant }: GraphFile) =>
    PREFERRED_VARIANTS.includes(variant) ? PREFERRED_VARIANTS.indexOf(variant) : PREFERRED_VARIANTS.length;
  return rank(a) - rank(b) || (a.variant < b.variant ? -1 : 1);
}

type SharedCandidate = Pick<Candidate, 'sources' | 'golden' | 'tokenizerPath'>;

/** What all variants of the graph have in common. */
async function sharedCandidateOf(
  { blobs }: Importer,
  { manifest }: VersionFolder,
  { hf, goldenText }: VersionContents,
): Promise<SharedCandidate> {
  const tokenizerSha256 = hf.tokenizer === null ? null : await blobs.put(hf.tokenizer);
  return {
    sources: { manifest, hf, tokenizerSha256 },
    golden: goldenText === null ? null : parseGolden(goldenText),
    tokenizerPath: tokenizerSha256 === null ? null : blobs.pathOf(tokenizerSha256),
  };
}

async function probeGraph(
  { blobs, prober }: Importer,
  shared: SharedCandidate,
  graph: GraphFile,
): Promise<ProbedVersion> {
  const artifactSha256 = await blobs.put(await readBytes(graph.file));
  if (artifactSha256 !== graph.sha256)
    throw new ManifestError(`${path.basename(graph.file)} was changed while it was being read`);
  faultPoint('import.stored'); // @fault
  return probeCandidate(prober, { ...shared, artifactSha256, artifactPath: blobs.pathOf(artifactSha256) });
}

type TriedVariant = { readonly stored: VariantSpec } & ({ readonly probed: ProbedVersion } | { readonly error: Error });

async function tryVariant(importer: Importer, shared: SharedCandidate, graph: GraphFile): Promise<TriedVariant> {
  const { variant: name, sha256, sizeBytes } = graph;
  const stored = { name, sha256, sizeBytes };
  try {
    const probed = await probeGraph(importer, shared, graph);
    return { stored: { ...stored, spec: probed.spec, reason: null }, probed };
  } catch (error) {
    if (!(error instanceof ManifestError)) throw error;
    const { message: reason } = error;
    importer.log.warn({ variant: name, reason }, 'a variant cannot be used');
    return { stored: { ...stored, spec: null, reason }, error };
  }
}

function readyVersion(
  { modelId, number, manifest: { yaml } }: VersionFolder,
  source: string,
  { plain, probed: { spec, facts }, variants }: ImportedGraphs,
): NewVersion {
  return {
    model_id: modelId,
    number,
    state: 'READY',
    state_reason: null,
    spec: JSON.stringify(spec),
    source_sha256: source,
    artifact_sha256: plain.sha256,
    artifact_bytes: plain.sizeBytes,
    parameter_count: facts.parameterCount || null,
    opset: facts.opset,
    producer: facts.producer,
    framework: yaml.framework,
    framework_name: yaml.framework?.split(' ')[0] ?? null,
    variants: JSON.stringify(variants),
    preload: toFlag(yaml.preload),
    test_dataset: yaml.testData,
  };
}

/** Records a version as FAILED. Without a source digest, that of the reason is used, so that the same failure is not recorded again. */
export async function recordFailure(
  importer: Importer,
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
  };
}
