/**
 * The data files of a graph: weights that an exporter has written beside it, such as `model.onnx.data` (PyTorch since 2.9)
 * or `model.onnx_data` (Hugging Face). The graph names them. They are read from the version's folder only.
 */
import type { Stats } from 'node:fs';
import { access, realpath, stat } from 'node:fs/promises';
import { totalmem } from 'node:os';
import path from 'node:path';
import { ManifestError, shortened } from '../errors.js';
import { findDataLocations } from '../onnx/data-locations.js';
import type { DataFile } from '../tasks/spec.js';
import { ImportStoppedError } from './import-errors.js';
import { fileDigest, isWithin, refuseUnwatched, unreadableFile } from './store-file.js';

/** A data file in the model store. */
export interface StoredDataFile extends DataFile {
  readonly file: string;
}

/** Older exporters of PyTorch write a file for each tensor. */
const MAX_DATA_FILES = 1_000;
/** Data files can be padded, or be shared with graphs that are not part of the version. */
const MAX_SIZE_RATIO = 4;
const MAX_UNUSED_BYTES = 2 ** 30;
/** Of the memory of the machine. Weights are mapped into memory, so a model can be somewhat larger. */
const MAX_MEMORY_RATIO = 4;

/** Reads each file once, by device and inode: a graph can have many names for a file, and many graphs one file. */
export class FilesRead {
  readonly #digests = new Map<string, Awaited<ReturnType<typeof fileDigest>>>();
  readonly #locations = new Map<string, ReadonlyMap<string, number>>();
  readonly #signal: AbortSignal | undefined;

  constructor(signal?: AbortSignal) {
    this.#signal = signal;
  }

  /** @throws ManifestError; RetriedImportError when the signal is aborted */
  async digestOf(file: string, identity: string) {
    const digest = this.#digests.get(identity) ?? (await fileDigest(file, this.#signal));
    this.#digests.set(identity, digest);
    return digest;
  }

  /** The data files that a graph names, as `findDataLocations`. @throws as `digestOf` */
  async locationsOf(graphFile: string, identity: string): Promise<ReadonlyMap<string, number>> {
    const known = this.#locations.get(identity);
    if (known) return known;
    const locations = await findDataLocations(graphFile, MAX_DATA_FILES, this.#signal).catch((error) => {
      throw this.#signal?.aborted ? new ImportStoppedError() : unreadableFile(graphFile, error);
    });
    this.#locations.set(identity, locations);
    return locations;
  }
}

/** Device and inode of a file. */
export function identityOf({ dev, ino }: Stats): string {
  return `${dev}:${ino}`;
}

/**
 * Finds and hashes the data files of a graph. `folder`: that of the version, which they must not leave.
 *
 * @throws ManifestError that names the file; RetriedImportError when `signal` is aborted
 */
export async function readDataFiles(graphFile: string, folder: string, read: FilesRead): Promise<StoredDataFile[]> {
  const graph = path.basename(graphFile);
  const locations = await read.locationsOf(graphFile, identityOf(await stat(graphFile)));
  if (locations.size > MAX_DATA_FILES)
    throw new ManifestError(
      `${graph} keeps its weights in more than ${MAX_DATA_FILES} files: export it with one data file, for example with onnx.save_model(model, "${graph}", save_as_external_data=True, all_tensors_to_one_file=True)`,
    );
  const located: LocatedFile[] = [];
  for (const [location, neededBytes] of locations)
    located.push({ location, neededBytes, ...(await locate(graphFile, location, folder)) });
  refuseTooLarge(graph, located);
  const files: StoredDataFile[] = [];
  for (const { location, file, identity } of located) {
    files.push({ location, file, ...(await read.digestOf(file, identity)) });
  }
  return files;
}

interface LocatedFile {
  readonly location: string;
  /** Without symbolic links. */
  readonly file: string;
  /** Device and inode. */
  readonly identity: string;
  readonly sizeBytes: number;
  /** By the tensors that name this location. */
  readonly neededBytes: number;
}

/** Sparse files take no place on the disk, and hashing one can take days. */
function refuseTooLarge(graph: string, located: readonly LocatedFile[]): void {
  const distinct = [...new Map(located.map((one) => [one.identity, one])).values()];
  const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);
  const sizeBytes = sum(distinct.map((one) => one.sizeBytes));
  const neededBytes = sum(located.map((one) => one.neededBytes));
  const has = `the data files of ${graph} have ${sizeBytes} bytes`;
  if (sizeBytes > MAX_SIZE_RATIO * neededBytes + MAX_UNUSED_BYTES)
    throw new ManifestError(`${has}, of which its tensors use ${neededBytes}: export it with data files of its own`);
  if (sizeBytes > MAX_MEMORY_RATIO * totalmem())
    throw new ManifestError(`${has}, and this machine has a memory of ${totalmem()}: export a smaller model`);
}

/** The file without symbolic links. @throws ManifestError if it is missing or outside of the folder */
async function locate(
  graphFile: string,
  location: string,
  folder: string,
): Promise<Pick<LocatedFile, 'file' | 'identity' | 'sizeBytes'>> {
  const graph = path.basename(graphFile);
  const named = `${graph} keeps weights in the file "${shortened(location, MAX_NAME_CHARACTERS)}"`;
  const isInside = location !== '' && !path.isAbsolute(location) && !/[\0\\]/.test(location);
  const asPath = path.isAbsolute(location) ? ' by an absolute path' : '';
  if (!isInside || location.split('/').includes('..'))
    throw new ManifestError(
      `${named}${asPath}, but data files are read from the version's folder only: export the model again with a plain file name`,
    );
  const file = path.join(path.dirname(graphFile), location);
  refuseUnwatched(file, folder);
  const target = await realpath(file).catch(() => null);
  if (target === null)
    throw new ManifestError(`${named}, which is missing${await hintForMissing(graphFile, location)}`);
  if (!isWithin(target, await realpath(folder)))
    throw new ManifestError(
      `${named}, which is a link to a file outside of the version's folder: copy the file itself (of a repository in the cache of the Hugging Face Hub: hf download <repository> --local-dir <folder>)`,
    );
  const found = await stat(target);
  if (!found.isFile()) throw new ManifestError(`${named}, which is not a regular file`);
  return { file: target, identity: identityOf(found), sizeBytes: found.size };
}

async function hintForMissing(graphFile: string, location: string): Promise<string> {
  for (const suffix of ['.data', '_data']) {
    const found = await access(graphFile + suffix).then(
      () => path.basename(graphFile + suffix),
      () => null,
    );
    if (found)
      return `: the graph was saved with another name than ${found}; rename ${found} to ${shortened(location, MAX_NAME_CHARACTERS)}, or export the model again as ${path.basename(graphFile)}`;
  }
  return `: copy it from where the model was exported, next to ${path.basename(graphFile)}`;
}

const MAX_NAME_CHARACTERS = 100;
