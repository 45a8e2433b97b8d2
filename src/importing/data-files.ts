/**
 * The data files of a graph: weights that an exporter has written beside it, such as `model.onnx.data` (PyTorch since 2.9)
 * or `model.onnx_data` (Hugging Face). The graph names them. They are read from the version's folder only.
 */
import { access, realpath, stat } from 'node:fs/promises';
import path from 'node:path';
import { ManifestError, shortened } from '../errors.js';
import { findDataLocations } from '../onnx/data-locations.js';
import type { DataFile } from '../tasks/spec.js';
import { fileDigest, unreadableFile } from './store-file.js';

/** A data file in the model store. */
export interface StoredDataFile extends DataFile {
  readonly file: string;
}

/** Older exporters of PyTorch write a file for each tensor. */
const MAX_DATA_FILES = 1_000;

/**
 * Finds and hashes the data files of a graph. `folder`: that of the version, which they must not leave.
 *
 * @throws ManifestError that names the file
 */
export async function readDataFiles(graphFile: string, folder: string): Promise<StoredDataFile[]> {
  const graph = path.basename(graphFile);
  const locations = await findDataLocations(graphFile, MAX_DATA_FILES).catch((error) => {
    throw unreadableFile(graphFile, error);
  });
  if (locations.length > MAX_DATA_FILES)
    throw new ManifestError(
      `${graph} keeps its weights in more than ${MAX_DATA_FILES} files: export it with one data file, for example with onnx.save_model(model, "${graph}", save_as_external_data=True, all_tensors_to_one_file=True)`,
    );
  const files: StoredDataFile[] = [];
  for (const location of locations) {
    const file = await locate(graphFile, location, folder);
    files.push({ location, file, ...(await fileDigest(file)) });
  }
  return files;
}

/** The file without symbolic links. @throws ManifestError if it is missing or outside of the folder */
async function locate(graphFile: string, location: string, folder: string): Promise<string> {
  const graph = path.basename(graphFile);
  const named = `${graph} keeps weights in the file "${shortened(location, MAX_NAME_CHARACTERS)}"`;
  const isInside = location !== '' && !path.isAbsolute(location) && !/[\0\\]/.test(location);
  if (!isInside || location.split('/').includes('..'))
    throw new ManifestError(
      `${named}, but data files are read from the version's folder only: export the model again with a plain file name`,
    );
  const file = path.join(path.dirname(graphFile), location);
  const target = await realpath(file).catch(() => null);
  if (target === null)
    throw new ManifestError(`${named}, which is missing${await hintForMissing(graphFile, location)}`);
  const inside = path.relative(await realpath(folder), target);
  if (inside.startsWith('..') || path.isAbsolute(inside))
    throw new ManifestError(
      `${named}, which is a link to a file outside of the version's folder: copy the file itself`,
    );
  if (!(await stat(target)).isFile()) throw new ManifestError(`${named}, which is not a regular file`);
  return target;
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
