import { Arg, Ctx, Field, FieldResolver, InputType, Mutation, ObjectType, Query, Resolver, Root } from 'type-graphql';
import { Policy } from '../access/policy.js';
import { Problem, payloadOf } from '../graphql/problem.type.js';
import { VersionRef } from '../graphql/scalars.js';
import type { Catalog } from './catalog.js';
import { Dataset } from './dataset.type.js';
import type { CatalogContext } from './loaders.js';
import { Model } from './model.type.js';
import { Alias, Version } from './version.type.js';

@InputType({ description: 'Where an alias is to point.' })
export class SetAliasInput {
  @Field({ description: 'Name of the model.' })
  model!: string;

  @Field({ description: '[a-z][a-z0-9-]{0,31}. `champion` is what answers when no version is named.' })
  alias!: string;

  @Field(() => VersionRef, { description: 'A version of that model.' })
  version!: string;
}

@ObjectType({ simpleResolvers: true, description: 'The alias as it is now, or why it was not moved.' })
export class SetAliasPayload {
  @Field(() => Alias, { nullable: true, description: 'The alias as it is now; null when there is a problem.' })
  alias!: Alias | null;

  @Field(() => Problem, { nullable: true, description: 'Why it was not moved; null when it was.' })
  problem!: Problem | null;
}

@Resolver(() => Version)
export class VersionResolver {
  constructor(private readonly rules: Catalog) {}

  @Policy('read')
  @Query(() => Version, { nullable: true, description: 'Null when the reference names nothing that you may see.' })
  version(@Arg('ref', () => VersionRef) ref: string, @Ctx() { catalog }: CatalogContext): Promise<Version | null> {
    return this.rules.findVersion(catalog, ref, ['ref']);
  }

  @Policy('operate')
  @Mutation(() => SetAliasPayload, {
    nullable: true,
    description: 'Points an alias at a version; moves it when it exists.',
  })
  async setAlias(
    @Arg('input', () => SetAliasInput) input: SetAliasInput,
    @Ctx() context: CatalogContext,
  ): Promise<SetAliasPayload> {
    const { result, problem } = await payloadOf(() => this.rules.setAlias(context, input));
    return { alias: result, problem };
  }

  @FieldResolver(() => Model, { description: 'The model that it is a version of.' })
  model(@Root() version: Version, @Ctx() { catalog }: CatalogContext): Promise<Model | null> {
    return catalog.model.load(version.modelId);
  }

  @FieldResolver(() => [String], { description: 'Aliases that point here now.' })
  aliasNames(@Root() version: Version, @Ctx() { catalog }: CatalogContext): Promise<string[]> {
    return catalog.aliasNamesOfVersion.load(version.id);
  }

  @FieldResolver(() => [Dataset], {
    description: 'Data sets that its card names as training data, as far as they are registered here.',
  })
  trainedOn(@Root() version: Version, @Ctx() { catalog }: CatalogContext): Promise<Dataset[]> {
    return catalog.trainingDatasets.load(version.id);
  }
}

@Resolver(() => Alias)
export class AliasResolver {
  @FieldResolver(() => Version, { description: 'The version that it points at now.' })
  aliasedVersion(@Root() alias: Alias, @Ctx() { catalog }: CatalogContext): Promise<Version | null> {
    return catalog.version.load(alias.versionId);
  }
}
