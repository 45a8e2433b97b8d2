/**
 * Imports the model store into the catalog: all of it at start, and then the folders that change. Compares digests, adds new
 * versions and never changes published ones.
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
import type { ProbeProcesses } from '../engine/disposable-worker.js';
import type { Engine } from '../engine/engine.js';
import { ManifestError } from '../errors.js';
import type { BlobFolder } from '../storage/blobs.js';
import type { CatalogDatabase } from '../storage/database.js';
import type { TaskName } from '../tasks/tasks.js';
import { unlessDiskIsFull } from './full-disk.js';
import { importDatasets } from './import-datasets.js';
import type { Importer } from './import-graphs.js';
import type { ImportProgress } from './import-progress.js';
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
  /** Called at the beginning of a start and after each folder. */
  readonly onProgress?: (done: number, total: number) => void;
  readonly progress: ImportProgress;
}

/** What the import of a folder has found. */
export interface FolderResult {
  /** Null if the folder could not be read, or is no model. */
  readonly card: ImportedCard | null;
  /** Whether it failed for a reason outside of the folder. */
  readonly mustRetry: boolean;
}

export class StoreImporter {
  readonly #parts: Parts;
  readonly #store: string;
  /** Those of the imports that are running, or of the last ones. */
  #processes: ProbeProcesses | null = null;
  #imports = 0;

  constructor(parts: Parts, store: string) {
    this.#parts = parts;
    this.#store = store;
  }

  /** Imports what is new and writes nothing for what has not changed. Also returns the folders to try again. */
  async importAll(): Promise<{ cards: ImportedCard[]; toRetry: string[] }> {
    const { log } = this.#parts;
    return this.#withProbes(async (importer, processes) => {
      await importDatasets(importer, path.join(this.#store, DATASETS_FOLDER));
      const folders = (await subfolders(this.#store)).filter(isModelFolder);
      const remaining = withUniqueNames(importer, folders);
      const counter = new FolderCounter(remaining.length, this.#parts);
      const cards: ImportedCard[] = [];
      const toRetry: string[] = [];
      const importRest = async () => {
        for (let name = remaining.shift(); name !== undefined; name = remaining.shift()) {
          const { card, mustRetry } = await this.#importModelFolder(importer, name);
          if (card) cards.push(card);
          if (mustRetry) toRetry.push(name);
          counter.count();
        }
      };
      await Promise.all(Array.from({ length: CONCURRENT_IMPORTS }, importRest));
      log.info({ folders: counter.total, probeProcesses: processes.started }, 'the model store was imported');
      return { cards, toRetry };
    });
  }

  /** Imports a folder of the store again, or for the first time. */
  async importFolder(name: string): Promise<FolderResult> {
    if (name === OPTIONAL_FOLDER) return { card: null, mustRetry: false };
    return this.#withProbes(async (importer) => {
      if (name !== DATASETS_FOLDER) {
        const folders = (await subfolders(this.#store)).filter(isModelFolder);
        const isFirst = folders.find((folder) => modelNameOf(folder) === modelNameOf(name)) === name;
        if (isFirst) return this.#importModelFolder(importer, name);
        withUniqueNames(importer, folders);
      } else await importDatasets(importer, path.join(this.#store, DATASETS_FOLDER));
      this.#parts.progress.set(name, 'FINISHED');
      return { card: null, mustRetry: false };
    });
  }

  async #importModelFolder(importer: Importer, name: string): Promise<FolderResult> {
    const { log, progress } = this.#parts;
    progress.set(name, 'IMPORTING');
    const folder = path.join(this.#store, name);
    const found = await unlessDiskIsFull(log, { folder: name }, () => importModel(importer, folder));
    progress.set(name, 'FINISHED', found ? found.reason : 'the disk is full or cannot be written');
    return found ?? { card: null, mustRetry: true };
  }

  /** Imports that run at the same time share their processes. */
  async #withProbes<T>(work: (importer: Importer, processes: ProbeProcesses) => Promise<T>): Promise<T> {
    const { db, blobs, log, engine } = this.#parts;
    const { provider, workerMemoryBytes } = engine;
    if (this.#imports++ === 0) this.#processes = engine.startProbes();
    const processes = this.#processes as ProbeProcesses;
    try {
      return await work({ db, blobs, log, prober: { provider, workerMemoryBytes, processes } }, processes);
    } finally {
      if (--this.#imports === 0) processes.end();
    }
  }
}

function isModelFolder(name: string): boolean {
  return name !== DATASETS_FOLDER && name !== OPTIONAL_FOLDER;
}

const LOG_INTERVAL_MS = 5_000;

/** Reports how many folders have been imported, and logs it every five seconds. */
class FolderCounter {
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

/** `reason`: why the folder cannot be read; null if it can. */
async function importModel(
  importer: Importer,
  folder: string,
): Promise<FolderResult & { readonly reason: string | null }> {
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
    let mustRetry = false;
    for (const version of versions)
      if (await importVersion(importer, { ...version, modelId, manifest })) mustRetry = true;
    return { card: { modelId, task: manifest.yaml.task, results: manifest.results }, mustRetry, reason: null };
  } catch (error) {
    if (!(error instanceof ManifestError)) throw error;
    importer.log.error({ model: name, reason: error.message }, 'a model folder cannot be read');
    await recordUnreadableModel(importer, modelNameOf(name), error.message);
    return { card: null, mustRetry: false, reason: error.message };
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
