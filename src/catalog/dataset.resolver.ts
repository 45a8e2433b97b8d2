import { Arg, Ctx, FieldResolver, Int, Query, Resolver, Root } from 'type-graphql';
import { Policy } from '../access/policy.js';
import { AFTER, FIRST } from '../graphql/connection.type.js';
import { JSONObject } from '../graphql/scalars.js';
import { Sized } from '../graphql/sized.js';
import type { CatalogDatabase } from '../storage/database.js';
import { checkFirst, MAX_PAGE_SIZE } from '../storage/pages.js';
import { findDatasetPage } from './dataset.queries.js';
import { Dataset, DatasetConnection } from './dataset.type.js';
import type { CatalogContext } from './loaders.js';
import { Column } from './signature.type.js';
import { VersionConnection } from './version.type.js';

@Resolver(() => Dataset)
export class DatasetResolver {
  constructor(private readonly db: CatalogDatabase) {}

  @Policy('read')
  @Query(() => DatasetConnection, { description: 'Datasets, in order of name.' })
  async datasets(
    @Arg('first', () => Int, { defaultValue: 20, description: FIRST }) first: number,
    @Arg('after', () => String, { nullable: true, description: AFTER }) after: string | null,
    @Ctx() { principal }: CatalogContext,
  ): Promise<DatasetConnection> {
    return new DatasetConnection(await findDatasetPage(this.db, principal, { first, after }));
  }

  @Policy('read')
  @Query(() => Dataset, {
    nullable: true,
    description: 'Dataset with this name; null if it does not exist or you may not see it.',
  })
  dataset(
    @Arg('name', () => String, { description: 'Name of the dataset, such as "fashion-mnist-test".' }) name: string,
    @Ctx() { catalogLoaders }: CatalogContext,
  ): Promise<Dataset | null> {
    return catalogLoaders.datasetByName.load(name);
  }

  @FieldResolver(() => [JSONObject], {
    description: `First rows of the dataset, at most ${MAX_PAGE_SIZE}; empty if the data is not stored here.`,
  })
  preview(
    @Root() dataset: Dataset,
    @Arg('first', () => Int, {
      defaultValue: 5,
      description: `Number of rows, 1 to ${MAX_PAGE_SIZE}. Other values are a BAD_USER_INPUT error.`,
    })
    first: number,
    @Ctx() { catalogLoaders }: CatalogContext,
  ): Sized<Record<string, unknown>[]> {
    checkFirst(first);
    return new Sized({ readBytes: dataset.previewBytes }, async () =>
      ((await catalogLoaders.preview.load(dataset.id))?.rows ?? []).slice(0, first),
    );
  }

  @FieldResolver(() => [Column], { description: 'Columns of the rows; empty if not stated.' })
  columns(@Root() { id, columnsBytes }: Dataset, @Ctx() { catalogLoaders }: CatalogContext): Sized<Column[]> {
    return new Sized({ readBytes: columnsBytes }, async () => (await catalogLoaders.columns.load(id))?.columns ?? []);
  }

  @FieldResolver(() => VersionConnection, { description: 'Versions that were trained on the dataset, newest first.' })
  async trainedVersions(
    @Root() dataset: Dataset,
    @Arg('first', () => Int, { defaultValue: 10, description: FIRST }) first: number,
    @Arg('after', () => String, { nullable: true, description: AFTER }) after: string | null,
    @Ctx() { catalogLoaders }: CatalogContext,
  ): Promise<VersionConnection> {
    return new VersionConnection(await catalogLoaders.versionsOf('dataset', dataset.id, { first, after }));
  }
}
