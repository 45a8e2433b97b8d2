/**
 * Synchronises the model store into the catalog at start: by digest, adding versions, never rewriting one.
 *
 * A folder that cannot be read, or whose model does not answer as its source framework did, becomes a FAILED version
 * with the reason; it stops nothing else.
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

/** What the evaluation slice still has to take over: metrics that a model card states. */
export interface ImportedCard {
  readonly modelId: string;
  readonly task: TaskName;
  readonly results: readonly ImportedResult[];
}

const DATASETS_FOLDER = 'datasets';
/** Recipes of models that are too large to be here until somebody adds them. */
const OPTIONAL_FOLDER = 'optional';

export async function importModelStore(importer: Importer, store: string): Promise<ImportedCard[]> {
  await importDatasets(importer, path.join(store, DATASETS_FOLDER));
  const folders = (await subfolders(store)).filter((name) => name !== DATASETS_FOLDER && name !== OPTIONAL_FOLDER);
  const own = withUniqueNames(importer, folders);
  const cards: ImportedCard[] = [];
  const importRest = async () => {
    for (let name = own.shift(); name !== undefined; name = own.shift()) {
      const card = await importModel(importer, path.join(store, name));
      if (card) cards.push(card);
    }
  };
  await Promise.all(Array.from({ length: CONCURRENT_IMPORTS }, importRest));
  return cards;
}

/** Each holds a graph in memory, and a process that tries it. */
const CONCURRENT_IMPORTS = 4;

/** Of folders whose names become one, the first is the model. */
function withUniqueNames({ log }: Importer, folders: readonly string[]): string[] {
  const firsts = new Map<string, string>();
  return folders.filter((folder) => {
    const name = modelNameOf(folder);
    const first = firsts.get(name);
    if (first === undefined) firsts.set(name, folder);
    else
      log.error(
        { model: name, folder, first },
        `the folders "${first}" and "${folder}" have one name, and the first is the model`,
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
    if (versions.size === 0) {
      const reason = manifest.taskProblem ?? (await reasonForMissingGraph(folder));
      await recordFailure(importer, modelId, 1, reason);
    }
    for (const [number, files] of versions) await importVersion(importer, { folder, files, modelId, manifest, number });
    return { modelId, task: manifest.yaml.task, results: manifest.results };
  } catch (error) {
    if (!(error instanceof ManifestError)) throw error;
    importer.log.error({ model: name, reason: error.message }, 'a model folder cannot be read');
    await recordUnreadableModel(importer, modelNameOf(name), error.message);
    return null;
  }
}

/** The folder of each version. What lies in the model's own folder, as in a repository of the Hub, is the first. */
async function findVersionFolders(folder: string): Promise<Map<number, string>> {
  const numbers = await readVersionNumbers(folder);
  const versions = new Map(numbers.map((number) => [number, path.join(folder, String(number))]));
  if (!versions.has(1) && (await findGraphs(folder)).size > 0) return new Map([[1, folder], ...versions]);
  return versions;
}

const MAX_NAMED_FILES = 3;

async function reasonForMissingGraph(folder: string): Promise<string> {
  const files = await readdir(folder);
  const inside = await readdir(path.join(folder, 'onnx')).catch(() => []);
  const named = inside.filter((file) => file.endsWith('.onnx')).sort();
  if (named.length > 0)
    return `onnx/model.onnx is missing: onnx/${named.slice(0, MAX_NAMED_FILES).join(', onnx/')} is there; rename it, or, where a model is in several graphs, export it as one`;
  const odd = files.find((file) => file.endsWith('.onnx'));
  if (odd) return `1/model.onnx is missing: rename ${odd}`;
  const weights = files.find((file) => /\.(safetensors|bin|pt|pth|h5|keras|pb|joblib|pkl|pickle|msgpack)$/.test(file));
  if (weights)
    return `onnx/model.onnx is missing: ${weights} is not read here, export it to ONNX (optimum-cli export onnx, tf2onnx, skl2onnx)`;
  return 'there is no graph: expected onnx/model.onnx (Hugging Face), or 1/model.onnx';
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

/** A model of which nothing could be read is still listed, so that its owner finds the reason where they look. */
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
