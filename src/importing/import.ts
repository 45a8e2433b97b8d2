/**
 * Imports the model store into the catalog: all of it at start, and then the folders that change. Compares digests, adds new
 * versions and never changes published ones.
 *
 * A folder that cannot be read, or whose model fails its golden cases, becomes a FAILED version with the reason, and does
 * not affect other models.
 */
import { access, readdir } from 'node:fs/promises';
import path from 'node:path';
import type { Logger } from 'pino';
import { SYSTEM } from '../access/principal.js';
import { findModelsByNames } from '../catalog/model.queries.js';
import { MODEL_NAME } from '../catalog/ref.js';
import { findFailures, findUnchangedModel, type NewModel, saveModel } from '../catalog/registration.queries.js';
import type { ReusableProcesses } from '../engine/disposable-worker.js';
import type { Engine } from '../engine/engine.js';
import { RetriedImportError, shortened } from '../errors.js';
import type { PublisherKeys } from '../signing/publisher-keys.js';
import type { BlobFolder } from '../storage/blobs.js';
import type { CatalogDatabase } from '../storage/database.js';
import type { TaskName } from '../tasks/tasks.js';
import { DISK_IS_FULL, unlessDiskIsFull } from './full-disk.js';
import { importDatasets } from './import-datasets.js';
import { errorOfFolder, reasonOf } from './import-errors.js';
import type { ImportParts } from './import-graphs.js';
import type { ImportProgress } from './import-progress.js';
import { importVersion, recordFailure, type VersionResult } from './import-version.js';
import { type ImportedResult, type ModelManifest, modelNameOf, readModelManifest, subfolders } from './manifest.js';
import { signerOfFolder } from './signed-folder.js';
import { findVersionFolders } from './version-files.js';

/** Metrics stated in a model card, which `evaluation/` imports. */
export interface ImportedCard {
  /** Name of the model's folder in the store. */
  readonly folder: string;
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
  readonly publisherKeys: PublisherKeys;
  /** Ends the imports that are running. */
  readonly signal?: AbortSignal;
}

/** What the import of a folder has found. */
export interface FolderResult {
  /** Null if the folder could not be read, or is no model. */
  readonly card: ImportedCard | null;
  /** Whether it failed for a reason outside of the folder. */
  readonly mustRetry: boolean;
  /** Why the folder cannot be read, is tried again, or what has changed in vain; null if there is no reason. */
  readonly reason: string | null;
  /** The versions that failed, with their reasons; null if there are none. */
  readonly failures: string | null;
}

export class StoreImporter {
  readonly #parts: Parts;
  readonly #store: string;
  /** Those of the imports that are running, or of the last ones. */
  #processes: ReusableProcesses | null = null;
  #imports = 0;

  constructor(parts: Parts, store: string) {
    this.#parts = parts;
    this.#store = store;
  }

  /** Imports what is new and writes nothing for what has not changed. Also returns the folders to try again. */
  async importAll(): Promise<{ cards: ImportedCard[]; toRetry: string[] }> {
    const { log } = this.#parts;
    return this.#withProbes(async (importer, processes) => {
      const folders = await subfolders(this.#store);
      const cards: ImportedCard[] = [];
      const toRetry: string[] = [];
      const importOne = async (name: string, firsts: FirstFolders) => {
        const { card, mustRetry } = await this.#import(importer, name, firsts);
        if (card) cards.push(card);
        if (mustRetry) toRetry.push(name);
      };
      const remaining = folders.filter(isModelFolder);
      const firsts = firstFolders(remaining);
      const counter = new FolderCounter(remaining.length, this.#parts);
      if (folders.includes(DATASETS_FOLDER)) await importOne(DATASETS_FOLDER, firsts);
      const importRest = async () => {
        for (let name = remaining.shift(); name !== undefined; name = remaining.shift()) {
          await importOne(name, firsts);
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
    if (name === OPTIONAL_FOLDER) {
      this.#parts.progress.delete(name);
      return nothingFound(null);
    }
    return this.#withProbes(async (importer) => {
      const firsts = firstFolders((await subfolders(this.#store)).filter(isModelFolder));
      return this.#import(importer, name, firsts);
    });
  }

  async #import(importer: ImportParts, name: string, firsts: FirstFolders): Promise<FolderResult> {
    const { log, progress } = this.#parts;
    progress.set(name, 'IMPORTING');
    try {
      const found = await unlessDiskIsFull(log, { folder: name }, () => this.#importFolder(importer, name, firsts));
      const result = found ?? { ...nothingFound(DISK_IS_FULL), mustRetry: true };
      const reasons = [result.reason, result.failures].filter((reason) => reason !== null);
      progress.set(name, 'FINISHED', reasons.join('; ') || null);
      return result;
    } catch (error) {
      progress.set(name, 'FINISHED', 'the import failed; it is tried again');
      throw error;
    }
  }

  async #importFolder(importer: ImportParts, name: string, firsts: FirstFolders): Promise<FolderResult> {
    const folder = path.join(this.#store, name);
    if (name === DATASETS_FOLDER) {
      const mustRetry = await importDatasets(importer, folder);
      return { ...nothingFound(mustRetry ? DISK_IS_FULL : null), mustRetry };
    }
    const model = modelNameOf(name);
    const first = firsts.get(model) ?? name;
    if (first === name) return importModel(importer, folder, this.#parts.publisherKeys);
    const reason = `the folders "${first}" and "${name}" have the same model name; only the first is imported`;
    importer.log.error({ model, folder: name, first }, reason);
    return nothingFound(reason);
  }

  /** Imports that run at the same time share their processes. */
  async #withProbes<T>(work: (importer: ImportParts, processes: ReusableProcesses) => Promise<T>): Promise<T> {
    const { db, blobs, log, engine, signal } = this.#parts;
    const { provider, workerMemoryBytes } = engine;
    if (this.#imports++ === 0) this.#processes = engine.startProbes();
    const processes = this.#processes as ReusableProcesses;
    try {
      return await work({ db, blobs, log, signal, prober: { provider, workerMemoryBytes, processes } }, processes);
    } finally {
      if (--this.#imports === 0) processes.end();
    }
  }
}

function nothingFound(reason: string | null): FolderResult {
  return { card: null, mustRetry: false, reason, failures: null };
}

function isModelFolder(name: string): boolean {
  return name !== DATASETS_FOLDER && name !== OPTIONAL_FOLDER;
}

/** By model name, the folder that is imported: the first in the order of names. */
type FirstFolders = ReadonlyMap<string, string>;

function firstFolders(folders: readonly string[]): FirstFolders {
  return new Map(folders.toReversed().map((folder) => [modelNameOf(folder), folder]));
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

/** Each holds a window of a file in memory and runs a process. */
export const CONCURRENT_IMPORTS = 4;

async function importModel(importer: ImportParts, folder: string, keys: PublisherKeys): Promise<FolderResult> {
  const name = path.basename(folder);
  try {
    if (await isGone(folder)) return nothingFound(null);
    const findSigner = await signerOfFolder(keys, folder, importer.signal);
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
    const results = new Map<number, VersionResult>();
    for (const version of versions)
      results.set(version.number, await importVersion(importer, { ...version, modelId, manifest }, findSigner));
    const [retry] = [...results.values()].filter((result) => typeof result === 'object');
    const card = { folder: name, modelId, task: manifest.yaml.task, results: manifest.results };
    if (retry) return { card, mustRetry: true, reason: retry.retry, failures: null };
    const hasFailed = results.size === 0 || [...results.values()].includes('failed');
    const failures = hasFailed ? await namedFailures(importer.db, modelId) : null;
    return { card, mustRetry: false, reason: reasonForChanged(results), failures };
  } catch (thrown) {
    const error = errorOfFolder(thrown);
    if (await isGone(folder)) return nothingFound(null);
    const reason = reasonOf(error);
    importer.log.error({ model: name, reason, err: error.cause }, 'a model folder cannot be read');
    await recordUnreadableModel(importer, modelNameOf(name), reason);
    return { ...nothingFound(reason), mustRetry: error instanceof RetriedImportError };
  }
}

async function isGone(folder: string): Promise<boolean> {
  return access(folder).then(
    () => false,
    () => true,
  );
}

const MAX_NAMED_FAILURES = 3;
const MAX_FAILURE_CHARACTERS = 500;

/** The latest versions that failed, with their reasons. */
async function namedFailures(db: CatalogDatabase, modelId: string): Promise<string> {
  const failures = await findFailures(db, modelId, MAX_NAMED_FAILURES + 1);
  const named = failures
    .slice(0, MAX_NAMED_FAILURES)
    .map(({ number, reason }) => `version ${number} failed: ${shortened(reason, MAX_FAILURE_CHARACTERS)}`);
  return [...named, ...(failures.length > MAX_NAMED_FAILURES ? ['…'] : [])].join('; ');
}

/** Null if the files of no published version have changed. */
function reasonForChanged(results: ReadonlyMap<number, VersionResult>): string | null {
  const changed = [...results].filter(([, result]) => result === 'changed').map(([number]) => number);
  if (changed.length === 0) return null;
  const which = changed.length === 1 ? `version ${changed[0]}, which is` : `versions ${changed.join(', ')}, which are`;
  const next = Math.max(...results.keys()) + 1;
  return `the files of ${which} published and kept, differ from those that were imported: put the changed files into ${next}/`;
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

function modelOf({ name, account, card, license, tags, yaml }: ModelManifest): NewModel {
  const { title, summary, ...sections } = card;
  return {
    name,
    title,
    summary,
    task: yaml.task,
    owner: yaml.owner,
    account,
    license,
    retention_days: yaml.retentionDays,
    tags,
    card: JSON.stringify(sections),
  };
}

/** Lists a model whose folder could not be read, so that its owner finds the reason in the catalog. */
async function recordUnreadableModel(importer: ImportParts, name: string, reason: string): Promise<void> {
  const markdown = `This folder could not be read: ${reason}`;
  const model = {
    name,
    title: name,
    summary: null,
    task: 'TENSOR',
    owner: null,
    account: null,
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
