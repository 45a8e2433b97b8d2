import { Arg, Ctx, FieldResolver, Int, Query, Resolver, Root } from 'type-graphql';
import { Policy } from '../access/policy.js';
import { JSONObject } from '../graphql/scalars.js';
import type { CatalogDatabase } from '../storage/database.js';
import { checkFirst } from '../storage/pages.js';
import { findDatasetPage } from './dataset.queries.js';
import { Dataset, DatasetConnection } from './dataset.type.js';
import type { CatalogContext } from './loaders.js';
import { VersionConnection } from './version.type.js';

@Resolver(() => Dataset)
export class DatasetResolver {
  constructor(private readonly db: CatalogDatabase) {}

  @Policy('read')
  @Query(() => DatasetConnection, { description: 'By name.' })
  async datasets(
    @Arg('first', () => Int, { defaultValue: 20, description: '1 to 100.' }) first: number,
    @Arg('after', () => String, { nullable: true }) after: string | null,
    @Ctx() { principal }: CatalogContext,
  ): Promise<DatasetConnection> {
    return new DatasetConnection(await findDatasetPage(this.db, principal, { first, after }));
  }

  @Policy('read')
  @Query(() => Dataset, { nullable: true, description: 'Null when there is none of this name that you may see.' })
  dataset(@Arg('name', () => String) name: string, @Ctx() { catalog }: CatalogContext): Promise<Dataset | null> {
    return catalog.datasetByName.load(name);
  }

  @FieldResolver(() => [JSONObject], {
    description: 'The first rows, at most 100 of them; none where only its description is registered.',
  })
  preview(
    @Root() dataset: Dataset,
    @Arg('first', () => Int, { defaultValue: 5, description: '1 to 100.' }) first: number,
  ): Record<string, unknown>[] {
    return (JSON.parse(dataset.previewJson) as Record<string, unknown>[]).slice(0, checkFirst(first));
  }

  @FieldResolver(() => VersionConnection, { description: 'Versions that were trained on it, newest first.' })
  async trainedVersions(
    @Root() dataset: Dataset,
    @Arg('first', () => Int, { defaultValue: 10 }) first: number,
    @Arg('after', () => String, { nullable: true }) after: string | null,
    @Ctx() { catalog }: CatalogContext,
  ): Promise<VersionConnection> {
    return new VersionConnection(await catalog.versionsOf('dataset', dataset.id, { first, after }));
  }
}
