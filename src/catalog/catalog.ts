/** Catalog operations that need more than one query: moving aliases and suggesting names. */
import { appendAudit } from '../access/audit.queries.js';
import { checkGrant } from '../access/grants.js';
import type { Principal } from '../access/principal.js';
import { checkReason } from '../access/reason.js';
import { ConflictError, InvalidInputError, NotFoundError, NotReadyError } from '../errors.js';
import type { CatalogDatabase } from '../storage/database.js';
import { describe } from '../tasks/problems.js';
import { findRollback, moveAlias } from './alias.queries.js';
import type { Alias } from './alias.type.js';
import { AliasChanges } from './alias-changes.js';
import type { CatalogContext } from './loaders.js';
import { findModelNames } from './model.queries.js';
import type { Model } from './model.type.js';
import { isAliasName } from './ref.js';
import { findVersionState } from './registration.queries.js';
import { suggest } from './suggest.js';
import type { Version } from './version.type.js';

const NAMES_TO_SUGGEST_FROM = 1_000;

export interface AliasInput {
  readonly model: string;
  readonly alias: string;
  readonly reason?: string | null;
}

interface Move {
  readonly model: Model;
  readonly alias: string;
  readonly version: Version;
  readonly reason: string | null;
  readonly action: 'setAlias' | 'rollbackAlias';
  /** The last change of the alias that it was decided on, and the change whose version it restores. */
  readonly rollback?: { readonly last: number | null; readonly restores: number };
}

/** What is done before an alias points to a version. */
type Prepare = (version: Version) => Promise<void>;

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
    context: CatalogContext,
    input: AliasInput & { readonly version: string },
    prepare: Prepare,
  ): Promise<Alias> {
    const { model, reason } = await this.#aliasToMove(context, input);
    const version = await context.catalogLoaders.findVersion(input.version, ['input', 'version']);
    if (!version) throw new NotFoundError(`The version "${input.version}"`);
    if (version.modelId !== model.id) throw anotherModels(input);
    return this.#move(context, { model, alias: input.alias, version, reason, action: 'setAlias' }, prepare);
  }

  /**
   * Points the alias to the version that it pointed to before; called again, to the one before that.
   *
   * @throws as `setAlias`; ConflictError if the alias is moved meanwhile
   */
  async rollbackAlias(context: CatalogContext, input: AliasInput, prepare: Prepare): Promise<Alias> {
    const { model, reason } = await this.#aliasToMove(context, input);
    const { alias } = input;
    const { last, target } = await findRollback(this.#db, context.principal, { modelId: model.id, alias });
    const version = target && (await context.catalogLoaders.version.load(target.versionId));
    if (!version) throw new NotFoundError(`An earlier version of ${model.name}@${alias}`);
    const rollback = { last, restores: target.sequence };
    return this.#move(context, { model, alias, version, reason, action: 'rollbackAlias', rollback }, prepare);
  }

  async #aliasToMove({ principal, catalogLoaders }: CatalogContext, input: AliasInput) {
    checkAliasName(input.alias);
    const reason = checkReason(input.reason, ['input', 'reason']);
    const model = await catalogLoaders.modelByName.load(input.model);
    if (!model) throw await this.notFound(principal, `The model "${input.model}"`, input.model);
    checkGrant(principal, model.name, `${model.name}@${input.alias}`, 'Moving');
    return { model, reason };
  }

  async #move({ principal, catalogLoaders }: CatalogContext, move: Move, prepare: Prepare): Promise<Alias> {
    const { model, alias, version, reason, action, rollback } = move;
    if (version.state !== 'READY') throw new NotReadyError(version.ref, version.state, version.stateReason);
    const name = { modelId: model.id, alias };
    const change = () =>
      this.#db
        .transaction()
        .execute(async (trx) => {
          // It may have been archived while it was being loaded.
          const now = await findVersionState(trx, version.id);
          if (now && now.state !== 'READY') throw new NotReadyError(version.ref, now.state, now.state_reason);
          if (rollback && (await findRollback(trx, principal, name)).last !== rollback.last)
            throw new ConflictError(`${model.name}@${alias} was moved meanwhile. See Model.aliasHistory.`);
          const to = {
            ...name,
            versionId: version.id,
            author: principal,
            reason,
            restores: rollback?.restores ?? null,
          };
          const before = await moveAlias(trx, to, Date.now());
          if (before === version.number) return;
          await appendAudit(trx, principal, {
            action,
            target: `${model.name}@${alias}`,
            reason,
            before: before === null ? null : { version: `${model.name}:${before}` },
            after: { version: `${model.name}:${version.number}` },
          });
        })
        .finally(() => this.invalidate());
    await this.#aliasChanges.make(`${model.id} ${alias}`, prepare(version), change);
    catalogLoaders.forgetAliases();
    const aliases = await catalogLoaders.aliasesOfModel.load(model.id);
    return aliases.find(({ name }) => name === alias) as Alias;
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

function anotherModels({ model, version }: { readonly model: string; readonly version: string }): InvalidInputError {
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
