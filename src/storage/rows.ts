/** Rows from lists of values, which are smaller than objects where they are stored or sent. */

/** Faster than `Object.fromEntries`, and all rows with the same columns share one hidden class. */
export function rowOf(columns: readonly string[], values: readonly unknown[]): Record<string, unknown> {
  const row: Record<string, unknown> = {};
  for (let i = 0; i < columns.length; i++) row[columns[i] as string] = values[i];
  return row;
}
