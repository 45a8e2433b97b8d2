/** Catalog operations that need more than one query: moving aliases and suggesting names. */
import { appendAudit } from '../access/audit.queries.js';
import { checkGrant } from '../access/grants.js';
import type { Principal } from '../access/principal.js';
import { checkReason } from '../access/reason.js';
import { InvalidInputError, NotFoundError, NotReadyError } from '../errors.js';
import type { CatalogDatabase } from '../storage/database.js';
import { describe } from '../tasks/problems.js';
import { AliasChanges } from './alias-changes.js';
import type { CatalogContext } from './loaders.js';
import { findModelNames } from './model.queries.js';
import { isAliasName } from './ref.js';
import { findVersionState, moveAlias } from './registration.queries.js';
import { suggest } from './suggest.js';
import type { Alias, Version } from './version.type.js';

const NAMES_TO_SUGGEST_FROM = 1_000;

export class Catalog {
  readonly #db: CatalogDatabase;
  readonly #aliasChanges = new AliasChanges();
  #revision = 0;

  constructor(db: CatalogDatabase) {
    this.#db = db;
  }

  /** A number that every change increments. In-memory copies of the catalog compare it to detect that they are stale. */
  get revision(): number {
    return this.#revision;
  }

  /** Makes in-memory copies of the catalog stale. Called after every change. */
  invalidate(): void {
    this.#revision++;
  }

  /** The error for an unknown name. It suggests similar names that the principal may see. */
  async notFound(principal: Principal, what: string, name: string): Promise<NotFoundError> {
    const names = await findModelNames(this.#db, principal, NAMES_TO_SUGGEST_FROM);
    return new NotFoundError(what, suggest(name, names));
  }

  /**
   * `prepare` is called with the version before the alias is moved. If it rejects, the alias is not moved. A later change
   * of the same alias ends the wait for it.
   *
   * @throws InvalidInputError, NotFoundError, ForbiddenError, NotReadyError, StorageFullError; as `prepare`
   */
  async setAlias(
    { principal, catalogLoaders }: CatalogContext,
    input: { model: string; alias: string; version: string; reason?: string | null },
    prepare: (version: Version) => Promise<void>,
  ): Promise<Alias> {
    checkAliasName(input.alias);
    const reason = checkReason(input.reason, ['input', 'reason']);
    const model = await catalogLoaders.modelByName.load(input.model);
    if (!model) throw await this.notFound(principal, `The model "${input.model}"`, input.model);
    checkGrant(principal, model.name, `${model.name}@${input.alias}`, 'Moving');
    const version = await catalogLoaders.findVersion(input.version, ['input', 'version']);
    if (!version) throw new NotFoundError(`The version "${input.version}"`);
    if (version.modelId !== model.id) throw anotherModels(input);
    if (version.state !== 'READY') throw new NotReadyError(input.version, version.state, version.stateReason);
    const move = () =>
      this.#db
        .transaction()
        .execute(async (trx) => {
          // It may have been archived while it was being loaded.
          const now = await findVersionState(trx, version.id);
          if (now && now.state !== 'READY') throw new NotReadyError(input.version, now.state, now.state_reason);
          const before = await moveAlias(trx, model.id, input.alias, version.id, Date.now());
          if (before === version.number) return;
          await appendAudit(trx, principal, {
            action: 'setAlias',
            target: `${model.name}@${input.alias}`,
            reason,
            before: before === null ? null : { version: `${model.name}:${before}` },
            after: { version: `${model.name}:${version.number}` },
          });
        })
        .finally(() => this.invalidate());
    await this.#aliasChanges.make(`${model.id} ${input.alias}`, prepare(version), move);
    catalogLoaders.forgetAliases();
    const aliases = await catalogLoaders.aliasesOfModel.load(model.id);
    return aliases.find(({ name }) => name === input.alias) as Alias;
  }
}

function checkAliasName(alias: string): void {
  if (isAliasName(alias)) return;
  throw new InvalidInputError([
    {
      path: ['input', 'alias'],
      code: 'UNREADABLE',
      message: 'the alias name is invalid',
      expected: 'a name that matches [a-z][a-z0-9-]{0,31}',
      received: describe(alias),
    },
  ]);
}

function anotherModels({ model, version }: { model: string; version: string }): InvalidInputError {
  return new InvalidInputError([
    {
      path: ['input', 'version'],
      code: 'UNKNOWN_NAME',
      message: 'the version belongs to another model',
      expected: `a version of ${model}`,
      received: describe(version),
    },
  ]);
}
