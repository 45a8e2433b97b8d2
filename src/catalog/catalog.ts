/** Catalog operations that need more than one query: moving aliases and suggesting names. */
import type { Transaction } from 'kysely';
import { appendAudit } from '../access/audit.queries.js';
import { checkGrant } from '../access/grants.js';
import type { Principal } from '../access/principal.js';
import { checkReason } from '../access/reason.js';
import { ConflictError, InvalidInputError, NotFoundError, NotReadyError } from '../errors.js';
import type { CatalogDatabase, CatalogTables } from '../storage/database.js';
import { describe } from '../tasks/problems.js';
import { findRollback, moveAlias } from './alias.queries.js';
import type { Alias } from './alias.type.js';
import { AliasChanges } from './alias-changes.js';
import { type FindGateSituation, moveThroughGate, type Passage } from './alias-gate.js';
import type { CatalogContext } from './loaders.js';
import { findModelNames } from './model.queries.js';
import type { Model } from './model.type.js';
import { isAliasName } from './ref.js';
import { findVersionState } from './registration.queries.js';
import { NAMES_TO_SUGGEST_FROM, suggest } from './suggest.js';
import type { Version } from './version.type.js';

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
  readonly isGateOverridden: boolean;
  /** The last change of the alias that it was decided on, and the change whose version it restores. */
  readonly rollback?: { readonly last: number | null; readonly restores: number };
}

/** What is done before an alias points to a version. */
type Prepare = (version: Version) => Promise<void>;

export class Catalog {
  readonly #db: CatalogDatabase;
  readonly #findGateSituation: FindGateSituation;
  readonly #aliasChanges = new AliasChanges();
  #revision = 0;

  constructor(db: CatalogDatabase, findGateSituation: FindGateSituation) {
    this.#db = db;
    this.#findGateSituation = findGateSituation;
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
   * @throws InvalidInputError, NotFoundError, ForbiddenError, NotReadyError, GateNotPassedError, ConflictError,
   * StorageFullError; as `prepare`
   */
  async setAlias(
    context: CatalogContext,
    input: AliasInput & { readonly version: string; readonly override?: { readonly reason: string } | null },
    prepare: Prepare,
  ): Promise<Alias> {
    const { model, reason: stated } = await this.#aliasToMove(context, input);
    const override = input.override ?? null;
    const reason = checkReason(override?.reason, ['input', 'override', 'reason']) ?? stated;
    const version = await context.catalogLoaders.findVersion(input.version, ['input', 'version']);
    if (!version) throw new NotFoundError(`The version "${input.version}"`);
    if (version.modelId !== model.id) throw anotherModels(input);
    const move = { model, alias: input.alias, version, reason, action: 'setAlias' as const };
    return this.#move(context, { ...move, isGateOverridden: override !== null }, prepare);
  }

  /**
   * Points the alias to the version that it pointed to before; called again, to the one before that. Asks no gate.
   *
   * @throws as `setAlias`, but no GateNotPassedError; ConflictError if the alias is moved meanwhile
   */
  async rollbackAlias(context: CatalogContext, input: AliasInput, prepare: Prepare): Promise<Alias> {
    const { model, reason } = await this.#aliasToMove(context, input);
    const { alias } = input;
    const { last, target } = await findRollback(this.#db, context.principal, { modelId: model.id, alias });
    const version = target && (await context.catalogLoaders.version.load(target.versionId));
    if (!version) throw new NotFoundError(`An earlier version of ${model.name}@${alias}`);
    const rollback = { last, restores: target.sequence };
    const move = { model, alias, version, reason, action: 'rollbackAlias' as const, rollback };
    return this.#move(context, { ...move, isGateOverridden: false }, prepare);
  }

  async #aliasToMove({ principal, catalogLoaders }: CatalogContext, input: AliasInput) {
    checkAliasName(input.alias);
    const reason = checkReason(input.reason, ['input', 'reason']);
    const model = await catalogLoaders.modelByName.load(input.model);
    if (!model) throw await this.notFound(principal, `The model "${input.model}"`, input.model);
    checkGrant(principal, model.name, `${model.name}@${input.alias}`, 'Moving');
    return { model, reason };
  }

  async #move(context: CatalogContext, move: Move, prepare: Prepare): Promise<Alias> {
    const { model, alias, version, isGateOverridden } = move;
    if (version.state !== 'READY') throw new NotReadyError(version.ref, version.state, version.stateReason);
    const to = { modelId: model.id, alias, versionId: version.id };
    const change = () =>
      moveThroughGate(this.#db, to, {
        // Whoever goes back to what has worked must not wait, and needs no reason.
        findSituation: move.rollback ? async () => null : this.#findGateSituation,
        isOverridden: isGateOverridden,
        ref: `${model.name}@${alias}`,
        change: (trx, passage) => moveAndAudit(trx, context.principal, move, passage),
      }).finally(() => this.invalidate());
    await this.#aliasChanges.make(`${model.id} ${alias}`, prepare(version), change);
    context.catalogLoaders.forgetAliases();
    const aliases = await context.catalogLoaders.aliasesOfModel.load(model.id);
    return aliases.find(({ name }) => name === alias) as Alias;
  }
}

/** @throws NotReadyError, ConflictError */
async function moveAndAudit(
  trx: Transaction<CatalogTables>,
  principal: Principal,
  { model, alias, version, reason, action, rollback }: Move,
  passage: Passage,
): Promise<void> {
  const name = { modelId: model.id, alias };
  // It may have been archived while it was being loaded.
  const now = await findVersionState(trx, version.id);
  if (now && now.state !== 'READY') throw new NotReadyError(version.ref, now.state, now.state_reason);
  if (rollback && (await findRollback(trx, principal, name)).last !== rollback.last)
    throw new ConflictError(`${model.name}@${alias} was moved meanwhile. See Model.aliasHistory.`);
  const restores = rollback?.restores ?? null;
  const gate = passage && (passage.overridden ? ('OVERRIDDEN' as const) : ('PASSED' as const));
  const to = { ...name, versionId: version.id, author: principal, reason, restores, gate };
  const before = await moveAlias(trx, to, Date.now());
  if (before === version.number) return;
  await appendAudit(trx, principal, {
    action,
    target: `${model.name}@${alias}`,
    reason,
    before: before === null ? null : { version: `${model.name}:${before}` },
    after: {
      version: `${model.name}:${version.number}`,
      ...(gate && { gate }),
      ...(passage?.overridden && { overridden: passage.overridden }),
    },
  });
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
