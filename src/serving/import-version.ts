/**
 * One version of a model, from its folder into the catalog: read, stored under its digests, probed, recorded.
 *
 * A folder may hold several forms of one graph (`model.onnx`, `model_quantized.onnx` …). The plain one is the version; the
 * others are variants of it, and one that cannot be used takes nothing from it.
 */
import path from 'node:path';
import type { Logger } from 'pino';
import { addVersion, findVersionSource, type NewVersion } from '../catalog/registration.queries.js';
import type { Pool } from '../engine/pool.js';
import { faultPoint } from '../fault-points.js'; // @fault
import { type BlobFolder, sha256 } from '../storage/blobs.js';
import type { CatalogDatabase } from '../storage/database.js';
import type { VariantSpec } from '../tasks/spec.js';
import { parseGolden, parseTokenizerGolden } from './golden.js';
import { findGraphs, type HuggingFaceFiles, readHuggingFaceFiles } from './hugging-face.js';
import type { ModelManifest } from './manifest.js';
import { type Candidate, type ProbedVersion, ProbeKilledError, probe } from './probe.js';
import { ManifestError, readBytes, readText } from './store-file.js';

export interface Importer {
  readonly db: CatalogDatabase;
  readonly blobs: BlobFolder;
  readonly pool: Pool;
  readonly log: Logger;
}

interface VersionFolder {
  /** Of the model. */
  readonly folder: string;
  /** Of the version; what it lacks is looked for in the model's. */
  readonly files: string;
  readonly modelId: string;
  readonly manifest: ModelManifest;
  readonly number: number;
}

/** What the files of a version say, before anything is run. */
interface Contents {
  readonly graphs: readonly { readonly variant: string; readonly bytes: Uint8Array; readonly sha256: string }[];
  readonly goldenText: string | null;
  readonly tokenizerGoldenText: string | null;
  readonly hf: HuggingFaceFiles;
}

export async function importVersion(importer: Importer, version: VersionFolder): Promise<void> {
  const { modelId, manifest, number } = version;
  try {
    const contents = await readContents(version);
    const source = sourceOf(contents, manifest);
    const known = await importer.db.transaction().execute((trx) => findVersionSource(trx, modelId, number));
    if (known?.source_sha256 === source) return;
    if (known && known.state !== 'FAILED') {
      importer.log.warn(
        { model: manifest.name, number },
        'a published version has changed on disk and is left as it was; add a new version folder',
      );
      return;
    }
    await importContents(importer, version, contents, source);
  } catch (error) {
    if (!(error instanceof ManifestError)) throw error;
    importer.log.error({ model: manifest.name, number, reason: error.message }, 'a version failed');
    await recordFailure(importer, modelId, number, error.message);
  }
}

async function readContents({ folder, files }: VersionFolder): Promise<Contents> {
  const graphs = await Promise.all(
    Array.from(await findGraphs(files), async ([variant, file]) => {
      const bytes = await readBytes(file);
      return { variant, bytes, sha256: sha256(bytes) };
    }),
  );
  return {
    graphs,
    goldenText: await readText(path.join(files, 'golden.json')),
    tokenizerGoldenText: await readText(path.join(files, 'tokenizer-golden.json')),
    hf: await readHuggingFaceFiles(files === folder ? [folder] : [files, folder]),
  };
}

/** What a version answers follows from these alone; the card may be edited at any time. */
function sourceOf({ graphs, ...texts }: Contents, { yaml, trainedOn }: ModelManifest): string {
  const digests = graphs.map(({ variant, sha256 }) => [variant, sha256]);
  return sha256(JSON.stringify([digests, texts, yaml, trainedOn]));
}

async function importContents(
  importer: Importer,
  version: VersionFolder,
  contents: Contents,
  source: string,
): Promise<void> {
  const { modelId, manifest, number } = version;
  try {
    const [plain, ...others] = contents.graphs;
    if (!plain) throw new ManifestError(`${number}/model.onnx is missing`);
    faultPoint('import.begin'); // @fault
    const candidate = await candidateOf(importer, version, contents);
    const probed = await probeGraph(importer, candidate, plain);
    const variants = [];
    for (const other of others) variants.push(await importVariant(importer, candidate, other));
    faultPoint('import.probed'); // @fault
    const row = { ...readyVersion(version, source, plain, probed), variants: JSON.stringify(variants) };
    await importer.db.transaction().execute((trx) => addVersion(trx, row, manifest.trainedOn, Date.now()));
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

type Shared = Pick<Candidate, 'sources' | 'golden' | 'tokenizerGolden' | 'tokenizerPath'>;

/** What all forms of the graph have in common. */
async function candidateOf(
  { blobs }: Importer,
  { manifest }: VersionFolder,
  { hf, goldenText, tokenizerGoldenText }: Contents,
): Promise<Shared> {
  const tokenizerSha256 = hf.tokenizer === null ? null : await blobs.put(hf.tokenizer);
  return {
    sources: { manifest, hf, tokenizerSha256 },
    golden: goldenText === null ? null : parseGolden(goldenText),
    tokenizerGolden: tokenizerGoldenText === null ? null : parseTokenizerGolden(tokenizerGoldenText),
    tokenizerPath: tokenizerSha256 === null ? null : blobs.pathOf(tokenizerSha256),
  };
}

async function probeGraph(
  { blobs, pool }: Importer,
  shared: Shared,
  { bytes }: Contents['graphs'][number],
): Promise<ProbedVersion> {
  const artifactSha256 = await blobs.put(bytes);
  faultPoint('import.stored'); // @fault
  return probe(pool, { ...shared, artifactSha256, artifactPath: blobs.pathOf(artifactSha256) });
}

/** Its numbers are rougher than those of the source framework, so no golden case is asked of it. */
async function importVariant(
  importer: Importer,
  shared: Shared,
  graph: Contents['graphs'][number],
): Promise<VariantSpec> {
  const { variant: name, sha256, bytes } = graph;
  const stored = { name, sha256, sizeBytes: bytes.byteLength };
  try {
    const { spec } = await probeGraph(importer, { ...shared, golden: null, tokenizerGolden: null }, graph);
    return { ...stored, spec, reason: null };
  } catch (error) {
    if (!(error instanceof ManifestError)) throw error;
    importer.log.warn({ variant: name, reason: error.message }, 'a variant cannot be used');
    return { ...stored, spec: null, reason: error.message };
  }
}

function readyVersion(
  { modelId, number, manifest: { yaml } }: VersionFolder,
  source: string,
  graph: Contents['graphs'][number],
  { spec, facts }: ProbedVersion,
): NewVersion {
  return {
    ...emptyVersion(modelId, number, source),
    state: 'READY',
    spec: JSON.stringify(spec),
    artifact_sha256: graph.sha256,
    artifact_bytes: graph.bytes.byteLength,
    parameter_count: facts.parameterCount || null,
    opset: facts.opset,
    producer: facts.producer,
    framework: yaml.framework,
    framework_name: yaml.framework?.split(' ')[0] ?? null,
    preload: Number(yaml.preload),
    test_dataset: yaml.testData,
  };
}

/** Without the digest of what failed, the same failure is not news. */
export async function recordFailure(
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
    variants: '[]',
    preload: 0,
    test_dataset: null,
  };
}
