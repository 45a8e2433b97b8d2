/**
 * `npm run audit:verify`: checks the audit log of a data folder, whether its server runs or not. Takes `DATA_DIR` as the
 * server does. `-- <sequence> <sha256>` also checks that the log still has this entry, which was written down elsewhere.
 *
 * Exit status: 0 if the log is complete, 1 if not, 2 if the arguments are wrong.
 */
import './production.js';
import path from 'node:path';
import { type AuditHead, AuditVerifier } from './access/audit.js';
import { findAuditProblems } from './access/audit.queries.js';
import { loadConfig } from './config.js';
import { openCatalogBeside } from './storage/database.js';

const USAGE = 'usage: npm run audit:verify [-- <sequence> <sha256>]\n';
const MAX_PROBLEMS = 20;

function headsOf(args: readonly string[]): AuditHead[] | null {
  if (args.length === 0) return [];
  const [sequence, sha256, ...rest] = args;
  const isHead = Number(sequence) >= 1 && Number.isSafeInteger(Number(sequence)) && /^[0-9a-f]{64}$/.test(sha256 ?? '');
  return isHead && rest.length === 0 ? [{ sequence: Number(sequence), sha256: sha256 as string }] : null;
}

async function main(args: readonly string[]): Promise<number> {
  const heads = headsOf(args);
  if (!heads) {
    process.stderr.write(USAGE);
    return 2;
  }
  const dataDir = path.resolve(loadConfig(process.env).dataDir);
  const { db, close } = await openCatalogBeside(dataDir);
  try {
    const verifier = new AuditVerifier(heads);
    const problems = await findAuditProblems(db, verifier, MAX_PROBLEMS);
    const { sequence, sha256 } = verifier.last;
    if (problems.length === 0)
      process.stdout.write(`The audit log is complete: ${sequence} entries; the last is ${sequence} ${sha256}\n`);
    else process.stderr.write(`The audit log is not complete:\n${problems.map((one) => `  ${one}\n`).join('')}`);
    return problems.length === 0 ? 0 : 1;
  } finally {
    await close();
  }
}

main(process.argv.slice(2)).then(
  (code) => {
    process.exitCode = code;
  },
  (error: Error) => {
    process.stderr.write(`${error.message}\n`);
    process.exitCode = 1;
  },
);
