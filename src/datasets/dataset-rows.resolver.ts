import { Arg, Ctx, FieldResolver, Int, Resolver, Root } from 'type-graphql';
import { Dataset } from '../catalog/dataset.type.js';
import { AFTER, FIRST } from '../graphql/connection.type.js';
import { Cost } from '../graphql/cost.js';
import { JSONObject, JSONValue } from '../graphql/scalars.js';
import { JsonText, Sized } from '../graphql/sized.js';
import { DatasetRow, DatasetRowConnection } from './dataset-rows.type.js';
import type { DatasetContext } from './loaders.js';

/** Of reading from blobs. */
const POINTS_PER_PAGE = 10;

@Resolver(() => Dataset)
export class DatasetRowsResolver {
  @Cost({ points: POINTS_PER_PAGE })
  @FieldResolver(() => DatasetRowConnection, {
    description: 'Rows of the dataset, in order; none if only its description is stored here.',
  })
  async rows(
    @Root() dataset: Dataset,
    @Arg('first', () => Int, { defaultValue: 20, description: FIRST }) first: number,
    @Arg('after', () => String, { nullable: true, description: AFTER }) after: string | null,
    @Ctx() { datasetLoaders }: DatasetContext,
  ): Promise<DatasetRowConnection> {
    return new DatasetRowConnection(await datasetLoaders.rowsOf(dataset.id, { first, after }), dataset);
  }
}

@Resolver(() => DatasetRow)
export class DatasetRowResolver {
  @FieldResolver(() => JSONObject, { description: 'Values by the names of their columns, with the target.' })
  values(@Root() { place }: DatasetRow, @Ctx() { datasetLoaders }: DatasetContext): Sized<JsonText, string> {
    return new Sized(
      { readBytes: place.length, jsonBytes: place.length },
      () => datasetLoaders.json.load(place),
      (json) => new JsonText(json),
    );
  }

  @FieldResolver(() => JSONValue, {
    nullable: true,
    description: 'Value of the column that models predict; null if the dataset states none.',
  })
  target(
    @Root() { place, dataset }: DatasetRow,
    @Ctx() { datasetLoaders }: DatasetContext,
  ): Sized<unknown, string> | null {
    const { target } = dataset;
    if (target === null) return null;
    return new Sized(
      { readBytes: place.length },
      () => datasetLoaders.json.load(place),
      (json) => (JSON.parse(json) as Record<string, unknown>)[target] ?? null,
    );
  }
}
