import { Arg, Ctx, FieldResolver, Query, Resolver, Root } from 'type-graphql';
import { Policy } from '../access/policy.js';
import { VersionRef } from '../graphql/scalars.js';
import { Sized } from '../graphql/sized.js';
import { Dataset } from './dataset.type.js';
import type { CatalogContext } from './loaders.js';
import { Model } from './model.type.js';
import { Signature, signatureOf } from './signature.type.js';
import { Artifact, ArtifactDataFile, Variant, Version } from './version.type.js';

const NO_VARIANTS = '[]';

@Resolver(() => Version)
export class VersionResolver {
  @Policy('read')
  @Query(() => Version, {
    nullable: true,
    description:
      'Version with this reference; null if it does not exist or you may not see it. A malformed reference is a BAD_USER_INPUT error.',
  })
  version(
    @Arg('ref', () => VersionRef, { description: 'Reference to the version, such as "spam-filter:3".' }) ref: string,
    @Ctx() { catalogLoaders }: CatalogContext,
  ): Promise<Version | null> {
    return catalogLoaders.findVersion(ref, ['ref']);
  }

  @FieldResolver(() => Signature, {
    nullable: true,
    description: 'Input that the version accepts and outputs that it returns; null if the import failed.',
  })
  signature(
    @Root() { id, specBytes }: Version,
    @Ctx() { catalogLoaders }: CatalogContext,
  ): Sized<Signature | null> | null {
    if (specBytes === null) return null;
    return new Sized({ readBytes: specBytes }, async () => {
      const spec = (await catalogLoaders.spec.load(id))?.spec;
      return spec ? signatureOf(spec) : null;
    });
  }

  @FieldResolver(() => [Variant], {
    description: 'Alternative forms of the graph, in order of name; empty if there are none.',
  })
  variants(
    @Root() { id, variantsBytes }: Version,
    @Ctx() { catalogLoaders }: CatalogContext,
  ): Sized<Variant[]> | Variant[] {
    if (variantsBytes <= NO_VARIANTS.length) return [];
    return new Sized(
      { readBytes: variantsBytes },
      async () => (await catalogLoaders.variants.load(id))?.variants ?? [],
    );
  }

  @FieldResolver(() => Model, { description: 'Model that this is a version of.' })
  model(@Root() version: Version, @Ctx() { catalogLoaders }: CatalogContext): Promise<Model | null> {
    return catalogLoaders.model.load(version.modelId);
  }

  @FieldResolver(() => [String], { description: 'Names of the aliases that point to this version now.' })
  aliasNames(@Root() version: Version, @Ctx() { catalogLoaders }: CatalogContext): Promise<string[]> {
    return catalogLoaders.aliasNamesOfVersion.load(version.id);
  }

  @FieldResolver(() => [Dataset], {
    description: 'Registered datasets that the model card names as training data.',
  })
  trainedOn(@Root() version: Version, @Ctx() { catalogLoaders }: CatalogContext): Promise<Dataset[]> {
    return catalogLoaders.trainingDatasets.load(version.id);
  }
}

@Resolver(() => Artifact)
export class ArtifactResolver {
  @FieldResolver(() => [ArtifactDataFile], {
    description: 'Files beside the graph that hold its weights; empty if all weights are in the graph.',
  })
  dataFiles(
    @Root() { versionId, specBytes }: Artifact,
    @Ctx() { catalogLoaders }: CatalogContext,
  ): Sized<ArtifactDataFile[]> {
    return new Sized({ readBytes: specBytes ?? 0 }, async () => [
      ...((await catalogLoaders.spec.load(versionId))?.spec?.dataFiles ?? []),
    ]);
  }
}
