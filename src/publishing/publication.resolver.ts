import { Arg, Ctx, FieldResolver, ID, Mutation, Query, Resolver, Root } from 'type-graphql';
import { Policy } from '../access/policy.js';
import type { Catalog } from '../catalog/catalog.js';
import { Model } from '../catalog/model.type.js';
import { Version } from '../catalog/version.type.js';
import { NotFoundError } from '../errors.js';
import { Cost, POINTS_PER_CHANGE } from '../graphql/cost.js';
import { payloadOf } from '../graphql/problem.type.js';
import type { PublicationContext } from './loaders.js';
import {
  ArchiveVersionInput,
  ArchiveVersionPayload,
  DeleteModelInput,
  DeleteModelPayload,
  Publication,
  PublishInput,
  PublishPayload,
  publicationOf,
  RegisterModelInput,
  RegisterModelPayload,
  UpdateModelInput,
} from './publication.type.js';
import type { Publisher } from './publisher.js';
import type { Registration } from './registration.js';

/** Graphs are read, and run in a process of their own, for up to a minute each. */
const POINTS_PER_PUBLICATION = 1_000;
/** As many as an erasure. */
const POINTS_PER_DELETION = 1_000;

@Resolver(() => Publication)
export class PublicationResolver {
  constructor(
    private readonly registration: Registration,
    private readonly publisher: Publisher,
    private readonly catalog: Catalog,
  ) {}

  @Policy('publish')
  @Cost({ points: POINTS_PER_CHANGE })
  @Mutation(() => RegisterModelPayload, {
    nullable: true,
    description:
      'Adds a model of your account, without versions. A name that is taken is refused, also if you may not see the model that has it. Problems: InvalidInput, Overloaded (your account has too many models), Forbidden, StorageFull.',
  })
  async registerModel(
    @Arg('input', () => RegisterModelInput, { description: 'The model.' }) input: RegisterModelInput,
    @Ctx() { principal, catalogLoaders }: PublicationContext,
  ): Promise<RegisterModelPayload> {
    const { result, problem } = await payloadOf(async () => {
      const id = await this.registration.register(input, principal);
      this.catalog.invalidate();
      return catalogLoaders.model.load(id);
    });
    return { model: result, problem };
  }

  @Policy('publish')
  @Cost({ points: POINTS_PER_CHANGE })
  @Mutation(() => RegisterModelPayload, {
    nullable: true,
    description:
      'Changes the description or the visibility of a model of your account; administrators change any. Of a model of the model store, only the visibility. Problems: InvalidInput, NotFound, Forbidden, StorageFull.',
  })
  async updateModel(
    @Arg('input', () => UpdateModelInput, { description: 'What to change.' }) input: UpdateModelInput,
    @Ctx() { principal, catalogLoaders }: PublicationContext,
  ): Promise<RegisterModelPayload> {
    const { result, problem } = await payloadOf(async () => {
      const found = await catalogLoaders.modelByName.load(input.model);
      if (!found) throw await this.catalog.notFound(principal, `The model "${input.model.slice(0, 80)}"`, input.model);
      await this.registration.update(found.id, input, principal);
      this.catalog.invalidate();
      catalogLoaders.forgetAliases();
      return catalogLoaders.model.load(found.id);
    });
    return { model: result, problem };
  }

  @Policy('publish')
  @Cost({ points: POINTS_PER_CHANGE })
  @Mutation(() => ArchiveVersionPayload, {
    nullable: true,
    description:
      'Archives a version of a model of your account, or takes it back into use; administrators do so with any. An ARCHIVED version keeps its metadata, evaluations and predictions, and runs no more. A version that an alias points to is refused: move the alias first. The default version of the model may change with it. Problems: InvalidInput, NotFound, NotReady (a FAILED version), Forbidden, StorageFull.',
  })
  async archiveVersion(
    @Arg('input', () => ArchiveVersionInput, { description: 'The version, and what becomes of it.' })
    input: ArchiveVersionInput,
    @Ctx() { principal, catalogLoaders }: PublicationContext,
  ): Promise<ArchiveVersionPayload> {
    const { result, problem } = await payloadOf(async () => {
      const version = await catalogLoaders.findVersion(input.version, ['input', 'version']);
      if (!version) throw new NotFoundError(`The version "${input.version}"`);
      await this.registration.archive(version, input, principal);
      this.catalog.invalidate();
      catalogLoaders.version.clear(version.id);
      catalogLoaders.forgetAliases();
      return catalogLoaders.version.load(version.id);
    });
    return { version: result, problem };
  }

  @Policy('operate')
  @Cost({ points: POINTS_PER_DELETION })
  @Mutation(() => DeleteModelPayload, {
    nullable: true,
    description:
      "Deletes a model with its versions, aliases, evaluations and publications, and all predictions that were made with it, of all accounts. Keys that are bound to it lose it. A model whose folder is in the model store is refused. Returns when everything is deleted; if the server stops first, the deletion goes on when it starts again. Copies in backups can be read until their inputs' keys are destroyed. Problems: InvalidInput, NotFound, Forbidden, StorageFull.",
  })
  async deleteModel(
    @Arg('input', () => DeleteModelInput, { description: 'The model.' }) input: DeleteModelInput,
    @Ctx() { principal, catalogLoaders }: PublicationContext,
  ): Promise<DeleteModelPayload> {
    const { result, problem } = await payloadOf(async () => {
      const found = await catalogLoaders.modelByName.load(input.model);
      if (!found) throw await this.catalog.notFound(principal, `The model "${input.model.slice(0, 80)}"`, input.model);
      const deletedPredictions = await this.registration.delete(found.id, input, principal);
      catalogLoaders.forgetAliases();
      return { deletedId: found.id, deletedPredictions };
    });
    return { deletedId: result?.deletedId ?? null, deletedPredictions: result?.deletedPredictions ?? null, problem };
  }

  @Policy('publish')
  @Cost({ points: POINTS_PER_CHANGE + POINTS_PER_PUBLICATION })
  @Mutation(() => PublishPayload, {
    nullable: true,
    description:
      'Records files to be published as a version of a model of your account, and returns at once. The version gets its number when its graphs have been scanned and run, and its golden cases have passed. Publications run one after the other. Problems: InvalidInput, NotFound, Overloaded (too many of your publications are waiting), Forbidden, StorageFull.',
  })
  async publish(
    @Arg('input', () => PublishInput, { description: 'The files.' }) input: PublishInput,
    @Ctx() { principal }: PublicationContext,
  ): Promise<PublishPayload> {
    const { result, problem } = await payloadOf(() => this.publisher.publish(input, principal));
    return { publication: result && publicationOf(result), problem };
  }

  @Policy('publish')
  @Query(() => Publication, {
    nullable: true,
    description:
      'Publication of your account with this id; null if there is none. The last 1,000 of an account are kept.',
  })
  publication(
    @Arg('id', () => ID, { description: 'Id of the publication.' }) id: string,
    @Ctx() { publicationLoaders }: PublicationContext,
  ): Promise<Publication | null> {
    return publicationLoaders.publication.load(id);
  }

  @FieldResolver(() => Model, { nullable: true, description: 'Model that the files are published for.' })
  publishedModel(
    @Root() { modelId }: Publication,
    @Ctx() { catalogLoaders }: PublicationContext,
  ): Promise<Model | null> {
    return catalogLoaders.model.load(modelId);
  }

  @FieldResolver(() => Version, {
    nullable: true,
    description: 'The version, or the earlier one that has the same files; null until it is PUBLISHED.',
  })
  async publishedVersion(
    @Root() { versionId }: Publication,
    @Ctx() { catalogLoaders }: PublicationContext,
  ): Promise<Version | null> {
    return versionId === null ? null : catalogLoaders.version.load(versionId);
  }
}
