/**
 * Reads a dataset from its file: checks each row, and writes it as a line of JSON whose keys are in the order of the columns.
 *
 * Goes on after a row that is wrong, to report several at once; after one that cannot be read, nothing else can.
 */
import type { TaskName } from '../tasks/tasks.js';
import { ColumnValues } from './column-values.js';
import {
  checkTarget,
  type DatasetColumn,
  inferColumns,
  SAMPLE_CHARACTERS,
  SAMPLE_ROWS,
  targetKindOf,
} from './dataset-columns.js';
import {
  MAX_COLUMNS,
  MAX_DATASET_BYTES,
  MAX_NAME_CHARACTERS,
  MAX_PROBLEMS,
  MAX_ROW_BYTES,
  MAX_ROWS,
  PREVIEW_CHARACTERS,
  PREVIEW_ROWS,
} from './dataset-limits.js';
import type { RawRow, RawRows } from './raw-rows.js';
import { RowDigests } from './row-digests.js';
import { type ImagePlaces, RowImages, type StoredImage } from './row-images.js';
import { type Piece, RowPieces } from './row-pieces.js';
import { type RowProblem, UnreadableRowsError } from './row-problem.js';
import { type DatasetSource, openSource } from './row-source.js';

export interface WantedRows {
  readonly source: DatasetSource;
  readonly images: ImagePlaces;
  readonly task: TaskName;
  /** Name of the column that models predict. */
  readonly target: string | null;
  /** Null to infer them from the first rows. */
  readonly columns: readonly DatasetColumn[] | null;
  /** Whether labels that are all the same are a problem, and rows that are the same unless they are allowed. */
  readonly isStrict: boolean;
  readonly allowsDuplicates: boolean;
}

export interface ReadRows {
  /** Of the bytes that were read. */
  readonly sha256: string;
  /** Of all rows as they are stored. */
  readonly rowsSha256: string;
  readonly rowCount: number;
  /** With the images. */
  readonly bytes: number;
  /** Those that rows name by digest. */
  readonly images: readonly StoredImage[];
  readonly columns: readonly DatasetColumn[];
  /** JSON of the first rows. */
  readonly preview: string;
}

export type RowsResult = { readonly rows: ReadRows } | { readonly problems: readonly RowProblem[] };

/** Where what is to be stored goes, in order. */
export interface RowsTarget {
  readonly onPiece: (piece: Piece) => void;
  readonly onImage: (bytes: Uint8Array) => void;
}

export async function readRows(wanted: WantedRows, target: RowsTarget): Promise<RowsResult> {
  const reading = new Reading(wanted, target);
  try {
    return await reading.run();
  } catch (error) {
    if (!(error instanceof UnreadableRowsError)) throw error;
    return { problems: [...reading.problems, error.problem].slice(0, MAX_PROBLEMS) };
  }
}

class Reading {
  readonly problems: RowProblem[] = [];
  readonly #wanted: WantedRows;
  readonly #pieces: RowPieces;
  readonly #images: RowImages;
  readonly #digests = new RowDigests();
  readonly #preview: string[] = [];
  #previewCharacters = 0;
  #columns: readonly ColumnValues[] = [];
  #keys: readonly string[] = [];
  #names: ReadonlySet<string> = new Set();

  constructor(wanted: WantedRows, { onPiece, onImage }: RowsTarget) {
    this.#wanted = wanted;
    this.#pieces = new RowPieces(onPiece);
    this.#images = new RowImages(wanted.images, onImage);
  }

  async run(): Promise<RowsResult> {
    const { rows, sha256 } = await openSource(this.#wanted.source);
    for await (const row of this.#withColumns(rows)) {
      if (row.number > MAX_ROWS)
        throw new UnreadableRowsError({
          row: row.number,
          code: 'TOO_LARGE',
          message: 'there are too many rows',
          expected: `at most ${MAX_ROWS}`,
        });
      this.#add(row);
      if (this.problems.length >= MAX_PROBLEMS) return { problems: this.problems };
    }
    this.#checkAll();
    if (this.problems.length > 0) return { problems: this.problems };
    this.#pieces.flush();
    const { rowCount, totalBytes } = this.#pieces;
    const { stored: images, storedBytes } = this.#images;
    const bytes = totalBytes + storedBytes;
    const columns = this.#columns.map(({ column }) => column);
    const preview = `[${this.#preview.join()}]`;
    const digests = { sha256: await sha256(), rowsSha256: this.#pieces.sha256() };
    return { rows: { ...digests, rowCount, bytes, images, columns, preview } };
  }

  /** The rows, once the columns are known: the first ones wait for it. */
  async *#withColumns({ columns, isText, rows }: RawRows): AsyncGenerator<RawRow> {
    const { columns: stated, target, task } = this.#wanted;
    const sample: RawRow[] = [];
    const settle = () => {
      const kind = targetKindOf(task);
      this.#setColumns(stated ?? inferColumns({ rows: sample, columns, isText }, target, kind), isText);
      checkTarget(
        this.#columns.map(({ column }) => column),
        target,
        kind,
      );
      if (stated && columns) this.#checkHeader(columns);
    };
    let [isSettled, characters] = [false, 0];
    for await (const row of rows) {
      if (isSettled) {
        yield row;
        continue;
      }
      sample.push(row);
      characters += charactersOf(row);
      if (stated === null && sample.length < SAMPLE_ROWS && characters < SAMPLE_CHARACTERS) continue;
      settle();
      isSettled = true;
      yield* sample;
    }
    if (sample.length === 0)
      throw new UnreadableRowsError({ code: 'EMPTY', message: 'there are no rows', expected: 'at least 1 row' });
    if (isSettled) return;
    settle();
    yield* sample;
  }

  #setColumns(columns: readonly DatasetColumn[], isText: boolean): void {
    if (columns.length === 0)
      throw new UnreadableRowsError({
        code: 'MISSING',
        message: 'there are no columns',
        expected: 'at least 1 column',
      });
    const wrong = columns.find(({ name }) => name === '' || name.length > MAX_NAME_CHARACTERS);
    if (columns.length > MAX_COLUMNS || wrong)
      throw new UnreadableRowsError({
        code: 'TOO_LARGE',
        message: wrong ? 'the name of a column is not accepted' : 'there are too many columns',
        expected: wrong ? `1 to ${MAX_NAME_CHARACTERS} characters` : `at most ${MAX_COLUMNS}`,
      });
    const isInferred = this.#wanted.columns === null;
    this.#columns = columns.map((column) => new ColumnValues(column, this.#images, { isText, isInferred }));
    this.#keys = columns.map(({ name }, i) => `${i === 0 ? '{' : ','}${JSON.stringify(name)}:`);
    this.#names = new Set(columns.map(({ name }) => name));
  }

  /** A column that is missing would be missing in every row. */
  #checkHeader(found: readonly string[]): void {
    const missing = this.#columns.filter(({ column, name }) => column.required && !found.includes(name));
    for (const { name } of missing.slice(0, MAX_PROBLEMS))
      this.problems.push(problemAt({ column: name }, 'MISSING', 'the data has no such column', found.join(', ')));
    const unknown = found.filter((name) => !this.#names.has(name));
    for (const name of unknown.slice(0, MAX_PROBLEMS - this.problems.length))
      this.problems.push(problemAt({ column: name }, 'UNKNOWN_NAME', 'the column is not among the stated ones', name));
    if (this.problems.length === 0) return;
    const last = this.problems.pop() as RowProblem;
    throw new UnreadableRowsError(last);
  }

  #add(row: RawRow): void {
    const line = this.#lineOf(row);
    if (line === null) return;
    if (line.length > MAX_ROW_BYTES || this.#pieces.totalBytes + line.length > MAX_DATASET_BYTES) {
      const expected =
        line.length > MAX_ROW_BYTES
          ? `at most ${MAX_ROW_BYTES} bytes`
          : `at most ${MAX_DATASET_BYTES} bytes in all rows`;
      throw new UnreadableRowsError({ ...placeOf(row), code: 'TOO_LARGE', message: 'the row is too large', expected });
    }
    const { isStrict, allowsDuplicates } = this.#wanted;
    const same = isStrict && !allowsDuplicates ? this.#digests.add(line, row.number) : null;
    if (same !== null) {
      const message = `the row is the same as row ${same}`;
      this.problems.push(
        problemAt(placeOf(row), 'WRONG_KIND', message, null, 'rows that differ, or allowDuplicates: true'),
      );
    }
    if (this.problems.length > 0) return;
    this.#previewCharacters += line.length;
    if (this.#preview.length < PREVIEW_ROWS && this.#previewCharacters <= PREVIEW_CHARACTERS) this.#preview.push(line);
    this.#pieces.add(line);
  }

  /** Null if a value is wrong. */
  #lineOf(row: RawRow): string | null {
    const before = this.problems.length;
    let line = '';
    for (const [i, column] of this.#columns.entries()) {
      const { name } = column;
      const given = Object.hasOwn(row.values, name) ? row.values[name] : undefined;
      const read = column.read(given, name === this.#wanted.target);
      if ('problem' in read) this.#addProblem({ ...placeOf(row), column: name, ...read.problem });
      else line += this.#keys[i] + JSON.stringify(read.value);
    }
    if (Object.keys(row.values).length > this.#columns.length || this.problems.length > before)
      for (const name of Object.keys(row.values))
        if (!this.#names.has(name))
          this.#addProblem(
            problemAt({ ...placeOf(row), column: name }, 'UNKNOWN_NAME', 'there is no such column', name),
          );
    return this.problems.length > before ? null : `${line || '{'}}`;
  }

  #addProblem(problem: RowProblem): void {
    if (this.problems.length < MAX_PROBLEMS) this.problems.push(problem);
  }

  /** What only all rows together show. */
  #checkAll(): void {
    const target = this.#columns.find(({ name }) => name === this.#wanted.target);
    if (!this.#wanted.isStrict || target?.labels !== 1 || this.problems.length > 0) return;
    const message = 'all rows have the same label, from which nothing can be measured';
    this.problems.push(problemAt({ column: target.name }, 'WRONG_KIND', message, '1 label', 'at least 2 labels'));
  }
}

function charactersOf({ values }: RawRow): number {
  let characters = 0;
  for (const value of Object.values(values)) if (typeof value === 'string') characters += value.length;
  return characters;
}

function placeOf({ number, line }: RawRow): { row: number; line: number | null } {
  return { row: number, line };
}

function problemAt(
  place: Partial<Pick<RowProblem, 'row' | 'line' | 'column'>>,
  code: RowProblem['code'],
  message: string,
  received: string | null,
  expected: string | null = null,
): RowProblem {
  return { row: null, line: null, column: null, ...place, code, message, expected, received };
}
