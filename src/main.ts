/**
 * Starts and stops the server; the only file that exits its process.
 *
 * Exit status: 0 after SIGTERM or SIGINT, 1 if the server cannot start, 3 if another server uses the data folder.
 */
import './production.js';
import { pino } from 'pino';
import { type App, startApp } from './app.js';
import { loadConfig } from './config.js';
import { StartupError } from './errors.js';
import { terminalLog } from './terminal-log.js';

const MINIMUM_NODE = 24;
const STOP_SIGNALS = ['SIGTERM', 'SIGINT'] as const;
const LOG_BLOCK_BYTES = 4096;
const LOG_FLUSH_MS = 500;

async function main(): Promise<void> {
  const major = Number(process.versions.node.split('.')[0]);
  if (major < MINIMUM_NODE) {
    throw new StartupError(
      `Node ${MINIMUM_NODE} or newer is required; this is Node ${process.versions.node}. \`npm start\` uses its own Node.`,
    );
  }
  const config = loadConfig(process.env);
  // Writes lines in blocks, so that requests do not wait for the log, and the rest when the process ends.
  const lines = () => pino.destination({ sync: false, minLength: LOG_BLOCK_BYTES, periodicFlush: LOG_FLUSH_MS });
  const log = pino({ level: config.logLevel }, process.stdout.isTTY ? terminalLog(process.stdout) : lines());
  log.info({ folder: config.dataDir }, 'opening the databases');
  const app = await startApp(config, log, stopOnSignal);
  process.on('unhandledRejection', (reason) =>
    log.error({ err: reason }, 'a rejected promise was not handled; this is a bug'),
  );
  process.stdout.write(`${greeting(app)}\n`);
}

function stopOnSignal(stop: () => Promise<void>): void {
  const onSignal = () => {
    // Without handlers, the next signal of either kind ends the process at once.
    for (const signal of STOP_SIGNALS) process.off(signal, onSignal);
    stop().then(
      () => process.exit(0),
      (error) => fail(error),
    );
  };
  for (const signal of STOP_SIGNALS) process.on(signal, onSignal);
}

function greeting({ url, needsKey }: App): string {
  const headers = ['content-type: application/json', ...(needsKey ? ['authorization: Bearer <key>'] : [])];
  const query = '{"query":"{ models { nodes { name summary } } }"}';
  const options = [...headers.map((header) => `-H '${header}'`), `-d '${query}'`].join(' ');
  return `try: curl -s ${url}/graphql ${options}\nready ${url}/graphql`;
}

function fail(error: unknown): void {
  const { code, message } = error as NodeJS.ErrnoException;
  const isOurs = error instanceof StartupError || code === 'EADDRINUSE' || code === 'EACCES';
  process.stderr.write(`${isOurs ? message : error instanceof Error ? error.stack : error}\n`);
  process.exit(error instanceof StartupError ? error.exitCode : 1);
}

main().catch(fail);
