import { Field, ObjectType } from 'type-graphql';
import type { Dataset } from '../catalog/dataset.type.js';
import { connectionOf } from '../graphql/connection.type.js';
import { create } from '../graphql/create.js';
import { SafeInt } from '../graphql/scalars.js';
import type { Page } from '../storage/pages.js';
import type { RowPlace } from './dataset-rows.queries.js';

@ObjectType({ description: 'Row of a dataset.' })
export class DatasetRow {
  @Field(() => SafeInt, { description: 'Number of the row, 1 for the first, as problems of a dataset name it.' })
  number!: number;

  /** Not in the schema. */
  place!: RowPlace;
  dataset!: Dataset;
}

@ObjectType({ description: 'One page of the rows of a dataset.' })
export class DatasetRowConnection extends connectionOf(DatasetRow) {
  constructor(places: Page<RowPlace>, dataset: Dataset) {
    super(places.map((place) => create(DatasetRow, { number: place.number, place, dataset })));
  }
}
