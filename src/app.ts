/** Creates and connects all parts of the server; starts and stops them in order. */
// Must be loaded before the first decorated class.
import 'reflect-metadata';

import path from 'node:path';
import type { Logger } from 'pino';
import { ApiKeys } from './access/api-keys.js';
import { CatalogPoll } from './access/catalog-poll.js';
import { SYSTEM } from './access/principal.js';
import { Quotas } from './access/quotas.js';
import { RegisteredOperations } from './access/registered-operations.js';
import { Tokens } from './access/tokens.js';
import { Certificate } from './api/certificate.js';
import { createSchema } from './api/schema.js';
import { createServer } from './api/server.js';
import { Catalog } from './catalog/catalog.js';
import { ListingCounts } from './catalog/listing-counts.js';
import { ModelUses } from './catalog/model-uses.js';
import { Choosing } from './choosing/choosing.js';
import { type Config, exposure } from './config.js';
import { DatasetReader } from './datasets/dataset-reader.js';
import { Datasets } from './datasets/datasets.js';
import { Engine } from './engine/engine.js';
import { StartupError } from './errors.js';
import { Comparisons } from './evaluation/comparisons.js';
import { Evaluator } from './evaluation/evaluator.js';
import { Gates } from './evaluation/gates.js';
import { importEvaluations } from './evaluation/import.js';
import { Plots } from './evaluation/plots.js';
import { SealedPlots } from './evaluation/sealed-plots.js';
import { Explanations } from './explanation/explanations.js';
import { faultPoint } from './fault-points.js'; // @fault
import { DISK_IS_FULL } from './importing/full-disk.js';
import { StoreImporter } from './importing/import.js';
import { ImportProgress } from './importing/import-progress.js';
import { modelNameOf } from './importing/manifest.js';
import { BlobRestorer } from './importing/published.js';
import { StoreWatcher } from './importing/store-watcher.js';
import { Drifts } from './monitoring/drifts.js';
import { Live } from './monitoring/live.js';
import { Measurements } from './monitoring/measurements.js';
import { Plotter } from './plots/plotter.js';
import { DatasetPictures } from './prediction/dataset-pictures.js';
import { Erasures } from './prediction/erasures.js';
import { History } from './prediction/history.js';
import { NamedImages } from './prediction/named-images.js';
import { Outcomes } from './prediction/outcomes.js';
import { isRecorded } from './prediction/picture.queries.js';
import { LOCAL, PictureUrls, type Reader, TOKEN } from './prediction/picture-urls.js';
import { Pictures } from './prediction/pictures.js';
import { Predictions } from './prediction/predictions.js';
import { RecordedPredictions } from './prediction/recorded.js';
import { Recorder } from './prediction/recorder.js';
import { Replays } from './prediction/replay.js';
import { Sweeper } from './prediction/sweeper.js';
import { Thumbnails } from './prediction/thumbnails.js';
import type { PublisherParts } from './publishing/published-folder.js';
import { Publisher } from './publishing/publisher.js';
import { Registration } from './publishing/registration.js';
import { Uploads } from './publishing/uploads.js';
import { LatencyRecords } from './serving/latency-records.js';
import { Serving, versionIdOf } from './serving/serving.js';
import { PublisherKeys } from './signing/publisher-keys.js';
import { BlobFolder } from './storage/blobs.js';
import { type Databases, openDatabases } from './storage/database.js';
import { GroupCommit } from './storage/group-commit.js';
import { indexMissing } from './storage/search.js';
import { DataKeys } from './vault/data-keys.js';
import { MasterKeys } from './vault/master-keys.js';
import { SealedTexts } from './vault/sealed-texts.js';
import { waitAtMost } from './wait-at-most.js';

export interface App {
  /** `http://host:port` */
  readonly url: string;
  /** Whether requests need an API key or a token. */
  readonly needsKey: boolean;
  readonly databases: Databases;
  readonly engine: Engine;
  readonly stop: () => Promise<void>;
}

/** How long a stop waits for requests in flight, at first for their answers, then for the inputs that they wait for. */
const GRACE_MS = 5_000;

/**
 * `onServing`: called with a function that stops the server, as soon as requests can be answered; the import may take longer.
 */
export async function startApp(
  config: Config,
  log: Logger,
  onServing: (stop: () => Promise<void>) => void = () => {},
): Promise<App> {
  const dataDir = path.resolve(config.dataDir);
  const trust = { certificate: await Certificate.open(config), publisherKeys: await PublisherKeys.open(config) };
  const databases = await openDatabases(dataDir);
  const blobs = new BlobFolder(path.join(dataDir, 'blobs'));
  const commits = new GroupCommit(databases.predictionsFile);
  const store = path.resolve(config.modelStore);
  const stopping = new AbortController();
  const restorer = new BlobRestorer({ db: databases.catalogByKey, blobs, log, signal: stopping.signal }, store);
  const access = { ...createAccess(databases, dataDir, log), tokens: createTokens({ config, log, stopping }) };
  const dataKeys = new DataKeys(databases, new MasterKeys(config, dataDir));
  const engine = createEngine({ config, log, dataDir, restorer, db: databases.catalogByKey });
  const imports = new ImportProgress();
  const parts = { config, log, databases, blobs, commits, engine, ...access, dataKeys, imports, ...trust, stopping };
  const slices = createSlices({ ...parts, dataDir });
  /** The reason of the server itself, such as starting; null if there is none. */
  const readiness = { notReadyReason: 'starting' as string | null };
  const server = await createServer({
    ...parts,
    ...slices.served,
    findSpec: ({ model, variant }, { principal }) => slices.serving.findSpec(model, principal, variant),
    databases: { ...databases, dataKeys, blobs },
    measured: { engine, commits },
    notReadyReason: () => readiness.notReadyReason ?? engine.notReadyReason(config.requireProvider),
  });
  const onProgress = (reason: string) => {
    if (readiness.notReadyReason !== 'stopping') readiness.notReadyReason = reason;
  };
  const { importAll, watcher } = createImports({ ...parts, ...slices, store, onProgress });
  const { stop, stopWhileStarting } = createStops({ ...parts, ...slices, server, watcher, readiness });
  let isStarted = false;
  try {
    await openAccess(parts);
    await blobs.open();
    await access.uploads.start();
    log.info({ workers: config.workers }, 'starting the workers');
    await engine.start();
    const url = await server.http.listen({ host: config.host, port: config.port });
    noteRequests(server, engine);
    onServing(() => (isStarted ? stop() : stopWhileStarting()));
    await indexMissing(databases.catalogDb);
    const toRetry = await importAll();
    faultPoint('start.imported'); // @fault
    await slices.serving.preload(log);
    slices.sweeper.start(slices.erasures);
    watcher.start(toRetry);
    await startJobs(slices);
    if (readiness.notReadyReason !== 'stopping') readiness.notReadyReason = null;
    isStarted = true;
    return { url, needsKey: access.keys.hasAny || access.tokens !== null, databases, engine, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Goes on with what was recorded before. */
async function startJobs({ publisher, evaluator }: Pick<StopParts, 'publisher' | 'evaluator'>): Promise<void> {
  await publisher.start();
  evaluator.start();
}

/** Who may send requests, which, and how many: read from the catalog, and again when another process has changed it. */
function createAccess({ catalogByKey, catalogFile, predictionsByKey }: Databases, dataDir: string, log: Logger) {
  const quotas = new Quotas(predictionsByKey, (error) =>
    log.warn({ reason: (error as Error).message }, 'the use of quotas could not be stored; it is tried again'),
  );
  const keys = new ApiKeys(catalogByKey, quotas);
  const operations = new RegisteredOperations(catalogByKey);
  const onError = (error: unknown) =>
    log.warn({ reason: (error as Error).message }, 'the API keys and operations could not be read');
  const poll = new CatalogPoll(catalogFile, [() => keys.load(), () => operations.load()], onError);
  const folder = path.join(dataDir, 'uploads');
  const uploads = new Uploads({ db: catalogByKey, folder, log, isKeyAccepted: (id) => keys.isAccepted(id) });
  return { keys, quotas, operations, poll, uploads };
}

/** Opens the keys of data, and loads those of callers, with their operations. @throws StartupError as `checkAccess` */
async function openAccess(parts: Omit<Parts, 'imports'> & { poll: CatalogPoll }): Promise<void> {
  const { config, keys, quotas, operations, poll, tokens, dataKeys, log } = parts;
  await dataKeys.open();
  if (dataKeys.masters.isInDataFolder)
    log.warn('the master key is in the data folder: whoever can read it can decrypt predictions; see MASTER_KEY_FILE');
  await keys.load();
  await quotas.load();
  await operations.load();
  checkAccess(config, keys, log);
  poll.start();
  keys.uses.start((error) => log.warn({ reason: (error as Error).message }, 'the uses of keys could not be saved'));
  tokens?.start();
}

type TokenParts = Pick<Parts, 'config' | 'log'> & { readonly stopping: AbortController };

/** Null if no issuer is trusted. */
function createTokens({ config, log, stopping }: TokenParts): Tokens | null {
  const { oidcIssuer: issuer, oidcAudience: audience } = config;
  if (issuer === null || audience === null) return null;
  const onError = ({ message, cause }: Error) =>
    log.warn({ issuer, reason: message, cause: String(cause) }, 'the keys of the issuer could not be read');
  const settings = {
    issuer,
    audience,
    jwksUrl: config.oidcJwksUrl,
    algorithms: config.oidcAlgorithms,
    maxAgeSeconds: config.oidcMaxAgeSeconds,
    accountClaim: config.oidcAccountClaim,
    rolesClaim: config.oidcRolesClaim,
  };
  return new Tokens(settings, { signal: stopping.signal, onError });
}

/**
 * Without keys and an issuer, everybody who can connect is an administrator: so nobody from another machine may.
 *
 * @throws StartupError
 */
function checkAccess(config: Config, keys: ApiKeys, log: Logger): void {
  if (keys.hasAny || config.oidcIssuer !== null) return;
  const setting = exposure(config);
  if (setting === null) {
    log.info('there is no API key, so everybody on this machine is an administrator; npm run keys makes keys');
    return;
  }
  throw new StartupError(
    `${setting}: anybody who can reach the server could do everything, because there is no API key. Make one first: npm run keys -- create --account team --name first --roles admin`,
  );
}

type Server = Awaited<ReturnType<typeof createServer>>;

function noteRequests({ http }: Server, engine: Engine): void {
  http.server.on('request', ({ url }) => {
    if (!url?.startsWith('/health') && url !== '/metrics') engine.noteRequest();
  });
}

interface StopParts {
  readonly server: Server;
  readonly engine: Engine;
  readonly databases: Databases;
  readonly commits: GroupCommit;
  readonly keys: ApiKeys;
  readonly poll: CatalogPoll;
  readonly uploads: Uploads;
  readonly quotas: Quotas;
  readonly uses: ModelUses;
  readonly publisher: Publisher;
  readonly evaluator: Evaluator;
  readonly plotter: Plotter;
  readonly sweeper: Sweeper;
  readonly erasures: Erasures;
  readonly watcher: StoreWatcher;
  readonly stopping: AbortController;
  readonly readiness: { notReadyReason: string | null };
}

function createStops(parts: StopParts) {
  const { server, engine, databases, commits, keys, poll, quotas, uploads, uses, publisher } = parts;
  const { evaluator, plotter, sweeper, erasures, watcher, stopping, readiness } = parts;
  const stop = async () => {
    readiness.notReadyReason = 'stopping';
    stopping.abort();
    const watched = Promise.all([watcher.stop(), publisher.stop(), evaluator.stop()]);
    faultPoint('stop.begin'); // @fault
    const begun = performance.now();
    await waitAtMost(GRACE_MS, server.http.close());
    await engine.stop(Math.max(0, GRACE_MS - (performance.now() - begun)));
    // The engine has ended the processes that imports wait for.
    await waitAtMost(GRACE_MS, watched);
    await Promise.all([sweeper.stop(), erasures.stop(), plotter.stop()]);
    await uploads.stop();
    faultPoint('stop.drained'); // @fault
    await waitAtMost(GRACE_MS, commits.drain());
    await server.stop();
    await waitAtMost(GRACE_MS, quotas.stop());
    poll.stop();
    await waitAtMost(GRACE_MS, Promise.all([keys.uses.stop(), uses.stop()]));
    await databases.close();
  };
  /** The import is not ended before the process: it would record that versions have failed whose processes were killed. */
  const stopWhileStarting = async () => {
    readiness.notReadyReason = 'stopping';
    await waitAtMost(GRACE_MS, server.http.close());
    await waitAtMost(GRACE_MS, commits.drain());
    await waitAtMost(GRACE_MS, quotas.stop());
  };
  return { stop, stopWhileStarting };
}

interface WatchParts extends Omit<Parts, 'config' | 'commits' | 'dataKeys' | 'quotas'> {
  readonly store: string;
  readonly onProgress: (reason: string) => void;
  readonly stopping: AbortController;
  readonly catalog: Catalog;
  readonly serving: Serving;
}

/** Imports the model store at start and what changes later, each with all that follows from an import. */
function createImports(parts: WatchParts) {
  const { store, log, databases, blobs, engine, imports, publisherKeys, onProgress, stopping, catalog, serving } =
    parts;
  const { signal } = stopping;
  const db = databases.catalogByKey;
  const countFolders = (done: number, total: number) =>
    onProgress(`importing ${done.toLocaleString('en-US')} of ${total.toLocaleString('en-US')} model folders`);
  const importer = new StoreImporter(
    { db, blobs, engine, log, onProgress: countFolders, progress: imports, publisherKeys, signal },
    store,
  );
  const importFolder = async (name: string) => {
    const result = await importer.importFolder(name);
    const [failed] = await importEvaluations({ db, log }, result.card ? [result.card] : []);
    if (failed) imports.set(name, 'FINISHED', DISK_IS_FULL);
    await serving.warmDefault(modelNameOf(name), log);
    catalog.invalidate();
    // The first model of an empty store.
    if (engine.notReadyReason(null) !== null) await serving.preload(log);
    return { mustRetry: result.mustRetry || failed !== undefined };
  };
  const watcher = new StoreWatcher({ store, log, progress: imports, importFolder });
  /** Returns the folders to try again. */
  const importAll = async (): Promise<string[]> => {
    log.info({ store }, 'importing the model store');
    await watcher.open();
    const { cards, toRetry } = await importer.importAll();
    const failed = await importEvaluations({ db, log }, cards);
    for (const { folder } of failed) imports.set(folder, 'FINISHED', DISK_IS_FULL);
    catalog.invalidate();
    return [...toRetry, ...failed.map(({ folder }) => folder)];
  };
  return { importAll, watcher };
}

interface EngineParts {
  readonly config: Config;
  readonly log: Logger;
  readonly dataDir: string;
  readonly restorer: BlobRestorer;
  readonly db: Databases['catalogByKey'];
}

function createEngine({ config, log, dataDir, restorer, db }: EngineParts): Engine {
  return new Engine({
    workers: config.workers,
    workerFile: path.join(import.meta.dirname, 'worker/worker.js'),
    memoryBytes: config.workerMemoryBytes,
    emptyFolder: path.join(dataDir, 'worker'),
    providers: config.executionProviders,
    gpus: config.cudaVisibleDevices,
    deviceMemoryBytes: config.deviceMemoryBytes,
    log,
    onUnreadable: (version) => restorer.restore(versionIdOf(version.key), version),
    latencies: config.measureLatency ? new LatencyRecords(db) : null,
  });
}

interface Parts {
  readonly config: Config;
  readonly log: Logger;
  readonly databases: Databases;
  readonly blobs: BlobFolder;
  readonly commits: GroupCommit;
  readonly engine: Engine;
  readonly keys: ApiKeys;
  readonly tokens: Tokens | null;
  readonly dataKeys: DataKeys;
  readonly operations: RegisteredOperations;
  readonly uploads: Uploads;
  readonly quotas: Quotas;
  readonly imports: ImportProgress;
  readonly publisherKeys: PublisherKeys;
}

interface PublisherNeeds extends Omit<PublisherParts, 'fileOf' | 'folder' | 'signal'> {
  readonly uploads: Uploads;
  readonly dataDir: string;
  readonly stopping: AbortController;
}

function createPublisher({ uploads, dataDir, stopping, ...parts }: PublisherNeeds): Publisher {
  const folder = path.join(dataDir, 'publishing');
  return new Publisher({ ...parts, folder, fileOf: (id) => uploads.pathOf(id), signal: stopping.signal });
}

interface CatalogNeeds extends Pick<Parts, 'databases' | 'blobs' | 'engine' | 'log'> {
  readonly stopping: AbortController;
}

/** The catalog, with what judges versions before an alias is moved. */
function createCatalog({ databases, blobs, engine, log, stopping }: CatalogNeeds) {
  const { catalogByKey: db } = databases;
  const comparison = {
    db,
    comparisons: new Comparisons({ db, blobs, signal: stopping.signal }),
    provider: () => engine.provider,
  };
  const gates = new Gates({ ...comparison, log });
  const catalog = new Catalog(db, gates.findSituation);
  return { catalog, serving: new Serving({ db, catalog, blobs, engine }), comparison, gates };
}

interface SliceParts extends Parts {
  readonly dataDir: string;
  readonly stopping: AbortController;
}

function createSlices({ config, log, databases, blobs, commits, engine, imports, ...access }: SliceParts) {
  const { keys, operations, uploads, dataKeys, publisherKeys, dataDir, stopping } = access;
  const { catalogDb, predictionDb, catalogByKey, predictionsByKey, predictionsFile } = databases;
  const { catalog, serving, ...judging } = createCatalog({ databases, blobs, engine, log, stopping });
  const recorder = new Recorder({ db: predictionDb, commits, blobs, dataKeys });
  const history = new History({ predictionDb, catalogDb, catalog, dataKeys });
  const stored = { catalogDb, predictionDb, predictionsFile, blobs, commits, dataKeys, log };
  const sweeper = new Sweeper(stored, config);
  const erasures = new Erasures({ ...stored, catalogDb: catalogByKey });
  const publishing = { uploads, publisherKeys, dataDir, stopping };
  const publisher = createPublisher({ db: catalogByKey, blobs, catalog, engine, log, ...publishing });
  const evaluator = new Evaluator({ db: catalogByKey, blobs, serving, engine, log });
  const reader = new DatasetReader(blobs, stopping.signal);
  const { plotter, ...signed } = createPictures({ databases, blobs, engine, ...access, log });
  const images = new NamedImages({ pictures: signed.pictures, uploads });
  const uses = new ModelUses(catalogByKey, ({ message }) =>
    log.warn({ reason: message }, 'the uses of models could not be saved'),
  );
  const running = { serving, engine, recorder, db: predictionsByKey, dataKeys, images, uses };
  const predictions = new Predictions(running, config);
  const recorded = new RecordedPredictions({ images, blobs });
  const parts = {
    catalogDb,
    predictionDb,
    blobs,
    catalog,
    counts: new ListingCounts(catalogDb, () => databases.catalogFile.changeCount),
    engine,
    serving,
    predictions,
    explanations: new Explanations({ predictions, recorded, hide: (image) => engine.hiddenPatches.hide(image) }),
    replays: new Replays({ serving, engine, recorded }, config),
    evaluator,
    ...signed,
    ...createMonitoring({ databases, blobs, commits, dataKeys, stopping, recorded }),
    choosing: new Choosing({ engine, evaluator, comparisons: judging.comparison.comparisons }),
    ...judging,
    erasures,
    history,
    imports,
    keys,
    operations,
    uploads,
    publisher,
    registration: new Registration({
      db: catalogByKey,
      catalog,
      modelStore: config.modelStore,
      loadKeys: () => access.keys.load(),
      purge: (now) => sweeper.purge(now),
    }),
    datasets: new Datasets({ db: catalogByKey, reader, uploads, modelStore: config.modelStore }),
    defaultDeadlineMs: config.defaultDeadlineMs,
    maxResponseBytes: config.maxResponseBytes,
  };
  const jobs = { publisher, evaluator, sweeper, erasures, plotter };
  return { ...jobs, catalog, serving, uses, served: { ...signed, schema: createSchema(parts) } };
}

type PictureParts = Pick<Parts, 'databases' | 'blobs' | 'engine' | 'dataKeys' | 'log' | 'keys' | 'tokens'>;

/** What is read by signed URLs. */
function createPictures({ databases, blobs, engine, dataKeys, log, ...access }: PictureParts) {
  const { catalogByKey, predictionsByKey } = databases;
  const isReaderAccepted = (reader: Reader) => isAccepted(reader, access);
  const pictureUrls = new PictureUrls(dataKeys);
  const thumbnails = new Thumbnails({ maker: engine.thumbnails, log });
  const datasets = new DatasetPictures({ db: catalogByKey, blobs, thumbnails });
  const files = { db: predictionsByKey, blobs, dataKeys, datasets };
  const pictures = new Pictures({ ...files, urls: pictureUrls, thumbnails, isReaderAccepted });
  const plotter = new Plotter();
  const sign = async (text: string) => (await dataKeys.index(SYSTEM.id)).digest('plot', text);
  const plots = new Plots({ db: catalogByKey, plotter, sign, isReaderAccepted });
  const sealed = new SealedTexts(dataKeys, { account: SYSTEM.id, purpose: 'plot' });
  const sealedPlots = new SealedPlots({
    db: catalogByKey,
    plotter,
    sealed,
    isReaderAccepted,
    isRecorded: (id) => isRecorded(predictionsByKey, id),
  });
  return { pictureUrls, pictures, plotter, plots, sealedPlots };
}

interface MonitoringNeeds extends Pick<SliceParts, 'databases' | 'blobs' | 'commits' | 'dataKeys' | 'stopping'> {
  readonly recorded: RecordedPredictions;
}

function createMonitoring({ databases, blobs, commits, dataKeys, stopping, recorded }: MonitoringNeeds) {
  const { predictionDb: db, predictionsByKey, catalogByKey: catalogDb } = databases;
  const shared = { db, dataKeys, measurements: new Measurements(), signal: stopping.signal };
  return {
    outcomes: new Outcomes({ db: predictionsByKey, commits, dataKeys, recorded }),
    live: new Live(shared),
    drifts: new Drifts({ ...shared, catalogDb, blobs }),
  };
}

/** Whether who asked for the URL of an image may still read. A URL for a token ends with it. */
function isAccepted(reader: Reader, { keys, tokens }: Pick<Parts, 'keys' | 'tokens'>): boolean {
  if (reader === TOKEN) return tokens !== null;
  return reader === LOCAL ? !keys.hasAny && tokens === null : keys.isAccepted(reader);
}
