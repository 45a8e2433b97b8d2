/**
 * `npm run restore -- <backup> <new data folder>`: makes a data folder of a backup, and checks it.
 *
 * Exit status: 0 if the new folder has no problem; 1 if it has those that the data folder had; 2 if nothing was restored.
 */
import './production.js';
import 'reflect-metadata';
import path from 'node:path';
import { StartupError } from './errors.js';
import { progressOn } from './maintenance/progress.js';
import { restore } from './maintenance/restore.js';

const USAGE = 'usage: npm run restore -- <backup> <new data folder>\n';
const MAX_SHOWN = 100;

async function main(args: readonly string[]): Promise<number> {
  if (args.length !== 2 || args.some((arg) => arg === '' || arg.startsWith('-'))) {
    process.stderr.write(USAGE);
    return 2;
  }
  const [backup, target] = args.map((arg) => path.resolve(process.env['INIT_CWD'] ?? '', arg)) as [string, string];
  const { files, bytes, sha256, problems } = await restore(backup, target, progressOn(process.stderr));
  for (const { code, where, message } of problems.slice(0, MAX_SHOWN))
    process.stdout.write(`${code} ${where}: ${message}\n`);
  process.stdout.write(
    `${target}: ${files} files, ${bytes} bytes; the digest of the manifest is ${sha256}; ${problems.length} problems\n`,
  );
  process.stderr.write(
    'Before you start the server, copy keys.db and the master key of the data folder: without them, it makes new ones, and restored predictions cannot be read.\n',
  );
  return problems.length === 0 ? 0 : 1;
}

// Only whoever restores it may read it.
process.umask(0o077);
main(process.argv.slice(2)).then(
  (code) => {
    process.exitCode = code;
  },
  (error: Error) => {
    process.stderr.write(`${error instanceof StartupError ? error.message : error.stack}\n`);
    process.exitCode = 2;
  },
);
