/**
 * Imports the model store into the catalog at start. Compares digests, adds new versions and never changes published ones.
 *
 * A folder that cannot be read, or whose model fails its golden cases, becomes a FAILED version with the reason, and does
 * not affect other models.
 */
import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { SYSTEM } from '../access/principal.js';
import { findModelsByNames } from '../catalog/model.queries.js';
import { MODEL_NAME } from '../catalog/ref.js';
import { saveModel, type Trx } from '../catalog/registration.queries.js';
import { ManifestError } from '../errors.js';
import type { TaskName } from '../tasks/tasks.js';
import { findGraphs } from './hugging-face.js';
import { importDatasets } from './import-datasets.js';
import { type Importer, importVersion, recordFailure } from './import-version.js';
import {
  type ImportedResult,
  type ModelManifest,
  modelNameOf,
  readModelManifest,
  readVersionNumbers,
  subfolders,
} from './manifest.js';

/** Metrics stated in a model card, which `evaluation/` imports. */
export interface ImportedCard {
  readonly modelId: string;
  readonly task: TaskName;
  readonly results: readonly ImportedResult[];
}

const DATASETS_FOLDER = 'datasets';
/** Recipes of models that are too large for the repository; `npm run models:add` adds them. */
const OPTIONAL_FOLDER = 'optional';

export async function importModelStore(importer: Importer, store: string): Promise<ImportedCard[]> {
  await importDatasets(importer, path.join(store, DATASETS_FOLDER));
  const folders = (await subfolders(store)).filter((name) => name !== DATASETS_FOLDER && name !== OPTIONAL_FOLDER);
  const remaining = withUniqueNames(importer, folders);
  const cards: ImportedCard[] = [];
  const importRest = async () => {
    for (let name = remaining.shift(); name !== undefined; name = remaining.shift()) {
      const card = await importModel(importer, path.join(store, name));
      if (card) cards.push(card);
    }
  };
  await Promise.all(Array.from({ length: CONCURRENT_IMPORTS }, importRest));
  return cards;
}

/** Each import holds a graph in memory and runs a process. */
const CONCURRENT_IMPORTS = 4;

/** Leaves out folders whose model name is already taken by an earlier folder. */
function withUniqueNames({ log }: Importer, folders: readonly string[]): string[] {
  const firsts = new Map<string, string>();
  return folders.filter((folder) => {
    const name = modelNameOf(folder);
    const first = firsts.get(name);
    if (first === undefined) firsts.set(name, folder);
    else
      log.error(
        { model: name, folder, first },
        `the folders "${first}" and "${folder}" have the same model name; only the first is imported`,
      );
    return first === undefined;
  });
}

async function importModel(importer: Importer, folder: string): Promise<ImportedCard | null> {
  const name = path.basename(folder);
  try {
    const manifest = await readModelManifest(folder);
    const modelId = await importer.db.transaction().execute((trx) => saveModelOf(trx, manifest));
    const versions = await findVersionFolders(folder);
    if (versions.length === 0) {
      const reason = manifest.taskProblem ?? (await reasonForMissingGraph(folder));
      await recordFailure(importer, modelId, 1, reason);
    }
    for (const version of versions) await importVersion(importer, { ...version, folder, modelId, manifest });
    return { modelId, task: manifest.yaml.task, results: manifest.results };
  } catch (error) {
    if (!(error instanceof ManifestError)) throw error;
    importer.log.error({ model: name, reason: error.message }, 'a model folder cannot be read');
    await recordUnreadableModel(importer, modelNameOf(name), error.message);
    return null;
  }
}

/** The folder and the graphs of each version. Graphs in the model's own folder, as in a Hugging Face repository, are version 1. */
async function findVersionFolders(folder: string) {
  const numbers = await readVersionNumbers(folder);
  const versions = [];
  for (const number of numbers.includes(1) ? numbers : [1, ...numbers]) {
    const files = numbers.includes(number) ? path.join(folder, String(number)) : folder;
    const graphFiles = await findGraphs(files);
    if (files !== folder || graphFiles.size > 0) versions.push({ number, files, graphFiles });
  }
  return versions;
}

const MAX_NAMED_FILES = 3;

async function reasonForMissingGraph(folder: string): Promise<string> {
  const files = await readdir(folder);
  const onnxFolder = await readdir(path.join(folder, 'onnx')).catch(() => []);
  const named = onnxFolder.filter((file) => file.endsWith('.onnx')).sort();
  if (named.length > 0)
    return `onnx/model.onnx is missing: found onnx/${named.slice(0, MAX_NAMED_FILES).join(', onnx/')}; rename it, or, if the model is split into several graphs, export it as one`;
  const graph = files.find((file) => file.endsWith('.onnx'));
  if (graph) return `1/model.onnx is missing: move ${graph} to 1/model.onnx`;
  const weights = files.find((file) => /\.(safetensors|bin|pt|pth|h5|keras|pb|joblib|pkl|pickle|msgpack)$/.test(file));
  if (weights)
    return `onnx/model.onnx is missing: ${weights} is not an ONNX file; export the model to ONNX, for example with optimum-cli export onnx, tf2onnx or skl2onnx`;
  return 'there is no graph: add 1/model.onnx, or onnx/model.onnx in a Hugging Face repository';
}

function saveModelOf(trx: Trx, { name, card, license, tags, yaml }: ModelManifest): Promise<string> {
  const { title, summary, ...sections } = card;
  const model = {
    name,
    title,
    summary,
    task: yaml.task,
    owner: yaml.owner,
    license,
    retention_days: yaml.retentionDays,
    tags,
  };
  return saveModel(trx, { ...model, card: JSON.stringify(sections) }, Date.now());
}

/** Lists a model whose folder could not be read, so that its owner finds the reason in the catalog. */
async function recordUnreadableModel(importer: Importer, name: string, reason: string): Promise<void> {
  const markdown = `This folder could not be read: ${reason}`;
  const model = {
    name,
    title: name,
    summary: null,
    task: 'TENSOR',
    owner: null,
    license: null,
    retention_days: null,
    tags: [],
  };
  if (!MODEL_NAME.test(name) || (await findModelsByNames(importer.db, SYSTEM, [name])).length > 0) return;
  const id = await importer.db
    .transaction()
    .execute((trx) => saveModel(trx, { ...model, card: JSON.stringify({ markdown }) }, Date.now()));
  await recordFailure(importer, id, 1, reason);
}
