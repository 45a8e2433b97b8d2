/** The files of one version in the model store. Nothing is run, and graphs, which can be large, are only hashed. */
import { createHash } from 'node:crypto';
import { stat } from 'node:fs/promises';
import path from 'node:path';
import { ManifestError } from '../errors.js';
import { GRAPH_LIMITS } from '../onnx/graph-scan.js';
import { distinctBytes } from '../tasks/data-bytes.js';
import { FilesRead, identityOf, readDataFiles, type StoredDataFile } from './data-files.js';
import { findGraphs, type HuggingFaceFiles, readHuggingFaceFiles } from './hugging-face.js';
import { type ModelManifest, readVersionNumbers } from './manifest.js';
import { readText, sizeOf } from './store-file.js';

export interface VersionFolder {
  /** The folder of the model. */
  readonly folder: string;
  /** The folder of the version. Files missing there are taken from the model's folder. */
  readonly files: string;
  /** The graphs of the version, as found by `findGraphs`. */
  readonly graphFiles: ReadonlyMap<string, string>;
  readonly number: number;
}

export interface GraphFile {
  /** '' for `model.onnx`. */
  readonly variant: string;
  /** Read only when it is imported: the graphs of a store together can exceed the memory. */
  readonly file: string;
  readonly sizeBytes: number;
  readonly sha256: string;
  /** The files that hold the data of its tensors; usually none. */
  readonly dataFiles: readonly StoredDataFile[];
}

/** Size of the graph with its data files, in bytes. */
export function totalBytes({ sizeBytes, dataFiles }: GraphFile): number {
  return sizeBytes + distinctBytes(dataFiles);
}

/** With its variants, each of which is read and probed. Exporters write up to a dozen. */
const MAX_GRAPHS = 21;

/** The files of a version, before anything is run. */
export interface VersionContents {
  readonly graphs: readonly GraphFile[];
  readonly goldenText: string | null;
  readonly hf: HuggingFaceFiles;
}

/** The folder and the graphs of each version. Graphs in the model's own folder, as in a Hugging Face repository, are version 1. */
export async function findVersionFolders(folder: string): Promise<VersionFolder[]> {
  const numbers = await readVersionNumbers(folder);
  const versions: VersionFolder[] = [];
  for (const number of numbers.includes(1) ? numbers : [1, ...numbers]) {
    const files = numbers.includes(number) ? path.join(folder, String(number)) : folder;
    const graphFiles = await findGraphs(files);
    if (files !== folder || graphFiles.size > 0) versions.push({ folder, number, files, graphFiles });
  }
  return versions;
}

/** @throws ManifestError; RetriedImportError when `signal` is aborted */
export async function readContents(
  { folder, files, graphFiles }: VersionFolder,
  signal?: AbortSignal,
): Promise<VersionContents> {
  const graphs: GraphFile[] = [];
  const read = new FilesRead(signal);
  if (graphFiles.size > MAX_GRAPHS)
    throw new ManifestError(
      `there are ${graphFiles.size} graphs, and a version can have at most ${MAX_GRAPHS}: remove variants, or put them into other models`,
    );
  for (const [variant, file] of graphFiles) {
    refuseLargeGraph(file, await sizeOf(file, folder));
    const dataFiles = await readDataFiles(file, files, read);
    graphs.push({ variant, file, ...(await read.digestOf(file, identityOf(await stat(file)))), dataFiles });
  }
  return {
    graphs,
    goldenText: await readText(path.join(files, 'golden.json'), folder),
    hf: await readHuggingFaceFiles(files === folder ? [folder] : [files, folder]),
  };
}

/** @throws ManifestError */
function refuseLargeGraph(file: string, sizeBytes: number): void {
  const name = path.basename(file);
  if (sizeBytes > GRAPH_LIMITS.maxBytes)
    throw new ManifestError(
      `${name} has ${sizeBytes} bytes, and an ONNX file can have at most ${GRAPH_LIMITS.maxBytes}: export it with its weights in a data file, for example with onnx.save_model(model, "${name}", save_as_external_data=True)`,
    );
}

/** The digest of everything that a version's answers depend on. The card is not part of it and can be edited at any time. */
export function sourceDigest(contents: VersionContents, manifest: ModelManifest): string {
  return digestOf([...sourceOf(contents, manifest), ...keysOfImage(manifest)]);
}

/** The digest as it was before it had the keys of `image` that are set to their defaults; for published versions. */
export function earlierDigest(contents: VersionContents, manifest: ModelManifest): string {
  return digestOf(sourceOf(contents, manifest));
}

/** The defaults of `fit` and `resample` depend on the outputs, so that it matters whether they are set. */
function keysOfImage({ imageKeys }: ModelManifest): (readonly string[])[] {
  return imageKeys.length > 0 ? [imageKeys.toSorted()] : [];
}

function sourceOf({ graphs, goldenText, hf }: VersionContents, { yaml, trainedOn }: ModelManifest): unknown[] {
  const digests = graphs.map(({ variant, sha256, dataFiles }) => {
    const data = dataFiles.map(({ location, sha256 }) => [location, sha256]);
    return data.length > 0 ? [variant, sha256, data] : [variant, sha256];
  });
  // Release 0.1.0 also read a file of golden tokens. Without this key, all versions published by it would look changed.
  const texts = { goldenText, tokenizerGoldenText: null, hf: withReleasedWording(hf) };
  return [digests, texts, yaml, trainedOn];
}

/** Of the texts in what the digest is made of: together they can be longer than a string. */
const LEVELS_OF_TEXTS = 3;

function digestOf(source: readonly unknown[]): string {
  const hash = createHash('sha256');
  for (const part of jsonParts(source, LEVELS_OF_TEXTS)) hash.update(part);
  return hash.digest('hex');
}

/** As `JSON.stringify`, with the values of the first levels in parts of their own. */
function* jsonParts(value: object, levels: number): Generator<string> {
  const isList = Array.isArray(value);
  let separator = isList ? '[' : '{';
  for (const [key, one] of Object.entries(value)) {
    if (one === undefined) continue;
    yield isList ? separator : `${separator}${JSON.stringify(key)}:`;
    separator = ',';
    if (levels > 1 && typeof one === 'object' && one !== null) yield* jsonParts(one, levels - 1);
    else yield JSON.stringify(one);
  }
  yield separator === ',' ? '' : separator;
  yield isList ? ']' : '}';
}

/** Reasons in `sentences.refusal` and their wording in release 0.1.0, which is part of the digests of its versions. */
const RELEASED_WORDING: readonly (readonly [RegExp, string])[] = [
  [
    / is not supported; export it as part of the graph(, with an output .*)?$/,
    ' is not read here; export it into the graph',
  ],
  [
    / is missing; modules\.json refers to it for the pooling: .*$/,
    ' is missing, and modules.json names it: it says how the vectors of tokens become one',
  ],
  [
    /: the pooling .* is not supported; use mean, cls, max or lasttoken, or export .*$/,
    ': one of mean, cls, max or last token is read here, and no mixture',
  ],
];

function withReleasedWording({ ofClass: _, ...hf }: HuggingFaceFiles): HuggingFaceFiles {
  if (!hf.sentences?.refusal) return hf;
  const refusal = RELEASED_WORDING.reduce((text, [now, then]) => text.replace(now, then), hf.sentences.refusal);
  return { ...hf, sentences: { ...hf.sentences, refusal } };
}
