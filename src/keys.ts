/**
 * `npm run keys -- create | list | limit | revoke | rotate`: API keys of a data folder, whether its server runs or not. Takes
 * `DATA_DIR` as the server does. A running server accepts and refuses keys accordingly within a second.
 *
 * Exit status: 0 if it was done, 1 if not, 2 if the arguments are wrong.
 */
import './production.js';
import path from 'node:path';
import { parseArgs } from 'node:util';
import type { ApiKey } from './access/api-key.js';
import { type Actor, ApiKeys, type CreatedKey } from './access/api-keys.js';
import { checkLimits, LIMIT_NAMES, type WantedLimits } from './access/key-limits.js';
import { checkNewKey, MAX_OVERLAP_MS } from './access/new-key.js';
import { COMMAND_LINE } from './access/principal.js';
import { checkReason } from './access/reason.js';
import type { Role } from './access/roles.js';
import { loadConfig } from './config.js';
import { AppError, InvalidInputError, lineOfProblem, StartupError } from './errors.js';
import { openCatalog } from './storage/database.js';

const USAGE = `usage:
  npm run keys -- create --account <account> --name <name> --roles <role,…> [--expires <days>] [--models <model or model@alias,…>]
                         [--publishable --origins <origin,…> --operations <field,…> --models <model,…>]
                         [--limits <name=number,…>]
  npm run keys -- list
  npm run keys -- rotate <id> [--overlap <hours>] [--limits <name=number,…>]
  npm run keys -- limit <id> [--limits <name=number,…>]
  npm run keys -- revoke <id>

Limits are quotas: ${LIMIT_NAMES.join(', ')}.
Without --limits, limit removes them, and a publishable key gets its defaults.

All but list take --reason <text>, which the audit log keeps.
`;
const DAY_MS = 86_400_000;
const HOUR_MS = 3_600_000;

class UsageError extends Error {}

const OPTIONS = {
  account: { type: 'string' },
  name: { type: 'string' },
  roles: { type: 'string' },
  expires: { type: 'string' },
  models: { type: 'string' },
  origins: { type: 'string' },
  operations: { type: 'string' },
  limits: { type: 'string' },
  publishable: { type: 'boolean', default: false },
  overlap: { type: 'string', default: '24' },
  reason: { type: 'string' },
} as const;
type Options = ReturnType<typeof parse>['values'];

function parse(args: string[]) {
  try {
    return parseArgs({ args, options: OPTIONS, allowPositionals: true });
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}

/** What a command does, once its arguments have been checked. */
type Action = (keys: ApiKeys) => Promise<void>;

const ACTIONS: Readonly<Record<string, (options: Options, id: string) => Action>> = {
  create: (options) => {
    const [wanted, actor] = [wantedOf(options), actorOf(options)];
    return async (keys) => show(await keys.create(wanted, actor));
  },
  list: () => async (keys) => {
    const lines = keys.all.map((key) => lineOf(key, keys.uses.lastUsedAt(key.id)));
    process.stdout.write(lines.join('') || 'There are no keys.\n');
  },
  revoke: (options, id) => {
    const actor = actorOf(options);
    return async (keys) => {
      const key = known(await keys.revoke(id, actor), id);
      process.stdout.write(lineOf(key, keys.uses.lastUsedAt(id)));
    };
  },
  rotate: (options, id) => {
    const wanted = { overlapMs: overlapMs(options), limits: limitsOf(options) };
    const actor = actorOf(options);
    return async (keys) => show(known(await keys.rotate(id, wanted, actor), id));
  },
  limit: (options, id) => {
    const [limits, actor] = [limitsOf(options), actorOf(options)];
    return async (keys) => {
      const key = known(await keys.setLimits(id, limits, actor), id);
      process.stdout.write(lineOf(key, keys.uses.lastUsedAt(id)));
    };
  },
};
const TAKE_ID = ['revoke', 'rotate', 'limit'];

/** @throws UsageError, InvalidInputError */
function actionOf(args: string[]): Action {
  const { values, positionals } = parse(args);
  const [command, id, ...rest] = positionals;
  if (command === undefined) throw new UsageError('a command is missing');
  const action = Object.hasOwn(ACTIONS, command) ? ACTIONS[command] : undefined;
  if (!action) throw new UsageError(`there is no command "${command}"`);
  if (TAKE_ID.includes(command) && id === undefined)
    throw new UsageError(`${command} needs the id of a key: see npm run keys -- list`);
  if (rest.length > 0 || (id !== undefined && !TAKE_ID.includes(command))) throw new UsageError('unexpected arguments');
  return action(values, id ?? '');
}

async function main(args: string[]): Promise<void> {
  const act = actionOf(args);
  const { keys, close } = await openKeys();
  try {
    await act(keys);
  } finally {
    await close();
  }
}

async function openKeys(): Promise<{ keys: ApiKeys; close: () => Promise<void> }> {
  const { db, close } = await openCatalog(path.resolve(loadConfig(process.env).dataDir));
  const keys = new ApiKeys(db);
  try {
    await keys.load();
  } catch (error) {
    await close();
    throw error;
  }
  return { keys, close };
}

function wantedOf(options: Options) {
  const { account, name, roles, expires, publishable } = options;
  if (!account || !name || !roles) throw new UsageError('--account, --name and --roles are required');
  const listOf = (text: string | undefined) => text?.split(',').map((one) => one.trim()) ?? null;
  return checkNewKey(
    {
      account,
      name,
      roles: listOf(roles) as Role[],
      kind: publishable ? 'publishable' : 'secret',
      models: listOf(options.models),
      origins: listOf(options.origins),
      operations: listOf(options.operations),
      limits: limitsOf(options),
      expiresAt: expires === undefined ? null : new Date(Date.now() + amount('expires', expires, 3_650) * DAY_MS),
    },
    ['--'],
  );
}

/** `operationsPerSecond=10,…`; null if there is no such option. */
function limitsOf({ limits }: Options): WantedLimits | null {
  if (limits === undefined) return null;
  const wanted = limits.split(',').map((one): [string, number] => {
    const [name = '', number = ''] = one.split('=').map((part) => part.trim());
    if (!LIMIT_NAMES.some((known) => known === name) || number === '')
      throw new UsageError(`--limits has "${one}"; expected <name>=<number> with ${LIMIT_NAMES.join(', ')}`);
    return [name, Number(number)];
  });
  return checkLimits(Object.fromEntries(wanted), ['--limits']);
}

function actorOf({ reason }: Options): Actor {
  return { principal: COMMAND_LINE, reason: checkReason(reason, ['--reason']) };
}

function overlapMs({ overlap }: Options): number {
  return amount('overlap', overlap, MAX_OVERLAP_MS / HOUR_MS) * HOUR_MS;
}

function amount(option: string, text: string, most: number): number {
  const number = Number(text);
  if (text.trim() !== '' && number >= 0 && number <= most) return number;
  throw new UsageError(`--${option} is ${text.trim() || 'empty'}; expected a number from 0 to ${most}`);
}

function known<T>(found: T | null, id: string | undefined): T {
  if (found === null) throw new UsageError(`there is no key "${id}"`);
  return found;
}

/** The key goes to standard output alone, so that a script can read it. */
function show({ key, text }: CreatedKey): void {
  process.stderr.write(`${lineOf(key, null)}This is the only time that the key is shown:\n`);
  process.stdout.write(`${text}\n`);
}

function lineOf(key: ApiKey, lastUsedAt: Date | null): string {
  const used = lastUsedAt ? `last used ${lastUsedAt.toISOString()}` : 'never used';
  const { id, account, name, kind, roles, replacedBy } = key;
  const columns = [id, account, JSON.stringify(name), kind, roles.join(','), stateOf(key), used];
  if (replacedBy) columns.push(`replaced by ${replacedBy}`);
  return `${[...columns, ...boundsOf(key)].join('  ')}\n`;
}

function stateOf({ revokedAt, expiresAt }: ApiKey): string {
  if (revokedAt) return `revoked ${revokedAt.toISOString()}`;
  return expiresAt ? `expires ${expiresAt.toISOString()}` : 'does not expire';
}

/** What the key is bound to, as the options that bind it. */
function boundsOf({ operations, models, origins, limits }: ApiKey): string[] {
  const quotas = LIMIT_NAMES.filter((one) => limits?.[one] != null).map((one) => `${one}=${limits?.[one]}`);
  return Object.entries({ operations, models, origins, limits: quotas.length > 0 ? quotas : null }).flatMap(
    ([option, list]) => (list ? `--${option} ${list.join(',')}` : []),
  );
}

function textOf(error: unknown): string {
  if (error instanceof UsageError) return `${error.message}\n${USAGE}`;
  if (error instanceof InvalidInputError)
    return error.problems.map((one) => `${lineOfProblem(one).replace(/^--\./, '--')}\n`).join('');
  return `${error instanceof AppError || error instanceof StartupError ? error.message : (error as Error).stack}\n`;
}

main(process.argv.slice(2)).catch((error) => {
  process.stderr.write(textOf(error));
  process.exitCode = error instanceof UsageError ? 2 : 1;
});
