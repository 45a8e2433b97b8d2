import { Arg, Ctx, FieldResolver, Int, Mutation, Query, Resolver, Root } from 'type-graphql';
import { Policy } from '../access/policy.js';
import type { CatalogContext } from '../catalog/loaders.js';
import { Version } from '../catalog/version.type.js';
import type { Engine } from '../engine/engine.js';
import { bestBatchSize, itemsPerSecond, type LatencyPoint as MeasuredPoint } from '../engine/latency-curve.js';
import { Cost } from '../graphql/cost.js';
import { payloadOf } from '../graphql/problem.type.js';
import { VersionRef } from '../graphql/scalars.js';
import { withoutPaths } from '../without-paths.js';
import { measuredHere } from './latency-records.js';
import type { ServingContext } from './loaders.js';
import { type Resolved, type Serving, versionIdOf } from './serving.js';
import { EngineStatus, LatencyPoint, ServingPayload, ServingStatus, WorkerStatus } from './serving.type.js';

/** The curves of a version in all environments are read together. */
const ROW_POINTS = 1;
/** Powers of two up to 1,024, the largest batch that a model.yaml may set. */
const MAX_POINTS = 11;

@Resolver(() => Version)
export class VersionServingResolver {
  constructor(
    private readonly engine: Engine,
    private readonly versions: Serving,
  ) {}

  @Policy('operate')
  @Mutation(() => ServingPayload, {
    nullable: true,
    description:
      'Loads a version into the memory of one worker and returns its state; less valuable versions make room. Operators only. Problems: InvalidInput, NotFound, NotReady, InferenceFailed, ShuttingDown, Forbidden.',
  })
  async load(
    @Arg('version', () => VersionRef, { description: 'Version to load.' }) version: string,
    @Ctx() { principal }: CatalogContext,
  ): Promise<ServingPayload> {
    return this.#payload(() => this.versions.load(version, principal));
  }

  @Policy('operate')
  @Mutation(() => ServingPayload, {
    nullable: true,
    description:
      'Releases a version, and its variants, in all workers, and returns its state. Predictions that have started are answered first; the next one loads the version again. Operators only. Problems: InvalidInput, NotFound, NotReady, Forbidden.',
  })
  async unload(
    @Arg('version', () => VersionRef, { description: 'Version to release.' }) version: string,
    @Ctx() { principal }: CatalogContext,
  ): Promise<ServingPayload> {
    return this.#payload(() => this.versions.unload(version, principal));
  }

  async #payload(act: () => Promise<Resolved>): Promise<ServingPayload> {
    const { result, problem } = await payloadOf(act);
    if (!result) return { serving: null, problem };
    const { versionId, engineVersion } = result;
    const { maxBatch, maxBatchReason } = engineVersion.spec;
    const status = this.engine.servingStatus(versionId);
    return { serving: { ...status, versionId, maxBatch, maxBatchReason: withoutPaths(maxBatchReason) }, problem: null };
  }

  @FieldResolver(() => ServingStatus, {
    nullable: true,
    description: 'Current load and memory state of the version; null if it cannot run.',
  })
  async serving(@Root() { id }: Version, @Ctx() { catalogLoaders }: CatalogContext): Promise<ServingStatus | null> {
    const spec = await catalogLoaders.specParts.load(id);
    if (!spec) return null;
    const { maxBatch, maxBatchReason } = spec;
    return { ...this.engine.servingStatus(id), versionId: id, maxBatch, maxBatchReason: withoutPaths(maxBatchReason) };
  }
}

@Resolver(() => ServingStatus)
export class LatencyResolver {
  constructor(private readonly engine: Engine) {}

  @Cost({ points: ROW_POINTS, elements: MAX_POINTS })
  @FieldResolver(() => [LatencyPoint], {
    description:
      "How long the version takes here, by batch size, in ascending order. Measured with the version's example, once it is loaded and the server is idle, for each kind of machine and execution provider; empty until then. Sizes that would run for more than 200 ms are left out.",
  })
  async latency(@Root() { versionId }: ServingStatus, @Ctx() context: ServingContext): Promise<LatencyPoint[]> {
    const points = await this.#pointsOf(versionId, context);
    return points.map((point) => ({ ...point, itemsPerSecond: itemsPerSecond(point) }));
  }

  @Cost({ points: ROW_POINTS })
  @FieldResolver(() => Int, {
    nullable: true,
    description:
      'Smallest batch size of `latency` with at least 90% of the highest `itemsPerSecond`: larger batches take longer and gain little. Null if `latency` is empty.',
  })
  async bestBatchSize(@Root() { versionId }: ServingStatus, @Ctx() context: ServingContext): Promise<number | null> {
    return bestBatchSize(await this.#pointsOf(versionId, context));
  }

  async #pointsOf(versionId: string, { servingLoaders }: ServingContext): Promise<MeasuredPoint[]> {
    const measured = measuredHere(await servingLoaders.latencies.load(versionId), this.engine.provider);
    return measured ? JSON.parse(measured.points) : [];
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
