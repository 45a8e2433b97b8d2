/**
 * `npm run operations:publish | operations:list | operations:remove`: the registered operations of a data folder, whether its
 * server runs or not. Takes `DATA_DIR` as the server does. A running server accepts and refuses ids accordingly within a
 * second.
 *
 * Exit status: 0 if it was done, 1 if not, 2 if the arguments are wrong.
 */
import './production.js';
// Must be loaded before the first decorated class.
import 'reflect-metadata';
import { readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import { parseArgs } from 'node:util';
import type { Actor } from './access/api-keys.js';
import { COMMAND_LINE } from './access/principal.js';
import { checkReason } from './access/reason.js';
import type { RegisteredOperation } from './access/registered-operation.queries.js';
import { RegisteredOperations } from './access/registered-operations.js';
import { checkManifest } from './api/operation-checks.js';
import { createSchema } from './api/schema.js';
import { loadConfig } from './config.js';
import { AppError, InvalidInputError, lineOfProblem, StartupError } from './errors.js';
import { openCatalog } from './storage/database.js';

const USAGE = `usage:
  npm run operations:publish -- <manifest.json> [--reason <text>]
  npm run operations:remove -- <id> … [--reason <text>]
  npm run operations:list
`;
const MAX_FILE_BYTES = 64 * 1024 * 1024;

class UsageError extends Error {}

function parse(args: string[]) {
  try {
    return parseArgs({ args, options: { reason: { type: 'string' } }, allowPositionals: true });
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}

/** Returns what to do with the catalog. @throws UsageError */
async function taskOf(args: string[]): Promise<(operations: RegisteredOperations) => Promise<string>> {
  const { values, positionals } = parse(args);
  const [command, ...rest] = positionals;
  const by: Actor = { principal: COMMAND_LINE, reason: checkReason(values.reason, ['--reason']) };
  if (command === 'list' && rest.length === 0)
    return async (operations) => operations.all.map(lineOf).join('') || 'There are no operations.\n';
  if (command === 'remove' && rest.length > 0)
    return async (operations) => `${await operations.remove(rest, by)} removed\n`;
  const [file] = rest;
  if (command !== 'publish' || file === undefined || rest.length > 1) throw new UsageError('unexpected arguments');
  const checked = await checkManifest(createSchema(), await readJson(file), [file]);
  return async (operations) => {
    const { added, unchanged } = await operations.publish(checked, by, [file]);
    return `${added} added, ${unchanged} unchanged\n`;
  };
}

async function readJson(file: string): Promise<unknown> {
  try {
    const { size } = await stat(file);
    if (size > MAX_FILE_BYTES) throw new Error(`it has ${size} bytes; at most ${MAX_FILE_BYTES} are read`);
    return JSON.parse(await readFile(file, 'utf8'));
  } catch (error) {
    throw new UsageError(`${file} cannot be read: ${(error as Error).message}`);
  }
}

async function main(args: string[]): Promise<void> {
  const task = await taskOf(args);
  const { db, close } = await openCatalog(path.resolve(loadConfig(process.env).dataDir));
  try {
    const operations = new RegisteredOperations(db);
    await operations.load();
    process.stdout.write(await task(operations));
  } finally {
    await close();
  }
}

function lineOf({ id, type, name, publishedAt }: RegisteredOperation): string {
  return `${id}  ${type}  ${name}  ${publishedAt.toISOString()}\n`;
}

function textOf(error: unknown): string {
  if (error instanceof UsageError) return `${error.message}\n${USAGE}`;
  if (error instanceof InvalidInputError) return error.problems.map((one) => `${lineOfProblem(one)}\n`).join('');
  return `${error instanceof AppError || error instanceof StartupError ? error.message : (error as Error).stack}\n`;
}

main(process.argv.slice(2)).catch((error) => {
  process.stderr.write(textOf(error));
  process.exitCode = error instanceof UsageError ? 2 : 1;
});
