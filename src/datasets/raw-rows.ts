/** Rows as they are in a file, before the types of columns are known. */

export type DatasetFormat = 'CSV' | 'JSON_LINES' | 'PARQUET';

export interface RawRow {
  /** 1 for the first row of data. */
  readonly number: number;
  /** Where it ends; null if the format has no lines. */
  readonly line: number | null;
  readonly values: Readonly<Record<string, unknown>>;
}

export interface RawRows {
  /** In order, if the format says which there are before the first row. */
  readonly columns: readonly string[] | null;
  /** Whether values are text, whatever they stand for. */
  readonly isText: boolean;
  readonly rows: AsyncIterable<RawRow>;
}
