/** Rows of CSV as in RFC 4180: a header, values between commas, and quotes that are doubled inside of quotes. */
import { CsvError, type Info, parse } from 'csv-parse';
import { shortened } from '../errors.js';
import { MAX_COLUMNS, MAX_NAME_CHARACTERS, MAX_ROW_BYTES } from './dataset-limits.js';
import type { RawRow, RawRows } from './raw-rows.js';
import { UnreadableRowsError } from './row-problem.js';

const REPLACEMENT = '\ufffd';
const MAX_SHOWN_CHARACTERS = 100;

interface CsvRecord {
  readonly record: readonly string[];
  readonly info: Pick<Info, 'lines'>;
}

/** @throws UnreadableRowsError if the header cannot be read */
export async function csvRows(chunks: AsyncIterable<Buffer>): Promise<RawRows> {
  const encoding = { isUtf8: true };
  const records = recordsOf(checkedUtf8(chunks, encoding));
  const first = await records.next();
  if (first.done) throw new UnreadableRowsError({ code: 'EMPTY', message: 'there is no header', expected: 'a header' });
  const columns = first.value.record;
  checkHeader(columns);
  return { columns, isText: true, rows: rowsOf(columns, records, encoding) };
}

async function* rowsOf(
  columns: readonly string[],
  records: AsyncGenerator<CsvRecord>,
  encoding: { isUtf8: boolean },
): AsyncGenerator<RawRow> {
  let number = 0;
  for await (const { record, info } of records) {
    const place = { row: ++number, line: info.lines };
    if (record.length !== columns.length)
      throw new UnreadableRowsError({
        ...place,
        code: 'WRONG_SHAPE',
        message: 'the row has another number of values than the header',
        expected: `${columns.length} values`,
        received: `${record.length}: ${shortened(record.join(','), MAX_SHOWN_CHARACTERS)}`,
      });
    if (!encoding.isUtf8) refuseReplaced(columns, record, place);
    const values: Record<string, unknown> = Object.create(null);
    for (let i = 0; i < columns.length; i++) values[columns[i] as string] = record[i];
    yield { number, line: info.lines, values };
  }
}

/** @throws UnreadableRowsError at a row that is no CSV */
async function* recordsOf(chunks: AsyncIterable<Buffer>): AsyncGenerator<CsvRecord> {
  const options = { bom: true, info: true, relax_column_count: true, skip_empty_lines: true };
  const parser = parse({ ...options, max_record_size: MAX_ROW_BYTES });
  const feed = async () => {
    for await (const chunk of chunks) if (!parser.write(chunk)) await new Promise((done) => parser.once('drain', done));
    parser.end();
  };
  const fed = feed().catch((error) => parser.destroy(error));
  try {
    yield* parser as AsyncIterable<CsvRecord>;
    await fed;
  } catch (error) {
    if (!(error instanceof CsvError)) throw error;
    const { lines = null, records = 0 } = error as unknown as { lines?: number; records?: number };
    // The header is a record, too.
    const row = records === 0 ? null : records;
    throw new UnreadableRowsError({ row, line: lines, message: messageOf(error), expected: 'CSV as in RFC 4180' });
  } finally {
    parser.destroy();
  }
}

function messageOf({ code, message }: CsvError): string {
  if (code === 'CSV_QUOTE_NOT_CLOSED') return 'a quote is opened and never closed';
  if (code === 'CSV_MAX_RECORD_SIZE') return `a row has more than ${MAX_ROW_BYTES} characters`;
  if (code === 'CSV_INVALID_CLOSING_QUOTE')
    return 'a quote is closed in the middle of a value; double it inside of quotes';
  if (code === 'INVALID_OPENING_QUOTE')
    return 'a quote is in a value that does not begin with one; put the value in quotes';
  return message;
}

/** Notes when something is not UTF-8. */
async function* checkedUtf8(chunks: AsyncIterable<Buffer>, encoding: { isUtf8: boolean }): AsyncGenerator<Buffer> {
  const decoder = new TextDecoder('utf-8', { fatal: true });
  for await (const chunk of chunks) {
    try {
      if (encoding.isUtf8) decoder.decode(chunk, { stream: true });
    } catch {
      encoding.isUtf8 = false;
    }
    yield chunk;
  }
}

function refuseReplaced(columns: readonly string[], record: readonly string[], place: { row: number; line: number }) {
  const at = record.findIndex((value) => value.includes(REPLACEMENT));
  if (at < 0) return;
  const received = shortened(record[at] as string, MAX_SHOWN_CHARACTERS);
  const message = 'the value is not valid UTF-8';
  throw new UnreadableRowsError({
    ...place,
    column: columns[at] ?? null,
    message,
    expected: 'text in UTF-8',
    received,
  });
}

function checkHeader(columns: readonly string[]): void {
  const fail = (message: string, expected: string, received: string) => {
    throw new UnreadableRowsError({ line: 1, message, expected, received: shortened(received, MAX_SHOWN_CHARACTERS) });
  };
  const [only = ''] = columns;
  if (columns.length === 1 && /[;\t]/.test(only)) fail('the header has one column', 'values between commas', only);
  if (columns.length > MAX_COLUMNS)
    fail('there are too many columns', `at most ${MAX_COLUMNS}`, String(columns.length));
  const wrong = columns.findIndex((name) => name.trim() === '' || name.length > MAX_NAME_CHARACTERS);
  if (wrong >= 0)
    fail(
      `the name of column ${wrong + 1} is not accepted`,
      `1 to ${MAX_NAME_CHARACTERS} characters`,
      columns[wrong] as string,
    );
  const twice = columns.find((name, i) => columns.indexOf(name) < i);
  if (twice !== undefined) fail('two columns have the same name', 'different names', twice);
}
