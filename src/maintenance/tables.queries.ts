/** Checks that hold for the tables of every database: the file, its schema, references between rows, and types of values. */
import { DatabaseSync } from 'node:sqlite';
import { Kysely, sql } from 'kysely';
import { type Migration, Migrator } from 'kysely/migration';
import { type AnySnapshot, dialectOf } from '../storage/snapshot.js';
import type { Problem, Repair } from './problem.js';

/** SQLite itself stops after as many. */
const MAX_DAMAGES = 100;

/** `database`: its name in messages. */
export function* damages(snapshot: AnySnapshot, database: string): Generator<Problem> {
  for (const row of snapshot.rows<{ integrity_check: string }>(`pragma integrity_check(${MAX_DAMAGES})`))
    if (row.integrity_check !== 'ok')
      yield { code: 'FILE_DAMAGED', where: database, message: row.integrity_check, repair: null };
}

interface SchemaObject {
  readonly type: string;
  readonly name: string;
  readonly sql: string | null;
}

const SCHEMA = "select type, name, sql from sqlite_schema where name not like 'sqlite\\_%' escape '\\' order by name";

/** Differences from the schema that the migrations make. Indexes and triggers of the catalog can be made again. */
export async function* schemaDifferences(
  snapshot: AnySnapshot,
  database: string,
  migrations: Readonly<Record<string, Migration>>,
): AsyncGenerator<Problem> {
  const expected = await migratedSchema(migrations);
  const found = new Map(Array.from(snapshot.rows<SchemaObject>(SCHEMA), (one) => [one.name, one]));
  for (const object of expected.values()) {
    const { type, name } = object;
    const now = found.get(name);
    if (now?.type === type && textOf(now) === textOf(object)) continue;
    const message = now ? 'differs from the one of this release' : 'is missing';
    const isRepairable = database === 'catalog' && (type === 'index' || type === 'trigger');
    const repair = isRepairable ? recreation(object, now ?? null) : null;
    yield { code: 'SCHEMA_DIFFERS', where: `${type} ${name} of ${database}`, message, repair };
  }
  for (const { type, name } of found.values())
    if (!expected.has(name))
      yield {
        code: 'SCHEMA_DIFFERS',
        where: `${type} ${name} of ${database}`,
        message: 'is unknown to this release',
        repair: null,
      };
}

/** A migration may be written on other lines than when it ran. */
function textOf({ sql: text }: SchemaObject): string | undefined {
  return text?.replaceAll(/\s+/g, ' ');
}

async function migratedSchema(migrations: Readonly<Record<string, Migration>>): Promise<Map<string, SchemaObject>> {
  const connection = new DatabaseSync(':memory:');
  const db = new Kysely<unknown>({ dialect: dialectOf(connection) });
  try {
    const { error } = await new Migrator({ db, provider: { getMigrations: async () => migrations } }).migrateToLatest();
    if (error) throw error;
    const objects = connection.prepare(SCHEMA).all() as unknown as SchemaObject[];
    return new Map(objects.map((one) => [one.name, one]));
  } finally {
    await db.destroy();
  }
}

function recreation({ type, name, sql: text }: SchemaObject, now: SchemaObject | null): Repair {
  return {
    does: `creates the ${type} again`,
    inCatalog: async (trx) => {
      if (now) await sql`drop ${sql.raw(now.type)} ${sql.id(name)}`.execute(trx);
      await sql.raw(text ?? '').execute(trx);
    },
  };
}

/** Tables whose rows say nothing without the row that they refer to. */
const DEPENDENT = [
  'alias',
  'alias_change',
  'gate',
  'gate_attempt',
  'model_tag',
  'version_dataset',
  'dataset_piece',
  'dataset_image',
  'latency',
  'evaluation',
  'evaluation_job',
  'evaluation_piece',
  'evaluation_part',
  'metric',
];

export function* brokenReferences(snapshot: AnySnapshot): Generator<Problem> {
  const broken = snapshot.rows<{ table: string; rowid: number; parent: string }>('pragma foreign_key_check');
  for (const { table, rowid, parent } of broken) {
    const [row] = snapshot.rows<Record<string, unknown>>(`select * from "${table}" where rowid = ?`, rowid);
    const remove: Repair = {
      does: 'deletes the row',
      inCatalog: (trx) => sql`delete from ${sql.id(table)} where rowid = ${rowid}`.execute(trx),
    };
    yield {
      code: 'REFERENCE_BROKEN',
      where: `${table} ${JSON.stringify(keyOf(snapshot, table, row ?? {}))}`,
      message: `refers to a row of ${parent} that does not exist`,
      repair: DEPENDENT.includes(table) ? remove : null,
    };
  }
}

interface Column {
  readonly name: string;
  readonly type: string;
  readonly pk: number;
}

function columnsOf(snapshot: AnySnapshot, table: string): Column[] {
  return [...snapshot.rows<Column>(`pragma table_info("${table}")`)];
}

function keyOf(snapshot: AnySnapshot, table: string, row: Record<string, unknown>): Record<string, unknown> {
  const keys = columnsOf(snapshot, table).filter(({ pk }) => pk > 0);
  return Object.fromEntries(keys.map(({ name }) => [name, row[name]]));
}

/** SQLite stores any value in any column. */
const STORED_TYPES: Readonly<Record<string, string>> = {
  text: "'text', 'null'",
  integer: "'integer', 'null'",
  bigint: "'integer', 'null'",
  blob: "'blob', 'null'",
  // SQLite stores a whole number as an integer.
  'double precision': "'real', 'integer', 'null'",
};

/** Values whose type is not the one of their column. */
export function* wrongTypes(snapshot: AnySnapshot): Generator<Problem> {
  const tables = snapshot.rows<{ name: string }>(
    "select name from pragma_table_list where schema = 'main' and type = 'table' and name not like 'sqlite\\_%' escape '\\'",
  );
  for (const { name: table } of [...tables]) {
    const columns = columnsOf(snapshot, table);
    const keys = columns.filter(({ pk }) => pk > 0);
    const key = keys.map(({ name }) => `quote("${name}")`).join(" || ', ' || ");
    for (const { name, type } of columns) {
      const types = STORED_TYPES[type.toLowerCase()];
      if (types === undefined) continue;
      const wrong = `select ${key || "''"} as key, typeof("${name}") as found from "${table}" where typeof("${name}") not in (${types})`;
      for (const { key, found } of snapshot.rows<{ key: string; found: string }>(wrong))
        yield {
          code: 'ROW_INVALID',
          where: `${table} ${key}`,
          message: `${name} is a value of the type ${found}; expected ${type.toLowerCase()}`,
          repair: null,
        };
    }
  }
}
