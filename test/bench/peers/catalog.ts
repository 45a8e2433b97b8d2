/**
 * The schema and the resolvers of the peers for reads of the catalog: DataLoader and `node:sqlite` on the event loop, on the
 * file of a catalog that this service has created. They have no limits and no rules about who sees what. Their statements
 * read only the columns that are selected, and use the indexes of the file.
 */
import { DatabaseSync, type SQLInputValue } from 'node:sqlite';
import DataLoader from 'dataloader';

export const typeDefs = `
  type Query { models(first: Int!, after: String): ModelConnection! }
  type ModelConnection { nodes: [Model!]! }
  type Model { id: ID!, name: String!, title: String!, task: String!, tags: [String!]!, version: Version, versions(first: Int!): VersionConnection! }
  type VersionConnection { nodes: [Version!]! }
  type Version { ref: String!, evaluation: Evaluation }
  type Evaluation { metrics: [Metric!]! }
  type Metric { name: String!, value: Float }
`;

interface Model {
  readonly id: string;
  readonly name: string;
  readonly default_version_id: string | null;
}
interface Version {
  readonly id: string;
  readonly number: number;
  readonly model_id: string;
  readonly model: string;
  readonly test_dataset: string | null;
}
interface Evaluation {
  readonly id: string;
  readonly version_id: string;
}

const db = new DatabaseSync(process.argv[2] ?? '', { readOnly: true });
const statements = new Map<string, ReturnType<typeof db.prepare>>();

function rows<T>(sql: string, ...values: SQLInputValue[]): T[] {
  const statement = statements.get(sql) ?? db.prepare(sql);
  statements.set(sql, statement);
  return statement.all(...values) as T[];
}

const marks = (keys: readonly unknown[]) => keys.map(() => '?').join();

const PAGE = `select id, name, title, task, default_version_id from model where name > ? order by name limit ?`;
const tagsSql = (ids: readonly string[]) =>
  `select model_id, tag from model_tag where model_id in (${marks(ids)}) order by tag`;
const VERSION = `select version.id, number, model_id, model.name as model, test_dataset from version join model on model.id = model_id`;
const EVALUATIONS = `select evaluation.id, evaluation.version_id from evaluation
  join version on version.id = version_id join dataset on dataset.id = dataset_id
  where dataset.name = version.test_dataset and job_state = 'SUCCEEDED'`;
const metricsSql = (ids: readonly string[]) =>
  `select evaluation_id, name, value from metric where evaluation_id in (${marks(ids)}) order by evaluation_id, ordinal`;

function one<T>(find: (ids: readonly string[]) => T[], keyOf: (row: T) => string) {
  return new DataLoader<string, T | null>(async (ids) => {
    const found = new Map(find(ids).map((row) => [keyOf(row), row]));
    return ids.map((id) => found.get(id) ?? null);
  });
}

function many<T>(find: (ids: readonly string[]) => T[], keyOf: (row: T) => string) {
  return new DataLoader<string, T[]>(async (ids) => {
    const found = Map.groupBy(find(ids), keyOf);
    return ids.map((id) => found.get(id) ?? []);
  });
}

export class Loaders {
  readonly tags = many(
    (ids) => rows<{ model_id: string; tag: string }>(tagsSql(ids), ...ids),
    (row) => row.model_id,
  );
  readonly version = one(
    (ids) => rows<Version>(`${VERSION} where version.id in (${marks(ids)})`, ...ids),
    (row) => row.id,
  );
  readonly versions = many(
    (ids) => rows<Version>(`${VERSION} where model_id in (${marks(ids)}) order by version.id desc`, ...ids),
    (row) => row.model_id,
  );
  /** The newest comes last, and replaces the others of its version. */
  readonly evaluation = one(
    (ids) =>
      rows<Evaluation>(`${EVALUATIONS} and version_id in (${marks(ids)}) order by origin desc, evaluation.id`, ...ids),
    (row) => row.version_id,
  );
  readonly metrics = many(
    (ids) => rows<{ evaluation_id: string }>(metricsSql(ids), ...ids),
    (row) => row.evaluation_id,
  );
}

export const resolvers = {
  Query: {
    models: (_: unknown, { first, after }: { first: number; after?: string }) => ({
      nodes: rows<Model>(PAGE, after ?? '', first),
    }),
  },
  Model: {
    tags: async ({ id }: Model, _: unknown, { tags }: Loaders) => (await tags.load(id)).map(({ tag }) => tag),
    version: ({ default_version_id: id }: Model, _: unknown, { version }: Loaders) => id && version.load(id),
    versions: async ({ id }: Model, { first }: { first: number }, { versions }: Loaders) => ({
      nodes: (await versions.load(id)).slice(0, first),
    }),
  },
  Version: {
    ref: ({ model, number }: Version) => `${model}:${number}`,
    evaluation: ({ id }: Version, _: unknown, { evaluation }: Loaders) => evaluation.load(id),
  },
  Evaluation: { metrics: ({ id }: Evaluation, _: unknown, { metrics }: Loaders) => metrics.load(id) },
};
