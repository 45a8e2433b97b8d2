/**
 * `npm run fsck`: checks a data folder, whether its server runs or not. Takes `DATA_DIR` and `MODEL_STORE` as the server does.
 *
 * - `--repair` repairs what can be repaired; the server must not run. `--reason <text>` is kept in the audit log.
 * - `--json` prints each problem as one line of JSON.
 *
 * Exit status: 0 if the folder has no problem, or none that was not repaired; 1 if it has; 2 if it cannot be checked.
 */
import './production.js';
import 'reflect-metadata';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { checkReason } from './access/reason.js';
import { loadConfig } from './config.js';
import { checkFolder, MAX_PROBLEMS, repairFolder } from './maintenance/check.js';
import type { Problem } from './maintenance/problem.js';
import { progressOn } from './maintenance/progress.js';

const USAGE = 'usage: npm run fsck [-- [--repair [--reason <text>]] [--json]]\n';

const OPTIONS = {
  repair: { type: 'boolean', default: false },
  reason: { type: 'string' },
  json: { type: 'boolean', default: false },
} as const;

function lineOf({ code, where, message }: Problem, outcome: string | null): string {
  return `${code} ${where}: ${message}${outcome === null ? '' : ` [${outcome}]`}\n`;
}

function jsonOf({ code, where, message, repair }: Problem, repaired: boolean, failure: string | null): string {
  return `${JSON.stringify({ code, where, message, canRepair: repair !== null, repaired, failure })}\n`;
}

async function main(args: readonly string[]): Promise<number> {
  const { repair, reason, json } = parseArgs({ args: [...args], options: OPTIONS }).values;
  const config = loadConfig(process.env);
  const dataDir = path.resolve(config.dataDir);
  const progress = progressOn(process.stderr);
  let [count, left] = [0, 0];
  const show = (problem: Problem, failure: string | null, outcome: string | null) => {
    count++;
    if (!repair || failure !== null) left++;
    process.stdout.write(json ? jsonOf(problem, repair && failure === null, failure) : lineOf(problem, outcome));
  };
  if (repair) {
    const given = { store: path.resolve(config.modelStore), reason: checkReason(reason, ['--reason']) };
    for await (const { problem, failure } of repairFolder(dataDir, { ...config, ...given, progress }))
      show(problem, failure, failure === null ? `repaired: ${problem.repair?.does}` : `not repaired: ${failure}`);
  } else
    for await (const problem of checkFolder(dataDir, { ...config, progress, isAlone: false }))
      show(problem, null, problem.repair ? `--repair ${problem.repair.does}` : null);
  const summary = repair ? `${count} problems found, ${count - left} repaired` : `${count} problems found`;
  process.stderr.write(`${dataDir}: ${summary}${count >= MAX_PROBLEMS ? '; there may be more' : ''}\n`);
  return left === 0 ? 0 : 1;
}

// The server and its workers come first.
os.setPriority(os.constants.priority.PRIORITY_LOW);
main(process.argv.slice(2)).then(
  (code) => {
    process.exitCode = code;
  },
  (error: Error & { code?: string }) => {
    const isUsage = error.code?.startsWith('ERR_PARSE_ARGS');
    process.stderr.write(`${error.message}\n${isUsage ? USAGE : ''}`);
    process.exitCode = 2;
  },
);
