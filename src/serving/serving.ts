/**
 * From a reference to something the engine can run.
 *
 * The hot path reads memory only: a model is read once, and again after any change of the catalog.
 */
import type { Principal } from '../access/principal.js';
import { SYSTEM } from '../access/principal.js';
import type { Catalog } from '../catalog/catalog.js';
import { parseRef, type Ref } from '../catalog/ref.js';
import type { Engine } from '../engine/engine.js';
import type { EngineVersion } from '../engine/messages.js';
import { NotFoundError, NotReadyError } from '../errors.js';
import type { BlobFolder } from '../storage/blobs.js';
import type { CatalogDatabase } from '../storage/database.js';
import type { ColumnSpec, VersionSpec } from '../tasks/spec.js';
import { findPreloadedRefs, findReadyRefs, findServedModel, type ServedRow } from './serving.queries.js';

interface ServedModel {
  readonly name: string;
  readonly isPublic: boolean;
  readonly owner: string | null;
  readonly defaultId: string | null;
  readonly versions: ReadonlyMap<string, ServedVersion>;
  readonly idByAlias: ReadonlyMap<string, string>;
  readonly idByNumber: ReadonlyMap<number, string>;
}

interface ServedVersion extends ServedRow {
  readonly ref: string;
  readonly engineVersion: EngineVersion | null;
}

export class Serving {
  readonly #db: CatalogDatabase;
  readonly #catalog: Catalog;
  readonly #blobs: BlobFolder;
  readonly #models = new Map<string, ServedModel>();
  #revision = 0;

  constructor(
    parts: { db: CatalogDatabase; catalog: Catalog; blobs: BlobFolder },
    readonly engine: Engine,
  ) {
    this.#db = parts.db;
    this.#catalog = parts.catalog;
    this.#blobs = parts.blobs;
  }

  /**
   * The version that a reference names, ready to run.
   *
   * @throws InvalidInputError at `path` for no reference, NotFoundError, NotReadyError
   */
  async resolve(text: string, principal: Principal, path: readonly string[]): Promise<EngineVersion> {
    const ref = parseRef(text, path);
    const model = await this.#model(ref.name);
    if (!model || !maySee(model, principal)) {
      throw await this.#catalog.notFound(principal, `The model "${ref.name}"`, ref.name);
    }
    const version = versionNamed(model, ref);
    if (!version) throw new NotFoundError(`The version "${text}"`, refsOf(model));
    if (version.state !== 'READY') throw new NotReadyError(version.ref, version.state, version.state_reason);
    return version.engineVersion as EngineVersion;
  }

  /** Loads what is marked `preload`, or else the first model there is: ready means that a model can answer. */
  async preload(): Promise<number> {
    const preloaded = await findPreloadedRefs(this.#db);
    const refs = preloaded.length > 0 ? preloaded : await findReadyRefs(this.#db, 1);
    const loaded = await Promise.allSettled(
      refs.map(async (ref) => this.engine.preload(await this.resolve(ref, SYSTEM, []))),
    );
    return loaded.filter(({ status }) => status === 'fulfilled').length;
  }

  async #model(name: string): Promise<ServedModel | undefined> {
    if (this.#revision !== this.#catalog.revision) {
      this.#models.clear();
      this.#revision = this.#catalog.revision;
    }
    const known = this.#models.get(name);
    if (known) return known;
    const revision = this.#catalog.revision;
    const found = await findServedModel(this.#db, name);
    if (!found) return undefined;
    const served = this.#served(found);
    // A change while this was read may or may not be in it: then it answers this call only.
    if (revision === this.#catalog.revision) this.#models.set(name, served);
    return served;
  }

  #served({ model, versions, aliases }: NonNullable<Awaited<ReturnType<typeof findServedModel>>>): ServedModel {
    return {
      name: model.name,
      isPublic: model.visibility === 'public',
      owner: model.owner,
      defaultId: model.default_version_id,
      versions: new Map(versions.map((row) => [row.id, this.#servedVersion(model.name, row)])),
      idByAlias: new Map(aliases.map(({ name, version_id }) => [name, version_id])),
      idByNumber: new Map(versions.map(({ number, id }) => [number, id])),
    };
  }

  #servedVersion(name: string, row: ServedRow): ServedVersion {
    const ref = `${name}:${row.number}`;
    if (row.spec === null || row.artifact_sha256 === null) return { ...row, ref, engineVersion: null };
    const engineVersion = {
      key: row.id,
      ref,
      spec: readSpec(row.spec),
      artifactSha256: row.artifact_sha256,
      artifactPath: this.#blobs.pathOf(row.artifact_sha256),
    };
    return { ...row, ref, engineVersion };
  }
}

/** As they were written: those of earlier releases say less. */
type StoredColumn = Omit<ColumnSpec, 'input' | 'missing'> & Partial<ColumnSpec>;
type StoredSpec = Omit<VersionSpec, 'columns' | 'value'> &
  Partial<Pick<VersionSpec, 'value'>> & {
    readonly columns: readonly StoredColumn[];
  };

/** Without more words, all columns feed the only input. */
function readSpec(json: string): VersionSpec {
  const spec = JSON.parse(json) as StoredSpec;
  const input = spec.inputs[0]?.name ?? '';
  const columns = spec.columns.map((column) => ({ input, missing: '', ...column }));
  return { ...spec, value: spec.value ?? null, columns };
}

function maySee(model: ServedModel, principal: Principal): boolean {
  return model.isPublic || model.owner === principal.id || principal === SYSTEM;
}

function versionNamed(model: ServedModel, { alias, number }: Ref): ServedVersion | undefined {
  const id =
    number !== null
      ? model.idByNumber.get(number)
      : alias !== null
        ? model.idByAlias.get(alias)
        : (model.defaultId ?? newest(model));
  return id ? model.versions.get(id) : undefined;
}

/** Without a READY version the newest other one says why. */
function newest({ idByNumber }: ServedModel): string | undefined {
  return idByNumber.get(Math.max(...idByNumber.keys()));
}

const MAX_REFS = 3;

function refsOf(model: ServedModel): string[] {
  const aliases = model.idByAlias.keys().map((alias) => `${model.name}@${alias}`);
  const ready = model.versions
    .values()
    .filter(({ state }) => state === 'READY')
    .map(({ ref }) => ref);
  return [...aliases, ...ready].slice(0, MAX_REFS);
}
