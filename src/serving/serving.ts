/**
 * Resolves references to versions that the engine can run.
 *
 * Predictions read from memory only: a model is read from the catalog once, and again after the catalog has changed.
 */
import type { Logger } from 'pino';
import { checkGrant } from '../access/grants.js';
import { type Principal, SYSTEM } from '../access/principal.js';
import { maySee, type Resource } from '../access/visibility.js';
import type { Catalog } from '../catalog/catalog.js';
import { parseRef, type Ref } from '../catalog/ref.js';
import type { Engine } from '../engine/engine.js';
import type { EngineVersion } from '../engine/messages.js';
import { InferenceFailedError, NotFoundError, NotReadyError } from '../errors.js';
import type { BlobFolder } from '../storage/blobs.js';
import type { CatalogDatabase } from '../storage/database.js';
import { readSpec, readVariants, type VariantSpec, withOperations } from '../tasks/stored-spec.js';
import { type VersionSpec } from '../tasks/tasks.js';
import { waitAtMost } from '../wait-at-most.js';
import { findPreloadedRefs, findReadyRefs, findServedModel, type ServedRow } from './serving.queries.js';

interface ServedModel extends Resource {
  readonly name: string;
  readonly defaultId: string | null;
  readonly versions: ReadonlyMap<string, ServedVersion>;
  readonly idByAlias: ReadonlyMap<string, string>;
  readonly idByNumber: ReadonlyMap<number, string>;
}

interface ServedVersion extends Omit<ServedRow, 'variants'> {
  readonly ref: string;
  /** Null for a version that cannot run. */
  readonly plain: EngineVersion | null;
  readonly variants: ReadonlyMap<string, VariantSpec>;
}

/** A version that can run, plain or as one of its variants. */
export interface Resolved {
  readonly versionId: string;
  /** Null for the plain graph. */
  readonly variant: string | null;
  readonly engineVersion: EngineVersion;
}

export class Serving {
  readonly #db: CatalogDatabase;
  readonly #catalog: Catalog;
  readonly #blobs: BlobFolder;
  readonly #engine: Engine;
  readonly #models = new Map<string, ServedModel>();
  /** Of all models in memory. */
  #versionCount = 0;
  #revision = 0;

  constructor(parts: { db: CatalogDatabase; catalog: Catalog; blobs: BlobFolder; engine: Engine }) {
    this.#db = parts.db;
    this.#catalog = parts.catalog;
    this.#blobs = parts.blobs;
    this.#engine = parts.engine;
  }

  /**
   * The version that a reference names, in the requested variant.
   *
   * @throws InvalidInputError at `path.model` for a malformed reference; NotFoundError; NotReadyError
   */
  async resolve(
    text: string,
    principal: Principal,
    { path = [], variant = null }: { path?: readonly string[]; variant?: string | null | undefined } = {},
  ): Promise<Resolved> {
    const ref = parseRef(text, [...path, 'model']);
    const model = await this.#model(ref.name, principal);
    if (!model) {
      throw await this.#catalog.notFound(principal, `The model "${ref.name}"`, ref.name);
    }
    checkGrant(principal, ref.name, text);
    const version = versionNamed(model, ref);
    if (!version) throw new NotFoundError(`The version "${text}"`, refsOf(model));
    if (version.state !== 'READY') throw new NotReadyError(version.ref, version.state, version.state_reason);
    return this.#variantOf(version, variant);
  }

  /** The spec that `resolve` would return, for the price of a request; null if it would throw. */
  async findSpec(text: string, principal: Principal, variant: string | null): Promise<VersionSpec | null> {
    const ref = tryParseRef(text);
    const model = ref && (await this.#model(ref.name, principal));
    if (!ref || !model) return null;
    const version = versionNamed(model, ref);
    const spec = variant === null ? version?.plain?.spec : version?.variants.get(variant)?.spec;
    return spec ?? null;
  }

  #variantOf(version: ServedVersion, name: string | null): Resolved {
    const plain = version.plain as EngineVersion;
    if (name === null) return { versionId: version.id, variant: null, engineVersion: plain };
    const variant = version.variants.get(name);
    if (!variant)
      throw new NotFoundError(`The variant "${name}" of ${version.ref}`, [...version.variants.keys().take(MAX_REFS)]);
    if (!variant.spec) throw new NotReadyError(`${version.ref}, variant "${name}",`, 'FAILED', variant.reason);
    const engineVersion = this.#engineVersion(
      variantKey(version.id, name),
      `${version.ref} (${name})`,
      variant.spec,
      variant,
    );
    return { versionId: version.id, variant: name, engineVersion };
  }

  #engineVersion(
    key: string,
    ref: string,
    spec: VersionSpec,
    { sha256: artifactSha256, sizeBytes: artifactBytes }: { readonly sha256: string; readonly sizeBytes: number },
  ): EngineVersion {
    const tokenizerPath = spec.text && this.#blobs.pathOf(spec.text.tokenizerSha256);
    const artifactPath = this.#blobs.pathOf(artifactSha256);
    const paths = (spec.dataFiles ?? []).map(({ sha256 }) => this.#blobs.pathOf(sha256));
    const dataBlobs = { folder: this.#blobs.folder, paths };
    return { key, ref, spec, artifactSha256, artifactPath, artifactBytes, dataBlobs, tokenizerPath };
  }

  /**
   * Loads the versions marked `preload`. If none of them can be loaded, or none is marked, loads READY versions one after
   * the other until one succeeds.
   */
  async preload(log: Logger): Promise<void> {
    const marked = await Promise.all((await findPreloadedRefs(this.#db)).map((ref) => this.#tryToLoad(ref, log)));
    if (marked.includes(true)) return;
    for (let after = ''; ; ) {
      const refs = await findReadyRefs(this.#db, after, REFS_A_PAGE);
      for (const { ref } of refs) if (await this.#tryToLoad(ref, log)) return;
      if (refs.length < REFS_A_PAGE) return;
      after = refs.at(-1)?.name ?? '';
    }
  }

  /** @throws as `resolve`; InferenceFailedError if the version cannot be loaded; ShuttingDownError */
  async load(text: string, principal: Principal): Promise<Resolved> {
    const resolved = await this.resolve(text, principal);
    await this.#engine.load(resolved.engineVersion);
    return resolved;
  }

  /** Releases a version and its variants. @throws as `resolve` */
  async unload(text: string, principal: Principal): Promise<Resolved> {
    const resolved = await this.resolve(text, principal);
    await this.#engine.unload((key) => versionIdOf(key) === resolved.versionId);
    return resolved;
  }

  /**
   * Loads the version that an alias is about to name, with those variants that are loaded for the version it names now.
   * After five seconds it no longer waits; the loads go on.
   *
   * @throws NotReadyError if the version cannot be loaded; as `resolve`; ShuttingDownError
   */
  async warm(text: string, alias: string, principal: Principal): Promise<void> {
    const { engineVersion } = await this.resolve(text, principal);
    const variants = (await this.#variantsInUse(text, alias, principal)).map((name) =>
      this.#tryToWarm(text, name, principal),
    );
    const loads = Promise.all([this.#engine.load(engineVersion), ...variants]);
    await waitAtMost(MAX_WARM_UP_MS, loads).catch((error: Error) => {
      throw error instanceof InferenceFailedError ? new NotReadyError(text, 'FAILED', error.reason) : error;
    });
  }

  /**
   * Loads the version that has become the default of a model by an import, before predictions without a version reach it:
   * they read the model from memory until the catalog is invalidated. Only if the default version in memory is loaded.
   * After five seconds it no longer waits; the load goes on.
   */
  async warmDefault(name: string, log: Logger): Promise<void> {
    const before = this.#models.get(name);
    if (!before?.defaultId || this.#engine.servingStatus(before.defaultId).replicas === 0) return;
    const found = await findServedModel(this.#db, SYSTEM, name);
    const after = found && this.#served(found);
    const version = after?.versions.get(after.defaultId ?? '');
    if (!version?.plain || version.id === before.defaultId) return;
    await waitAtMost(MAX_WARM_UP_MS, this.#engine.load(version.plain)).catch((error: Error) => {
      log.error({ ref: version.ref, reason: error.message }, 'a version could not be loaded');
    });
  }

  /** The version may lack the variant, or the variant may not run: only predictions that ask for it fail then. */
  async #tryToWarm(text: string, variant: string, principal: Principal): Promise<void> {
    const resolved = await this.resolve(text, principal, { variant }).catch(() => null);
    if (resolved) await this.#engine.load(resolved.engineVersion).catch(() => {});
  }

  /** Names of the variants that are loaded of the version that the alias names now. */
  async #variantsInUse(text: string, alias: string, principal: Principal): Promise<string[]> {
    const model = await this.#model(parseRef(text, []).name, principal);
    const current = model?.versions.get(model.idByAlias.get(alias) ?? model.defaultId ?? '');
    if (!current) return [];
    const isLoaded = (name: string) => this.#engine.servingStatus(variantKey(current.id, name)).replicas > 0;
    return [...current.variants.keys()].filter(isLoaded);
  }

  async #tryToLoad(ref: string, log: Logger): Promise<boolean> {
    try {
      await this.#engine.preload((await this.resolve(ref, SYSTEM)).engineVersion);
      return true;
    } catch (error) {
      log.error({ ref, reason: (error as Error).message }, 'a version could not be loaded');
      return false;
    }
  }

  /**
   * From memory if it is known there and visible: not async, because every prediction asks twice. A model that the principal
   * may not see is looked for in the catalog like one that does not exist, so that the time does not tell which it is.
   */
  #model(name: string, principal: Principal): ServedModel | Promise<ServedModel | undefined> {
    if (this.#revision !== this.#catalog.revision) {
      this.#models.clear();
      this.#versionCount = 0;
      this.#revision = this.#catalog.revision;
    }
    const known = this.#models.get(name);
    return known && maySee(principal, known) ? known : this.#read(name, principal);
  }

  async #read(name: string, principal: Principal): Promise<ServedModel | undefined> {
    const revision = this.#catalog.revision;
    const found = await findServedModel(this.#db, principal, name);
    if (!found) return undefined;
    const served = this.#served(found);
    // If the catalog changed during the read, the result may be stale: it is used for this call only.
    if (revision === this.#catalog.revision) this.#remember(name, served);
    return served;
  }

  #remember(name: string, served: ServedModel): void {
    const before = this.#models.get(name)?.versions.size ?? 0;
    this.#models.set(name, served);
    this.#versionCount += served.versions.size - before;
    for (const [oldest, { versions }] of this.#models) {
      if (this.#versionCount <= MAX_VERSIONS || oldest === name) return;
      this.#models.delete(oldest);
      this.#versionCount -= versions.size;
    }
  }

  #served({ model, versions, aliases }: NonNullable<Awaited<ReturnType<typeof findServedModel>>>): ServedModel {
    return {
      name: model.name,
      visibility: model.visibility,
      account: model.account,
      defaultId: model.default_version_id,
      versions: new Map(versions.map((row) => [row.id, this.#servedVersion(model.name, row)])),
      idByAlias: new Map(aliases.map(({ name, version_id }) => [name, version_id])),
      idByNumber: new Map(versions.map(({ number, id }) => [number, id])),
    };
  }

  #servedVersion(name: string, row: ServedRow): ServedVersion {
    const ref = `${name}:${row.number}`;
    const variants = readVariants(row.variants).map((variant) => {
      const spec = variant.spec && withOperations(variant.spec, variant.sizeBytes);
      return [variant.name, { ...variant, spec }] as const;
    });
    const { spec, artifact_sha256: sha256, artifact_bytes } = row;
    const isRunnable = spec !== null && sha256 !== null;
    const artifact = { sha256: sha256 ?? '', sizeBytes: artifact_bytes ?? 0 };
    const runnable = isRunnable && withOperations(readSpec(spec), artifact.sizeBytes);
    const plain = runnable ? this.#engineVersion(row.id, ref, runnable, artifact) : null;
    return { ...row, ref, plain, variants: new Map(variants) };
  }
}

function tryParseRef(text: string): Ref | null {
  try {
    return parseRef(text, []);
  } catch {
    return null;
  }
}

/** Versions of models in memory, about 13 KB each; models that were read first are forgotten first. */
const MAX_VERSIONS = 4_000;
const REFS_A_PAGE = 100;
const VARIANT_SEPARATOR = '/';
/** How long a change of an alias, or of a default version, waits for the version to load. */
const MAX_WARM_UP_MS = 5_000;

function variantKey(versionId: string, variant: string): string {
  return `${versionId}${VARIANT_SEPARATOR}${variant}`;
}

/** The id of the version behind a key of the engine, for every variant. */
export function versionIdOf(key: string): string {
  return key.split(VARIANT_SEPARATOR, 1)[0] as string;
}

/** The name of the variant; null for the plain graph. */
export function variantOf(key: string): string | null {
  return key.split(VARIANT_SEPARATOR)[1] ?? null;
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

/** The newest version, whose state says why the model cannot answer. */
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
  return [...aliases.take(MAX_REFS), ...ready.take(MAX_REFS)].slice(0, MAX_REFS);
}
