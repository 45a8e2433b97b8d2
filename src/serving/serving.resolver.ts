import { Ctx, FieldResolver, Query, Resolver, Root } from 'type-graphql';
import { Policy } from '../access/policy.js';
import type { CatalogContext } from '../catalog/loaders.js';
import { Version } from '../catalog/version.type.js';
import type { Engine } from '../engine/engine.js';
import { withoutPaths } from '../without-paths.js';
import { versionIdOf } from './serving.js';
import { EngineStatus, ServingStatus, WorkerStatus } from './serving.type.js';

@Resolver(() => Version)
export class VersionServingResolver {
  constructor(private readonly engine: Engine) {}

  @FieldResolver(() => ServingStatus, {
    nullable: true,
    description: 'Current load and memory state of the version; null if it cannot run.',
  })
  async serving(@Root() { id }: Version, @Ctx() { catalogLoaders }: CatalogContext): Promise<ServingStatus | null> {
    const spec = await catalogLoaders.specParts.load(id);
    if (!spec) return null;
    const { maxBatch, maxBatchReason } = spec;
    return { ...this.engine.servingStatus(id), maxBatch, maxBatchReason: withoutPaths(maxBatchReason) };
  }
}

@Resolver(() => WorkerStatus)
export class EngineResolver {
  constructor(private readonly engine: Engine) {}

  @Policy('operate')
  @Query(() => EngineStatus, {
    name: 'engine',
    nullable: true,
    description: 'State of the inference engine. Operators only: others get null and a FORBIDDEN error.',
  })
  async status(): Promise<EngineStatus> {
    const { providers, ...status } = await this.engine.status();
    return { ...status, providers: providers.map(withoutPathsIn) };
  }

  @FieldResolver(() => [Version], { description: 'Versions that the worker has loaded.' })
  async loadedVersions(@Root() worker: WorkerStatus, @Ctx() { catalogLoaders }: CatalogContext): Promise<Version[]> {
    const versions = await Promise.all(
      [...new Set(worker.versionIds.map(versionIdOf))].map((id) => catalogLoaders.version.load(id)),
    );
    return versions.filter((version) => version !== null);
  }
}

function withoutPathsIn<T extends { readonly reason: string | null }>(check: T): T {
  return { ...check, reason: check.reason === null ? null : withoutPaths(check.reason) };
}
