/**
 * `npm run keys:rotate-master [-- --reason <text>]`: replaces the master key in its file, whether the server runs or not.
 * Takes `DATA_DIR` and `MASTER_KEY_FILE` as the server does. Run it again if it was interrupted.
 *
 * Exit status: 0 if it was done, 1 if not, 2 if the arguments are wrong.
 */
import './production.js';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { appendAudit } from './access/audit.queries.js';
import { COMMAND_LINE } from './access/principal.js';
import { checkReason } from './access/reason.js';
import { loadConfig } from './config.js';
import { AppError, StartupError, StoreLockedError } from './errors.js';
import { openCatalogBeside, openKeysBeside } from './storage/database.js';
import { lockStore } from './storage/store-lock.js';
import { MasterKeys } from './vault/master-keys.js';
import { rotateMasterKey } from './vault/rotation.js';

const USAGE = 'usage: npm run keys:rotate-master [-- --reason <text>]\n';

function reasonOf(args: string[]): string | null | undefined {
  try {
    return parseArgs({ args, options: { reason: { type: 'string' } } }).values.reason ?? null;
  } catch {
    return undefined;
  }
}

async function main(args: string[]): Promise<number> {
  const given = reasonOf(args);
  if (given === undefined) {
    process.stderr.write(USAGE);
    return 2;
  }
  const reason = checkReason(given, ['--reason']);
  const config = loadConfig(process.env);
  const dataDir = path.resolve(config.dataDir);
  const catalog = await openCatalogBeside(dataDir);
  const note = (before: string, after: string) =>
    catalog.db.transaction().execute((trx) => {
      const states = { before: { id: before }, after: { id: after } };
      return appendAudit(trx, COMMAND_LINE, { action: 'rotateMasterKey', target: 'master key', reason, ...states });
    });
  try {
    const count = await rotateAlone(dataDir, new MasterKeys(config, dataDir), note);
    process.stdout.write(`The master key was replaced; ${count} data keys were wrapped again.\n`);
  } finally {
    await catalog.close();
  }
  return 0;
}

/** Two commands at once would each make a key, and remove that of the other from the file. @throws StartupError after 5 s */
async function rotateAlone(
  dataDir: string,
  masters: MasterKeys,
  note: Parameters<typeof rotateMasterKey>[0]['note'],
): Promise<number> {
  const lock = await lockStore(path.join(dataDir, 'rotation.lock'), 0).catch((error) => {
    throw error instanceof StoreLockedError ? new StartupError('another process is replacing the master key') : error;
  });
  try {
    const keys = await openKeysBeside(dataDir);
    return await rotateMasterKey({ ...keys, masters, note }).finally(() => keys.file.close());
  } finally {
    await lock.close();
  }
}

main(process.argv.slice(2)).then(
  (code) => {
    process.exitCode = code;
  },
  (error) => {
    const isOurs = error instanceof AppError || error instanceof StartupError;
    process.stderr.write(`${isOurs ? error.message : (error as Error).stack}\n`);
    process.exitCode = 1;
  },
);
