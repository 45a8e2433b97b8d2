/**
 * `npm run models:check -- <folder> [--json]`: imports a model folder into a catalog that is thrown away, and prints what the
 * import has found. Takes the same settings as the server.
 *
 * Exit status: 0 if every version is READY, 1 if one is not, or the folder cannot be read, 2 if the arguments are wrong.
 */
import './production.js';
import 'reflect-metadata';
import { rmSync } from 'node:fs';
import { mkdtemp, rm, stat } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { pino } from 'pino';
import { loadConfig } from './config.js';
import { Engine } from './engine/engine.js';
import { StoreImporter } from './importing/import.js';
import { ImportProgress } from './importing/import-progress.js';
import { modelNameOf } from './importing/manifest.js';
import { isUsable, type ModelReport, readReport, reportText } from './importing/report.js';
import { PublisherKeys } from './signing/publisher-keys.js';
import { BlobFolder } from './storage/blobs.js';
import { openDatabases } from './storage/database.js';

const USAGE = 'usage: npm run models:check -- <folder of a model> [--json]\n';

async function main(args: readonly string[]): Promise<number> {
  const folders = args.filter((arg) => !arg.startsWith('-'));
  const options = args.filter((arg) => arg.startsWith('-'));
  const isJson = options.includes('--json');
  if (folders.length !== 1 || options.some((option) => option !== '--json')) {
    process.stderr.write(USAGE);
    return 2;
  }
  const folder = path.resolve(process.env['INIT_CWD'] ?? '', folders[0] as string);
  if (!(await stat(folder).catch(() => null))?.isDirectory()) {
    process.stderr.write(`${folders[0]} is not a folder\n${USAGE}`);
    return 2;
  }
  const report = await check(folder);
  process.stdout.write(`${isJson ? JSON.stringify(report, null, 2) : reportText(report)}\n`);
  return isUsable(report) ? 0 : 1;
}

async function check(folder: string): Promise<ModelReport> {
  const config = loadConfig(process.env);
  const dataDir = await mkdtemp(path.join(os.tmpdir(), 'modelgraph-check-'));
  removeOnSignal(dataDir);
  const messages: string[] = [];
  const log = pino({ level: 'warn' }, { write: (line: string) => messages.push(messageOf(line)) });
  const databases = await openDatabases(dataDir);
  const engine = new Engine({
    workers: 1,
    workerFile: path.join(import.meta.dirname, 'worker/worker.js'),
    memoryBytes: config.workerMemoryBytes,
    emptyFolder: path.join(dataDir, 'worker'),
    providers: config.executionProviders,
    log,
    latencies: null,
  });
  try {
    const blobs = new BlobFolder(path.join(dataDir, 'blobs'));
    await blobs.open();
    await engine.start();
    const publisherKeys = await PublisherKeys.open(config);
    const parts = { db: databases.catalogByKey, blobs, engine, log, progress: new ImportProgress(), publisherKeys };
    const name = path.basename(folder);
    const { reason } = await new StoreImporter(parts, path.dirname(folder)).importFolder(name);
    return await readReport(databases.catalogByKey, modelNameOf(name), { reason, messages });
  } finally {
    await engine.stop(0);
    await databases.close();
    await rm(dataDir, { recursive: true, force: true });
  }
}

/** The status is that of a process which the signal has ended. */
function removeOnSignal(dataDir: string): void {
  for (const signal of ['SIGHUP', 'SIGINT', 'SIGTERM'] as const)
    process.once(signal, () => {
      rmSync(dataDir, { recursive: true, force: true, maxRetries: 5 });
      process.exit(128 + os.constants.signals[signal]);
    });
}

/** The message of a line of the log, with its details. */
function messageOf(line: string): string {
  const { level: _level, time: _time, pid: _pid, hostname: _host, msg, ...details } = JSON.parse(line);
  const reason = details.reason ?? details.err?.message;
  return reason === undefined ? msg : `${msg}: ${reason}`;
}

main(process.argv.slice(2)).then(
  (status) => process.exit(status),
  (error) => {
    process.stderr.write(`${error instanceof Error ? error.message : error}\n`);
    process.exit(1);
  },
);
