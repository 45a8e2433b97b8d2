/** Models that accounts register, beside those of the model store. Names are unique on the server. */
import { appendAudit } from '../access/audit.queries.js';
import { endGrants } from '../access/end-grants.js';
import { checkGrant } from '../access/grants.js';
import type { Principal } from '../access/principal.js';
import { checkReason } from '../access/reason.js';
import type { Catalog } from '../catalog/catalog.js';
import { folderInStore, takenName } from '../catalog/name-problems.js';
import { MODEL_NAME } from '../catalog/ref.js';
import { findVersionState } from '../catalog/registration.queries.js';
import {
  ForbiddenError,
  type InputProblem,
  InvalidInputError,
  NotFoundError,
  NotReadyError,
  UploadLimitError,
} from '../errors.js';
import { faultPoint } from '../fault-points.js'; // @fault
import { modelNameOf, subfolders } from '../importing/manifest.js';
import type { CatalogDatabase } from '../storage/database.js';
import type { ModelTable } from '../storage/migrations/catalog.table.js';
import type { TaskName } from '../tasks/tasks.js';
import {
  countModelsOf,
  deleteModel,
  findAliasNames,
  findModel,
  findTags,
  insertModel,
  type ModelChange,
  setVersionState,
  updateModel,
} from './publication.queries.js';

const MAX_MODELS_PER_ACCOUNT = 1_000;
const MAX_TAGS = 20;
const MAX_TAG_CHARACTERS = 50;
const MAX_CHARACTERS = { title: 200, summary: 500, license: 100, owner: 200 } as const;

export interface WantedModel {
  readonly name: string;
  readonly task: TaskName;
  readonly title?: string | null;
  readonly summary?: string | null;
  readonly license?: string | null;
  readonly tags?: readonly string[] | null;
  readonly visibility: 'PUBLIC' | 'PRIVATE';
  readonly reason?: string | null;
}

export interface WantedChange extends Partial<Omit<WantedModel, 'name' | 'task'>> {
  readonly model: string;
  readonly owner?: string | null;
}

export interface WantedVersion {
  readonly id: string;
  readonly modelId: string;
  readonly ref: string;
}

export interface WantedState {
  readonly archived: boolean;
  readonly reason?: string | null;
}

interface Parts {
  readonly db: CatalogDatabase;
  readonly catalog: Pick<Catalog, 'invalidate'>;
  /** Folder of the model store. */
  readonly modelStore: string;
  /** Reads the API keys again. */
  readonly loadKeys: () => Promise<unknown>;
  /** Deletes the predictions of deleted models, and returns how many. */
  readonly purge: (now: number) => Promise<number>;
}

export interface WantedDeletion {
  readonly model: string;
  readonly reason?: string | null;
}

export class Registration {
  readonly #parts: Parts;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  /** Returns the id of the new model. @throws InvalidInputError, ForbiddenError, UploadLimitError, StorageFullError */
  async register(wanted: WantedModel, principal: Principal): Promise<string> {
    const { name, task, tags, visibility } = wanted;
    checkWanted(wanted);
    const reason = checkReason(wanted.reason, ['input', 'reason']);
    checkGrant(principal, name, name, 'Registering');
    const text = (value: string | null | undefined) => value?.toWellFormed() ?? null;
    const model = {
      name,
      task,
      title: text(wanted.title) ?? name,
      summary: text(wanted.summary),
      license: text(wanted.license),
      visibility: visibility === 'PUBLIC' ? ('public' as const) : ('private' as const),
      account: principal.id,
      tags: (tags ?? []).map((tag) => tag.toWellFormed()),
    };
    return this.#parts.db.transaction().execute(async (trx) => {
      if ((await countModelsOf(trx, principal.id)) >= MAX_MODELS_PER_ACCOUNT)
        throw new UploadLimitError(`Your account has ${MAX_MODELS_PER_ACCOUNT} models, and may not have more.`);
      const id = await insertModel(trx, model, Date.now());
      if (id === null) throw new InvalidInputError([takenName('model', name)]);
      await appendAudit(trx, principal, { action: 'registerModel', target: name, reason, before: null, after: model });
      return id;
    });
  }

  /**
   * Changes the description or the visibility of a model that the caller may see; `id`: of that model.
   *
   * @throws InvalidInputError, ForbiddenError, NotFoundError, StorageFullError
   */
  async update(id: string, wanted: WantedChange, principal: Principal): Promise<void> {
    checkTexts(wanted);
    const reason = checkReason(wanted.reason, ['input', 'reason']);
    const change = changeOf(wanted);
    await this.#parts.db.transaction().execute(async (trx) => {
      const model = await findModel(trx, id);
      if (!model) throw new NotFoundError(`The model "${wanted.model.slice(0, 80)}"`);
      checkOwner(model, principal);
      const { visibility: _, ...described } = change;
      if (model.origin === 'store' && Object.keys(described).length > 0)
        throw new InvalidInputError([ofStore(model.name)]);
      const before = { ...model, tags: await findTags(trx, id) };
      await updateModel(trx, model, change);
      const fields = Object.keys(change) as (keyof ModelChange)[];
      const states = { before: Object.fromEntries(fields.map((field) => [field, before[field]])), after: change };
      await appendAudit(trx, principal, { action: 'updateModel', target: model.name, reason, ...states });
    });
  }

  /**
   * Archives a version that the caller may see, or takes it back into use.
   *
   * @throws InvalidInputError, ForbiddenError, NotFoundError, NotReadyError, StorageFullError
   */
  async archive({ id, modelId, ref }: WantedVersion, wanted: WantedState, principal: Principal): Promise<void> {
    const reason = checkReason(wanted.reason, ['input', 'reason']);
    const state = wanted.archived ? ('ARCHIVED' as const) : ('READY' as const);
    await this.#parts.db.transaction().execute(async (trx) => {
      const [model, before] = [await findModel(trx, modelId), await findVersionState(trx, id)];
      if (!model || !before) throw new NotFoundError(`The version "${ref}"`);
      checkOwner(model, principal);
      if (before.state === state) return;
      if (before.state === 'FAILED') throw new NotReadyError(ref, 'FAILED', before.state_reason);
      const aliases = await findAliasNames(trx, id);
      if (aliases.length > 0) throw new InvalidInputError([inUse(ref, aliases)]);
      await setVersionState(trx, modelId, id, state);
      const states = { before: { state: before.state }, after: { state } };
      await appendAudit(trx, principal, { action: 'archiveVersion', target: ref, reason, ...states });
    });
  }

  /**
   * Deletes a model with all that it has, and what keys may do with it, and returns how many predictions that was; `id`: of that model. If the server stops
   * before all predictions are deleted, the rest follows when it starts.
   *
   * @throws InvalidInputError for a model whose folder is in the model store, NotFoundError, ForbiddenError, StorageFullError
   */
  async delete(id: string, wanted: WantedDeletion, principal: Principal): Promise<number> {
    const reason = checkReason(wanted.reason, ['input', 'reason']);
    const name = wanted.model;
    checkGrant(principal, name, name, 'Deleting');
    await this.#checkNotInStore(name);
    const deleted = this.#parts.db.transaction().execute(async (trx) => {
      const model = await findModel(trx, id);
      if (!model) throw new NotFoundError(`The model "${name.slice(0, 80)}"`);
      const versions = await deleteModel(trx, id, Date.now());
      const { title, task, account, visibility } = model;
      const states = { before: { id, title, task, account, visibility, versions }, after: null };
      await appendAudit(trx, principal, { action: 'deleteModel', target: name, reason, ...states });
      await endGrants(trx, model.name, { principal, reason });
    });
    // Nothing more is predicted while the predictions, which may be many, are deleted.
    await deleted.finally(() => this.#parts.catalog.invalidate());
    await this.#parts.loadKeys();
    faultPoint('model.deleted'); // @fault
    return this.#parts.purge(Date.now());
  }

  async #checkNotInStore(name: string): Promise<void> {
    const folders = await subfolders(this.#parts.modelStore);
    if (folders.some((folder) => modelNameOf(folder) === name))
      throw new InvalidInputError([folderInStore('model', name)]);
  }
}

/** @throws ForbiddenError unless the principal may change the model */
function checkOwner(model: Pick<ModelTable, 'name' | 'account'>, principal: Principal): void {
  if (model.account !== principal.id && !principal.roles.includes('admin'))
    throw new ForbiddenError(`Changing "${model.name}"`, 'the account that owns the model');
  checkGrant(principal, model.name, model.name, 'Changing');
}

function inUse(ref: string, aliases: readonly string[]): InputProblem {
  return {
    path: ['input', 'version'],
    code: 'WRONG_KIND',
    message: 'an alias points to the version; move it first',
    expected: 'a version without aliases',
    received: `${ref}, which has ${aliases.map((name) => `@${name}`).join(', ')}`,
  };
}

/** What is null stays as it is. */
function changeOf({ title, summary, license, owner, tags, visibility }: WantedChange): ModelChange {
  const texts = Object.entries({ title, summary, license, owner }).filter(([, value]) => value != null);
  return {
    ...Object.fromEntries(texts.map(([field, value]) => [field, String(value).toWellFormed()])),
    ...(tags && { tags: tags.map((tag) => tag.toWellFormed()) }),
    ...(visibility && { visibility: visibility === 'PUBLIC' ? ('public' as const) : ('private' as const) }),
  };
}

function ofStore(model: string): InputProblem {
  return {
    path: ['input', 'model'],
    code: 'WRONG_KIND',
    message: 'its description comes from the model store of the server; only its visibility can be changed',
    expected: 'a model that was registered with `registerModel`',
    received: model,
  };
}

function checkWanted(wanted: WantedModel): void {
  const { name } = wanted;
  const expected = `a name that matches ${MODEL_NAME.source}`;
  const unnamed = {
    path: ['input', 'name'],
    code: 'UNREADABLE' as const,
    message: 'the name is not accepted',
    expected,
  };
  checkTexts(wanted, MODEL_NAME.test(name) ? [] : [{ ...unnamed, received: name }]);
}

/** `found`: what is wrong already. @throws InvalidInputError */
function checkTexts(wanted: Omit<WantedChange, 'model'>, found: readonly InputProblem[] = []): void {
  const problems = [...found];
  const add = (field: string, code: InputProblem['code'], message: string, expected: string, received: string) =>
    problems.push({ path: ['input', field], code, message, expected, received });
  for (const field of ['title', 'summary', 'license', 'owner'] as const) {
    const value = wanted[field];
    const [most, length] = [MAX_CHARACTERS[field], value?.trim().length];
    if (value != null && (length === 0 || value.length > most))
      add(field, length === 0 ? 'EMPTY' : 'TOO_LARGE', 'the length is not accepted', `1 to ${most} characters`, value);
  }
  const tags = wanted.tags ?? [];
  if (tags.length > MAX_TAGS || tags.some((tag) => tag.trim() === '' || tag.length > MAX_TAG_CHARACTERS))
    add(
      'tags',
      'TOO_LARGE',
      'these tags are not accepted',
      `at most ${MAX_TAGS} tags of 1 to ${MAX_TAG_CHARACTERS} characters`,
      JSON.stringify(tags),
    );
  if (problems.length > 0) throw new InvalidInputError(problems);
}
