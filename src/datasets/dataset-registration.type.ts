import { Field, Float, ID, InputType, ObjectType } from 'type-graphql';
import { REASON } from '../access/reason.js';
import { Dataset } from '../catalog/dataset.type.js';
import { TaskEnum, VisibilityEnum } from '../catalog/model.type.js';
import { ColumnType } from '../catalog/signature.type.js';
import { enumOf } from '../graphql/enum.type.js';
import { Problem } from '../graphql/problem.type.js';
import type { DatasetColumnType } from '../tasks/spec.js';
import type { TaskName } from '../tasks/tasks.js';
import { MAX_CATEGORIES, MAX_COLUMNS, MAX_CONTENT_BYTES, MAX_DATASET_BYTES, MAX_ROWS } from './dataset-limits.js';
import { MAX_CHARACTERS } from './new-dataset.js';
import type { DatasetFormat } from './raw-rows.js';

const count = (number: number) => number.toLocaleString('en');

const DatasetFormatEnum = enumOf<DatasetFormat>('DatasetFormat', 'Format of the rows of a dataset.', {
  CSV: 'Comma-separated values as in RFC 4180, in UTF-8, with a header. An empty value is a missing one.',
  JSON_LINES: 'A JSON object on each line, in UTF-8.',
  PARQUET:
    'Apache Parquet, uncompressed or with Snappy, gzip, Brotli or Zstandard; row groups of at most 256 MiB. Only as an upload.',
});

@InputType({ description: 'Rows of a new dataset: exactly one of `content` and `upload`.' })
export class DatasetDataInput {
  @Field(() => DatasetFormatEnum, { description: 'Format of the rows.' })
  format!: DatasetFormat;

  @Field(() => String, {
    nullable: true,
    description: `The rows themselves, at most ${count(MAX_CONTENT_BYTES)} bytes. Send it as a variable.`,
  })
  content?: string | null;

  @Field(() => ID, {
    nullable: true,
    description: `Id of a complete upload of your account, of at most ${count(MAX_DATASET_BYTES)} bytes.`,
  })
  upload?: string | null;
}

@InputType({ description: 'Column of the rows of a new dataset.' })
export class DatasetColumnInput {
  @Field({ description: 'Name, as in the rows.' })
  name!: string;

  @Field(() => ColumnType, {
    description:
      'Type of the values. Values of another type are problems. An image is a JPEG, PNG or WebP file of at most 8 MiB as base64, or "sha256:" and the digest of a complete upload of your account.',
  })
  type!: DatasetColumnType;

  @Field(() => [String], {
    nullable: true,
    description: `The values that are accepted, if the type is CATEGORY, at most ${count(MAX_CATEGORIES)}. Default: all that occur.`,
  })
  categories?: string[] | null;

  @Field(() => Boolean, { defaultValue: true, description: 'Whether each row must have a value.' })
  required!: boolean;

  @Field(() => String, { nullable: true, description: 'Meaning of the column. Default: none.' })
  description?: string | null;

  @Field(() => String, { nullable: true, description: 'Unit of the values, such as "mm". Default: none.' })
  unit?: string | null;

  @Field(() => Float, { nullable: true, description: 'Smallest accepted number. Default: no limit.' })
  minimum?: number | null;

  @Field(() => Float, { nullable: true, description: 'Largest accepted number. Default: no limit.' })
  maximum?: number | null;
}

@InputType({ description: 'New dataset, with its rows.' })
export class RegisterDatasetInput {
  @Field({ description: 'Name, unique on the server, matching `[a-z0-9][a-z0-9-]{0,63}`. It cannot be changed.' })
  name!: string;

  @Field(() => TaskEnum, { description: 'Task that the dataset is for.' })
  task!: TaskName;

  @Field(() => String, {
    nullable: true,
    description: `Display name, 1 to ${MAX_CHARACTERS.title} characters. Default: the name.`,
  })
  title?: string | null;

  @Field(() => String, {
    nullable: true,
    description:
      'Name of the column that models predict: labels for classification, of which there must be at least two, and numbers for regression. Default: none.',
  })
  target?: string | null;

  @Field(() => String, {
    nullable: true,
    description: `Title of the source, which its other datasets have too, 1 to ${MAX_CHARACTERS.family} characters. Default: none.`,
  })
  family?: string | null;

  @Field(() => String, {
    nullable: true,
    description: `Split of the source, usually "train" or "test", 1 to ${MAX_CHARACTERS.split} characters. Default: none.`,
  })
  split?: string | null;

  @Field(() => String, {
    nullable: true,
    description: `License of the data, such as "cc0-1.0", 1 to ${MAX_CHARACTERS.license} characters. Default: none.`,
  })
  license?: string | null;

  @Field(() => String, {
    nullable: true,
    description: `Where the data comes from, often a URL, 1 to ${MAX_CHARACTERS.source} characters. Default: none.`,
  })
  source?: string | null;

  @Field(() => String, {
    nullable: true,
    description: `What the rows are, 1 to ${count(MAX_CHARACTERS.description)} characters. Default: none.`,
  })
  description?: string | null;

  @Field(() => VisibilityEnum, { defaultValue: 'PRIVATE', description: 'Who may see it.' })
  visibility!: 'PUBLIC' | 'PRIVATE';

  @Field(() => [DatasetColumnInput], {
    nullable: true,
    description: `All columns, at most ${count(MAX_COLUMNS)}, in order. Default: those of the rows, with the types of the first 1,000 rows; values of another type are problems.`,
  })
  columns?: DatasetColumnInput[] | null;

  @Field(() => Boolean, {
    defaultValue: false,
    description: 'Whether several rows may be the same. Otherwise they are problems.',
  })
  allowDuplicates!: boolean;

  @Field(() => DatasetDataInput, { description: `The rows, 1 to ${count(MAX_ROWS)}.` })
  data!: DatasetDataInput;

  @Field(() => String, { nullable: true, description: REASON })
  reason?: string | null;
}

@ObjectType({ description: 'The dataset, or the problem that prevented it: exactly one of them.' })
export class RegisterDatasetPayload {
  @Field(() => Dataset, { nullable: true, description: 'The dataset; null if there is a problem.' })
  dataset!: Dataset | null;

  @Field(() => Problem, { nullable: true, description: 'Why it was not registered; null otherwise.' })
  problem!: Problem | null;
}

@InputType({ description: 'Dataset to delete.' })
export class DeleteDatasetInput {
  @Field({ description: 'Name of the dataset.' })
  dataset!: string;

  @Field(() => String, { nullable: true, description: REASON })
  reason?: string | null;
}

@ObjectType({ description: 'What was deleted, or the problem that prevented it: exactly one of them.' })
export class DeleteDatasetPayload {
  @Field(() => ID, { nullable: true, description: 'Id that the dataset had; null if there is a problem.' })
  deletedId!: string | null;

  @Field(() => Problem, { nullable: true, description: 'Why it was not deleted; null otherwise.' })
  problem!: Problem | null;
}
