/**
 * Imports the model store into the catalog at start. Compares digests, adds new versions and never changes published ones.
 *
 * A folder that cannot be read, or whose model fails its golden cases, becomes a FAILED version with the reason, and does
 * not affect other models.
 */
import { readdir } from 'node:fs/promises';
import path from 'node:path';
import type { Logger } from 'pino';
import { SYSTEM } from '../access/principal.js';
import { findModelsByNames } from '../catalog/model.queries.js';
import { MODEL_NAME } from '../catalog/ref.js';
import { findUnchangedModel, type NewModel, saveModel } from '../catalog/registration.queries.js';
import type { Engine } from '../engine/engine.js';
import { ManifestError } from '../errors.js';
import type { BlobFolder } from '../storage/blobs.js';
import type { CatalogDatabase } from '../storage/database.js';
import type { TaskName } from '../tasks/tasks.js';
import { unlessDiskIsFull } from './full-disk.js';
import { importDatasets } from './import-datasets.js';
import type { Importer } from './import-graphs.js';
import { importVersion, recordFailure } from './import-version.js';
import { type ImportedResult, type ModelManifest, modelNameOf, readModelManifest, subfolders } from './manifest.js';
import { findVersionFolders } from './version-files.js';

/** Metrics stated in a model card, which `evaluation/` imports. */
export interface ImportedCard {
  readonly modelId: string;
  readonly task: TaskName;
  readonly results: readonly ImportedResult[];
}

const DATASETS_FOLDER = 'datasets';
/** Recipes of models that are too large for the repository; `npm run models:add` adds them. */
const OPTIONAL_FOLDER = 'optional';

interface Parts {
  readonly db: CatalogDatabase;
  readonly blobs: BlobFolder;
  readonly engine: Pick<Engine, 'provider' | 'startProbes' | 'workerMemoryBytes'>;
  readonly log: Logger;
  /** Called at the beginning and after each folder. */
  readonly onProgress?: (done: number, total: number) => void;
}

/** Imports what is new and writes nothing for what has not changed. */
export async function importModelStore(parts: Parts, store: string): Promise<ImportedCard[]> {
  const { db, blobs, engine, log } = parts;
  const processes = engine.startProbes();
  const { provider, workerMemoryBytes } = engine;
  const importer: Importer = { db, blobs, log, prober: { provider, workerMemoryBytes, processes } };
  try {
    await importDatasets(importer, path.join(store, DATASETS_FOLDER));
    const folders = (await subfolders(store)).filter((name) => name !== DATASETS_FOLDER && name !== OPTIONAL_FOLDER);
    const remaining = withUniqueNames(importer, folders);
    const progress = new Progress(remaining.length, parts);
    const cards: ImportedCard[] = [];
    const importRest = async () => {
      for (let name = remaining.shift(); name !== undefined; name = remaining.shift()) {
        const folder = path.join(store, name);
        const card = await unlessDiskIsFull(log, { folder: name }, () => importModel(importer, folder));
        if (card) cards.push(card);
        progress.count();
      }
    };
    await Promise.all(Array.from({ length: CONCURRENT_IMPORTS }, importRest));
    log.info({ folders: progress.total, probeProcesses: processes.started }, 'the model store was imported');
    return cards;
  } finally {
    processes.end();
  }
}

const LOG_INTERVAL_MS = 5_000;

/** Reports how many folders have been imported, and logs it every five seconds. */
class Progress {
  readonly total: number;
  readonly #parts: Parts;
  #done = 0;
  #loggedAt = performance.now();

  constructor(total: number, parts: Parts) {
    this.total = total;
    this.#parts = parts;
    parts.onProgress?.(0, total);
  }

  count(): void {
    const { log, onProgress } = this.#parts;
    const [done, now] = [++this.#done, performance.now()];
    onProgress?.(done, this.total);
    if (now - this.#loggedAt < LOG_INTERVAL_MS) return;
    this.#loggedAt = now;
    log.info({ done, total: this.total }, 'importing the model store');
  }
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
    const model = modelOf(manifest);
    const modelId =
      (await findUnchangedModel(importer.db, model)) ??
      (await importer.db.transaction().execute((trx) => saveModel(trx, model, Date.now())));
    const versions = await findVersionFolders(folder);
    if (versions.length === 0) {
      const reason = manifest.taskProblem ?? (await reasonForMissingGraph(folder));
      await recordFailure(importer, modelId, 1, reason);
    }
    for (const version of versions) await importVersion(importer, { ...version, modelId, manifest });
    return { modelId, task: manifest.yaml.task, results: manifest.results };
  } catch (error) {
    if (!(error instanceof ManifestError)) throw error;
    importer.log.error({ model: name, reason: error.message }, 'a model folder cannot be read');
    await recordUnreadableModel(importer, modelNameOf(name), error.message);
    return null;
  }
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

function modelOf({ name, card, license, tags, yaml }: ModelManifest): NewModel {
  const { title, summary, ...sections } = card;
  return {
    name,
    title,
    summary,
    task: yaml.task,
    owner: yaml.owner,
    license,
    retention_days: yaml.retentionDays,
    tags,
    card: JSON.stringify(sections),
  };
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
