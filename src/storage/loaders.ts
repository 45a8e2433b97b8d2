/** DataLoaders over query functions: one statement for all keys that are requested in one turn of the event loop. */
import DataLoader from 'dataloader';

/** The loader for these arguments of a field. Parents with the same arguments share a statement. */
export function loaderFor<T>(known: Map<string, T>, args: readonly unknown[], create: () => T): T {
  const key = JSON.stringify(args);
  const loader = known.get(key) ?? create();
  known.set(key, loader);
  return loader;
}

export function loadOne<T>(find: (keys: readonly string[]) => Promise<T[]>, keyOf: (value: T) => string) {
  return new DataLoader<string, T | null>(async (keys) => {
    const found = new Map((await find(keys)).map((value) => [keyOf(value), value]));
    return keys.map((key) => found.get(key) ?? null);
  });
}

export function loadMany<Row, T>(
  find: (keys: readonly string[]) => Promise<Row[]>,
  keyOf: (row: Row) => string,
  pick: (row: Row) => T,
) {
  return new DataLoader<string, T[]>(async (keys) => {
    const rows = Map.groupBy(await find(keys), keyOf);
    return keys.map((key) => (rows.get(key) ?? []).map(pick));
  });
}
