/**
 * `npm run backup -- <new folder>`: copies the databases and blobs of a data folder, whether its server runs or not. Takes
 * `DATA_DIR` as the server does.
 *
 * Exit status: 0 if the backup is complete; 1 if the data folder lacks blobs, and the backup therefore does too; 2 if there is
 * no backup.
 */
import './production.js';
import 'reflect-metadata';
import os from 'node:os';
import path from 'node:path';
import { loadConfig } from './config.js';
import { StartupError } from './errors.js';
import { backUp } from './maintenance/backup.js';
import { progressOn } from './maintenance/progress.js';

const USAGE = 'usage: npm run backup -- <new folder>\n';

async function main(args: readonly string[]): Promise<number> {
  const [name] = args;
  if (args.length !== 1 || !name || name.startsWith('-')) {
    process.stderr.write(USAGE);
    return 2;
  }
  const dataDir = path.resolve(loadConfig(process.env).dataDir);
  const target = path.resolve(process.env['INIT_CWD'] ?? '', name);
  const { files, bytes, missing, sha256, firstMissing } = await backUp(dataDir, target, progressOn(process.stderr));
  process.stdout.write(`${target}: ${files} files, ${bytes} bytes; the digest of the manifest is ${sha256}\n`);
  for (const { missing: digest, place } of firstMissing)
    process.stderr.write(`the data folder lacks the blob ${digest} of ${place}\n`);
  if (missing > 0) process.stderr.write(`${missing} blobs are missing: see npm run fsck\n`);
  return missing === 0 ? 0 : 1;
}

// Only whoever makes the backup may read it.
process.umask(0o077);
// The server and its workers come first.
os.setPriority(os.constants.priority.PRIORITY_LOW);
main(process.argv.slice(2)).then(
  (code) => {
    process.exitCode = code;
  },
  (error: Error) => {
    process.stderr.write(`${error instanceof StartupError ? error.message : error.stack}\n`);
    process.exitCode = 2;
  },
);
