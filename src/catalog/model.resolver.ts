import { Arg, Args, ArgsType, Ctx, Field, FieldResolver, Int, Query, Resolver, Root } from 'type-graphql';
import { Policy } from '../access/policy.js';
import { BadArgumentError } from '../errors.js';
import type { CatalogDatabase } from '../storage/database.js';
import type { Catalog } from './catalog.js';
import type { CatalogContext } from './loaders.js';
import { countFacets, findModelPage } from './model.queries.js';
import { Model, ModelConnection, ModelFilter, ModelOrder } from './model.type.js';
import { Alias, Version, VersionConnection } from './version.type.js';

@ArgsType()
class ModelsArgs {
  @Field(() => String, { nullable: true, description: 'Words to find; the last may be just begun.' })
  search?: string | null;

  @Field(() => ModelFilter, { nullable: true })
  filter?: ModelFilter | null;

  @Field(() => ModelOrder, { nullable: true })
  orderBy?: ModelOrder | null;

  @Field(() => Int, { defaultValue: 20, description: '1 to 100.' })
  first!: number;

  @Field(() => String, { nullable: true })
  after?: string | null;
}

@Resolver(() => Model)
export class ModelResolver {
  constructor(
    private readonly db: CatalogDatabase,
    private readonly rules: Catalog,
  ) {}

  @Policy('read')
  @Query(() => ModelConnection, {
    description:
      'Full text over name, title, summary, tags and card (the first 16 words; the best 1,000 by rank). `totalCount` and `facets` count what the filter leaves.',
  })
  async models(
    @Args(() => ModelsArgs) args: ModelsArgs,
    @Ctx() { principal }: CatalogContext,
  ): Promise<ModelConnection> {
    const { search, filter, orderBy } = args;
    const listing = { search, filter, orderBy };
    const page = await findModelPage(this.db, principal, listing, args);
    return new ModelConnection(page, () => countFacets(this.db, principal, listing));
  }

  @Policy('read')
  @Query(() => Model, { nullable: true, description: 'Null when there is none of this name that you may see.' })
  model(@Arg('name', () => String) name: string, @Ctx() { catalog }: CatalogContext): Promise<Model | null> {
    return catalog.modelByName.load(name);
  }

  @FieldResolver(() => [String], { description: 'Words that its owner has put on it, as its card says.' })
  tags(@Root() model: Model, @Ctx() { catalog }: CatalogContext): Promise<string[]> {
    return catalog.tags.load(model.id);
  }

  @FieldResolver(() => VersionConnection, { description: 'Newest first.' })
  async versions(
    @Root() model: Model,
    @Arg('first', () => Int, { defaultValue: 10 }) first: number,
    @Arg('after', () => String, { nullable: true }) after: string | null,
    @Ctx() { catalog }: CatalogContext,
  ): Promise<VersionConnection> {
    return new VersionConnection(await catalog.versionsOf('model', model.id, { first, after }));
  }

  @FieldResolver(() => Version, {
    nullable: true,
    description:
      'By number or by alias (not both); without arguments the default one: `champion` if set, else the newest READY. Null when there is none.',
  })
  version(
    @Root() model: Model,
    @Arg('number', () => Int, { nullable: true }) number: number | null,
    @Arg('alias', () => String, { nullable: true }) alias: string | null,
    @Ctx() { catalog }: CatalogContext,
  ): Promise<Version | null> {
    if (number != null && alias != null)
      throw new BadArgumentError('A version is named by number or by alias, not by both.');
    return this.rules.versionOf(catalog, model, { number: number ?? null, alias: alias ?? null });
  }

  @FieldResolver(() => [Alias], { description: 'Its aliases, by name.' })
  aliases(@Root() model: Model, @Ctx() { catalog }: CatalogContext): Promise<Alias[]> {
    return catalog.aliasesOfModel.load(model.id);
  }
}
