/**
 * Queries that are compiled once and run with other values: building a query takes longer than SQLite takes to find its
 * rows.
 */
import type { CompiledQuery, Kysely } from 'kysely';

/** Stands for a value while a query is compiled. */
class Parameter {
  constructor(readonly name: string) {}
}

interface Compilable<Row> {
  compile(): CompiledQuery<Row>;
}

/** The values of a query, by name. The query may only bind them. Lists are bound as JSON, see `idsIn`. */
export type Values = Readonly<Record<string, string | number>>;

/**
 * A query that `build` is called for once. It receives parameters in place of the values, so nothing that depends on a value
 * may be decided in it.
 */
export function compiled<DB, V extends Values, Row>(
  build: (db: Kysely<DB>, values: V) => Compilable<Row>,
): (db: Kysely<DB>, values: V) => Promise<Row[]> {
  let known: CompiledQuery<Row> | null = null;
  return async (db, values) => {
    known ??= build(db, parameters<V>()).compile();
    const bound = known.parameters.map((value) => (value instanceof Parameter ? values[value.name] : value));
    return (await db.executeQuery<Row>({ ...known, parameters: bound })).rows;
  };
}

function parameters<V extends Values>(): V {
  return new Proxy({}, { get: (_, name) => new Parameter(String(name)) }) as V;
}
