import { Arg, Ctx, Field, FieldResolver, InputType, Mutation, ObjectType, Query, Resolver, Root } from 'type-graphql';
import { Policy } from '../access/policy.js';
import { Problem, payloadOf } from '../graphql/problem.type.js';
import { VersionRef } from '../graphql/scalars.js';
import { Sized } from '../graphql/sized.js';
import type { Catalog } from './catalog.js';
import { Dataset } from './dataset.type.js';
import type { CatalogContext } from './loaders.js';
import { Model } from './model.type.js';
import { Alias, Signature, signatureOf, Variant, Version } from './version.type.js';

const NO_VARIANTS = '[]';

@InputType({ description: 'Alias to set, and the version it points to.' })
export class SetAliasInput {
  @Field({ description: 'Name of the model.' })
  model!: string;

  @Field({
    description: 'Name of the alias, matching `[a-z][a-z0-9-]{0,31}`. The alias `champion` marks the default version.',
  })
  alias!: string;

  @Field(() => VersionRef, { description: 'READY version of this model that the alias should point to.' })
  version!: string;
}

@ObjectType({
  simpleResolvers: true,
  description: 'The alias, or the problem that prevented setting it: exactly one of them.',
})
export class SetAliasPayload {
  @Field(() => Alias, { nullable: true, description: 'The alias after the change; null if there is a problem.' })
  alias!: Alias | null;

  @Field(() => Problem, { nullable: true, description: 'Why the alias was not set; null if it was.' })
  problem!: Problem | null;
}

@Resolver(() => Version)
export class VersionResolver {
  constructor(private readonly rules: Catalog) {}

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

  @Policy('operate')
  @Mutation(() => SetAliasPayload, {
    nullable: true,
    description:
      'Points an alias to a version and returns the alias; creates the alias, or moves it if it exists. Operators only. Problems: InvalidInput, NotFound, NotReady, Forbidden, StorageFull.',
  })
  async setAlias(
    @Arg('input', () => SetAliasInput, { description: 'Alias to set, and its version.' }) input: SetAliasInput,
    @Ctx() context: CatalogContext,
  ): Promise<SetAliasPayload> {
    const { result, problem } = await payloadOf(() => this.rules.setAlias(context, input));
    return { alias: result, problem };
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

@Resolver(() => Alias)
export class AliasResolver {
  @FieldResolver(() => Version, { description: 'Version that the alias points to now.' })
  aliasedVersion(@Root() alias: Alias, @Ctx() { catalogLoaders }: CatalogContext): Promise<Version | null> {
    return catalogLoaders.version.load(alias.versionId);
  }
}
