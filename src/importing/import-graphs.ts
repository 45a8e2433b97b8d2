/**
 * Stores and probes the graphs of a version. A folder can contain several variants of a graph (`model.onnx`,
 * `model_quantized.onnx` …). `model.onnx` is the version itself, and the others are listed as its variants; one that cannot
 * be used does not affect the version. Without `model.onnx`, the first usable variant is the version.
 */
import path from 'node:path';
import { Readable } from 'node:stream';
import type { Logger } from 'pino';
import type { NewVersion } from '../catalog/registration.queries.js';
import { ManifestError, RetriedImportError } from '../errors.js';
import { faultPoint } from '../fault-points.js'; // @fault
import { type BlobFolder, sha256 } from '../storage/blobs.js';
import type { CatalogDatabase } from '../storage/database.js';
import type { VariantSpec } from '../tasks/stored-spec.js';
import { parseGolden } from './golden.js';
import type { ModelManifest } from './manifest.js';
import {
  type Candidate,
  type ProbedVersion,
  ProbeKilledError,
  ProbeMemoryError,
  type Prober,
  probeCandidate,
} from './probe.js';
import { chunksOf } from './store-file.js';
import { type GraphFile, totalBytes, type VersionContents } from './version-files.js';

export interface ImportParts {
  readonly db: CatalogDatabase;
  readonly blobs: BlobFolder;
  readonly prober: Prober;
  readonly log: Logger;
  /** Aborted when the server stops. */
  readonly signal?: AbortSignal | undefined;
}

export interface ImportedGraphs {
  /** The graph that runs if no variant is requested. */
  readonly plain: GraphFile;
  readonly probed: ProbedVersion;
  /** Sorted by name. */
  readonly variants: readonly VariantSpec[];
}

/** @throws ManifestError with the reasons why no graph can be used */
export async function importGraphs(
  importer: ImportParts,
  manifest: ModelManifest,
  contents: VersionContents,
): Promise<ImportedGraphs> {
  const { graphs } = contents;
  const shared = await sharedCandidateOf(importer, manifest, contents);
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
  const Worst = [RetriedImportError, ProbeMemoryError].find((Kind) =>
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

/** The columns of a version that depend on its graphs. */
export function storedSpecs({ probed, variants }: ImportedGraphs): Pick<NewVersion, 'spec' | 'variants'> {
  return { spec: JSON.stringify(probed.spec), variants: JSON.stringify(variants) };
}

type SharedCandidate = Pick<Candidate, 'sources' | 'golden' | 'tokenizerPath'>;

/** What all variants of the graph have in common. */
async function sharedCandidateOf(
  { blobs }: ImportParts,
  manifest: ModelManifest,
  { hf: read, goldenText }: VersionContents,
): Promise<SharedCandidate> {
  // Golden cases may come from an earlier release of transformers, and show whether tokenizer.json is right as it is.
  const isCertain = read.ofClass && 'isCertain' in read.ofClass && read.ofClass.isCertain;
  const ofClass = goldenText === null || isCertain ? read.ofClass : undefined;
  const hf = ofClass && 'tokenizer' in ofClass ? { ...read, tokenizer: ofClass.tokenizer } : read;
  const tokenizerSha256 = hf.tokenizer === null ? null : await storeText(blobs, hf.tokenizer);
  return {
    sources: {
      manifest,
      hf,
      tokenizerSha256,
      ...(ofClass && 'problem' in ofClass ? { tokenizerProblem: ofClass.problem } : {}),
    },
    golden: goldenText === null ? null : parseGolden(goldenText),
    tokenizerPath: tokenizerSha256 === null ? null : blobs.pathOf(tokenizerSha256),
  };
}

/** Unlike `BlobFolder.put`, replaces a blob that is damaged. */
async function storeText(blobs: BlobFolder, text: string): Promise<string> {
  const bytes = Buffer.from(text);
  const digest = sha256(bytes);
  await blobs.putChunks(digest, Readable.from([bytes]));
  return digest;
}

async function probeGraph(
  { blobs, prober, signal }: ImportParts,
  shared: SharedCandidate,
  graph: GraphFile,
): Promise<ProbedVersion> {
  for (const { file, sha256 } of [graph, ...graph.dataFiles])
    if (!(await blobs.putChunks(sha256, bytesOf(file, signal), signal))) throw new ChangedFileError(file);
  faultPoint('import.stored'); // @fault
  const dataFiles = graph.dataFiles.map(({ location, sha256, sizeBytes }) => ({ location, sha256, sizeBytes }));
  const artifact = { artifactSha256: graph.sha256, artifactPath: blobs.pathOf(graph.sha256) };
  const dataBlobs = { folder: blobs.folder, paths: dataFiles.map(({ sha256 }) => blobs.pathOf(sha256)) };
  return probeCandidate(prober, { ...shared, ...artifact, dataFiles, dataBlobs });
}

/** @throws ChangedFileError if the file, which has been read once, cannot be read: it is being replaced */
async function* bytesOf(file: string, signal?: AbortSignal): AsyncGenerator<Uint8Array> {
  try {
    yield* chunksOf(file, signal);
  } catch (error) {
    const isOfFile = error instanceof ManifestError && !(error instanceof RetriedImportError);
    throw isOfFile ? new ChangedFileError(file) : error;
  }
}

/** The digest of the version is that of the files before they changed, and they may change back. */
class ChangedFileError extends RetriedImportError {
  constructor(file: string) {
    super(`${path.basename(file)} was changed while it was being read`);
  }
}

function triedWhenRaised(workerMemoryBytes: number): string {
  return `WORKER_MEMORY_BYTES is ${workerMemoryBytes}: it is tried again when it is raised`;
}

type TriedVariant = { readonly stored: VariantSpec } & ({ readonly probed: ProbedVersion } | { readonly error: Error });

async function tryVariant(importer: ImportParts, shared: SharedCandidate, graph: GraphFile): Promise<TriedVariant> {
  const { variant: name, sha256 } = graph;
  const stored = { name, sha256, sizeBytes: totalBytes(graph) };
  try {
    const probed = await probeGraph(importer, shared, graph);
    return { stored: { ...stored, spec: probed.spec, reason: null }, probed };
  } catch (error) {
    const isKilled = error instanceof ProbeKilledError;
    // What is recorded of a variant is part of its version, and stays, unless a note says that it is probed again.
    if (!(error instanceof ManifestError) || (error instanceof RetriedImportError && !isKilled)) throw error;
    const { workerMemoryBytes } = importer.prober;
    const lack = isKilled
      ? { unprobedBytes: 0, reason: `${error.message}; it is tried again at the next start` }
      : error instanceof ProbeMemoryError
        ? { unprobedBytes: workerMemoryBytes, reason: `${error.message}; ${triedWhenRaised(workerMemoryBytes)}` }
        : { reason: error.message };
    importer.log.warn({ variant: name, reason: lack.reason }, 'a variant cannot be used');
    return { stored: { ...stored, spec: null, ...lack }, error };
  }
}
