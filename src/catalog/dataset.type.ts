import { Field, ObjectType } from 'type-graphql';
import { connectionOf } from '../graphql/connection.type.js';
import { Node } from '../graphql/node.type.js';
import { SafeInt } from '../graphql/scalars.js';
import type { TaskName } from '../tasks/tasks.js';
import { TaskEnum, VisibilityEnum } from './model.type.js';

@ObjectType({
  implements: Node,
  description:
    'Fixed set of rows, identified by its digest. Training and test data of one source are two datasets with the same `family`.',
})
export class Dataset extends Node {
  @Field({ description: 'Unique name, such as "fashion-mnist-test".' })
  name!: string;

  @Field({ description: 'Display name.' })
  title!: string;

  @Field(() => String, {
    nullable: true,
    description: 'Title of the source, which its other datasets have too, such as "Fashion-MNIST"; null if not stated.',
  })
  family!: string | null;

  @Field(() => String, {
    nullable: true,
    description: 'Split of the source, usually "train" or "test"; null if not stated.',
  })
  split!: string | null;

  @Field(() => TaskEnum, { description: 'Task that the dataset is for.' })
  task!: TaskName;

  @Field(() => SafeInt, { nullable: true, description: 'Number of rows; null if not stated and no rows are stored.' })
  rowCount!: number | null;

  @Field(() => String, {
    nullable: true,
    description: 'SHA-256 digest of the data file, in hexadecimal; null if unknown.',
  })
  sha256!: string | null;

  @Field(() => String, { nullable: true, description: 'License of the data; null if not stated.' })
  license!: string | null;

  @Field(() => String, { nullable: true, description: 'Where the data comes from, often a URL; null if not stated.' })
  source!: string | null;

  @Field(() => String, { nullable: true, description: 'What the rows are; null if not stated.' })
  description!: string | null;

  @Field(() => String, { nullable: true, description: 'Name of the column that models predict; null if not stated.' })
  target!: string | null;

  @Field(() => VisibilityEnum, { description: 'Who may see the dataset.' })
  visibility!: 'PUBLIC' | 'PRIVATE';

  @Field(() => String, {
    nullable: true,
    description:
      'SHA-256 digest of all rows as they are stored: JSON Lines with the keys in the order of `columns`. The same rows in another format have the same digest. Null if no rows are stored.',
  })
  rowsSha256!: string | null;

  @Field(() => SafeInt, {
    nullable: true,
    description: 'Size of all rows as they are stored, in bytes, with their images; null if none are.',
  })
  rowBytes!: number | null;

  /** Not in the schema: sizes of `columns` and `preview`, which are read only if they are selected. */
  columnsBytes!: number;
  previewBytes!: number;
}

@ObjectType({ description: 'One page of a list of datasets.' })
export class DatasetConnection extends connectionOf(Dataset) {}
