import { Arg, Args, ArgsType, Ctx, Field, FieldResolver, Int, Query, Resolver, Root } from 'type-graphql';
import { Policy } from '../access/policy.js';
import { BadArgumentError } from '../errors.js';
import { AFTER, FIRST } from '../graphql/connection.type.js';
import { Cost, type Args as CostArgs } from '../graphql/cost.js';
import { DateTime } from '../graphql/scalars.js';
import { Sized } from '../graphql/sized.js';
import type { CatalogDatabase } from '../storage/database.js';
import { MAX_HITS, MAX_WORDS, MIN_PREFIX_LETTERS } from '../storage/search.js';
import { Alias, AliasChangeConnection } from './alias.type.js';
import { conditionsOf } from './listing.queries.js';
import type { ListingCounts } from './listing-counts.js';
import type { CatalogContext } from './loaders.js';
import { findModelPage } from './model.queries.js';
import { Model, ModelCard, ModelConnection, ModelFilter, ModelOrder } from './model.type.js';
import { Version, VersionConnection } from './version.type.js';

@ArgsType()
class ModelsArgs {
  @Field(() => String, {
    nullable: true,
    description: `Words that must all occur in the name, title, summary, tags or card. The last word also matches as a prefix if it has at least ${MIN_PREFIX_LETTERS} letters; other words match in every inflection. Only the first ${MAX_WORDS} different words and ${MAX_HITS.toLocaleString('en')} matches are considered. Default: no search.`,
  })
  search?: string | null;

  @Field(() => ModelFilter, { nullable: true, description: 'Conditions that models must meet. Default: none.' })
  filter?: ModelFilter | null;

  @Field(() => ModelOrder, {
    nullable: true,
    description:
      'Sort order. Default: if `search` is given, private models first and then the best match, otherwise by name.',
  })
  orderBy?: ModelOrder | null;

  @Field(() => Int, { defaultValue: 20, description: FIRST })
  first!: number;

  @Field(() => String, { nullable: true, description: AFTER })
  after?: string | null;
}

const SEARCH_POINTS = 200;
/** A filter may look at many models for each that it finds; a filter by metric also at their metrics. */
const FILTER_POINTS = 50;
const METRIC_POINTS = 500;

/** An order in which not every model has a place may look at all models to find the others. */
const ORDER_POINTS: Partial<Record<ModelOrder['field'], number>> = { SIZE: 50, RECENT_USE: 100, METRIC: 500 };

/** The rows that a search, its filters and its order may read. */
function pointsOfListing({ search, filter, orderBy }: CostArgs): number {
  const conditions = Object.entries(conditionsOf(filter as ModelFilter | null)).filter(
    ([, condition]) => condition != null,
  );
  const ofFilter = conditions.reduce((sum, [name]) => sum + (name === 'metric' ? METRIC_POINTS : FILTER_POINTS), 0);
  const { field } = (orderBy ?? {}) as Partial<ModelOrder>;
  return ofFilter + (search == null ? 0 : SEARCH_POINTS) + ((field && ORDER_POINTS[field]) ?? 0);
}

@Resolver(() => Model)
export class ModelResolver {
  constructor(
    private readonly db: CatalogDatabase,
    private readonly counts: ListingCounts,
  ) {}

  @Policy('read')
  @Cost({ points: pointsOfListing })
  @Query(() => ModelConnection, {
    description:
      'Models that match the search and the filter. `totalCount` and `facets` count all of them, not only those of the page.',
  })
  async models(
    @Args(() => ModelsArgs) args: ModelsArgs,
    @Ctx() { principal }: CatalogContext,
  ): Promise<ModelConnection> {
    const { search, orderBy } = args;
    const listing = { search, filter: conditionsOf(args.filter), orderBy };
    const page = await findModelPage(this.db, principal, listing, args, () => this.counts.total(principal, listing));
    return new ModelConnection(page, () => this.counts.facets(principal, listing));
  }

  @Policy('read')
  @Query(() => Model, {
    nullable: true,
    description: 'Model with this name; null if it does not exist or you may not see it.',
  })
  model(
    @Arg('name', () => String, { description: 'Name of the model, such as "spam-filter".' }) name: string,
    @Ctx() { catalogLoaders }: CatalogContext,
  ): Promise<Model | null> {
    return catalogLoaders.modelByName.load(name);
  }

  @FieldResolver(() => String, {
    nullable: true,
    description:
      "Account that owns the model, if it is yours or you are an administrator; null otherwise, and if the model is the operator's.",
  })
  account(@Root() { account }: Model, @Ctx() { principal }: CatalogContext): string | null {
    return account === principal.id || principal.roles.includes('admin') ? account : null;
  }

  @FieldResolver(() => ModelCard, { description: 'What to know before using the model.' })
  card(@Root() { id, cardBytes }: Model, @Ctx() { catalogLoaders }: CatalogContext): Sized<ModelCard | null> {
    return new Sized({ readBytes: cardBytes }, async () => (await catalogLoaders.card.load(id))?.card ?? null);
  }

  @FieldResolver(() => VersionConnection, { description: 'Versions of the model, newest first.' })
  async versions(
    @Root() model: Model,
    @Arg('first', () => Int, { defaultValue: 10, description: FIRST }) first: number,
    @Arg('after', () => String, { nullable: true, description: AFTER }) after: string | null,
    @Ctx() { catalogLoaders }: CatalogContext,
  ): Promise<VersionConnection> {
    return new VersionConnection(await catalogLoaders.versionsOf('model', model.id, { first, after }));
  }

  @FieldResolver(() => Version, {
    nullable: true,
    description:
      'Version with this number or alias. Without arguments, the default version: the one with alias `champion` if set, otherwise the newest READY version. Null if there is none. Giving both `number` and `alias` is a BAD_USER_INPUT error.',
  })
  version(
    @Root() model: Model,
    @Arg('number', () => Int, { nullable: true, description: 'Number of the version, from 1.' }) number: number | null,
    @Arg('alias', () => String, { nullable: true, description: 'Name of an alias of the model.' }) alias: string | null,
    @Arg('asOf', () => DateTime, {
      nullable: true,
      description:
        'The version that `alias` pointed to at this time; null if there was no such alias. Without `alias`, a BAD_USER_INPUT error. Default: now.',
    })
    asOf: Date | null,
    @Ctx() { catalogLoaders }: CatalogContext,
  ): Promise<Version | null> {
    if (number != null && alias != null)
      throw new BadArgumentError('`number` and `alias` were both given. Give only one of them.');
    if (asOf != null) {
      if (alias == null) throw new BadArgumentError('`asOf` was given without `alias`. Name an alias.');
      return catalogLoaders.versionAsOf(model, alias, asOf);
    }
    return catalogLoaders.versionOf(model, { number: number ?? null, alias: alias ?? null });
  }

  @FieldResolver(() => [Alias], { description: 'Aliases of the model, in order of name.' })
  aliases(@Root() model: Model, @Ctx() { catalogLoaders }: CatalogContext): Promise<Alias[]> {
    return catalogLoaders.aliasesOfModel.load(model.id);
  }

  @FieldResolver(() => AliasChangeConnection, {
    description:
      'Every move of an alias of the model, newest first. For an alias that an earlier release set, the list begins with the version that it pointed to then.',
  })
  async aliasHistory(
    @Root() model: Model,
    @Arg('alias', () => String, { nullable: true, description: 'Only moves of this alias. Default: of all.' })
    alias: string | null,
    @Arg('first', () => Int, { defaultValue: 10, description: FIRST }) first: number,
    @Arg('after', () => String, { nullable: true, description: AFTER }) after: string | null,
    @Ctx() { catalogLoaders }: CatalogContext,
  ): Promise<AliasChangeConnection> {
    return new AliasChangeConnection(await catalogLoaders.aliasHistory(model.id, alias ?? null, { first, after }));
  }
}
