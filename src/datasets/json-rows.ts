/** Rows of JSON Lines: one object a line. Empty lines are left out. */
import { isUtf8 } from 'node:buffer';
import { shortened } from '../errors.js';
import { MAX_ROW_BYTES, MAX_ROWS } from './dataset-limits.js';
import type { RawRow, RawRows } from './raw-rows.js';
import { UnreadableRowsError } from './row-problem.js';

const NEWLINE = 10;
const BYTE_ORDER_MARK = Buffer.from([0xef, 0xbb, 0xbf]);
const MAX_SHOWN_CHARACTERS = 100;
/** With those that are empty. */
const MAX_LINES = 2 * MAX_ROWS;

export function jsonRows(chunks: AsyncIterable<Buffer>): RawRows {
  return { columns: null, isText: false, rows: rowsOf(chunks) };
}

async function* rowsOf(chunks: AsyncIterable<Buffer>): AsyncGenerator<RawRow> {
  let [number, line] = [0, 0];
  for await (const lines of linesOf(chunks))
    for (const bytes of lines) {
      line++;
      if (line > MAX_LINES)
        throw new UnreadableRowsError({
          line,
          code: 'TOO_LARGE',
          message: 'there are too many lines',
          expected: `at most ${MAX_LINES}`,
        });
      const text = textOf(bytes, { row: number + 1, line });
      if (text.trim() !== '') yield { number: ++number, line, values: objectOf(text, { row: number, line }) };
    }
}

/** The lines that each chunk completes. @throws UnreadableRowsError if one is too long */
async function* linesOf(chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer[]> {
  let begun: Buffer[] = [];
  let begunBytes = 0;
  let line = 0;
  let isFirst = true;
  for await (let chunk of chunks) {
    if (isFirst && chunk.subarray(0, BYTE_ORDER_MARK.length).equals(BYTE_ORDER_MARK))
      chunk = chunk.subarray(BYTE_ORDER_MARK.length);
    isFirst = false;
    const lines: Buffer[] = [];
    let from = 0;
    for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, from)) {
      const rest = chunk.subarray(from, end);
      lines.push(begun.length === 0 ? rest : Buffer.concat([...begun, rest]));
      begun = [];
      begunBytes = 0;
      from = end + 1;
    }
    line += lines.length;
    if (lines.length > 0) yield lines;
    if (from < chunk.length) begun.push(chunk.subarray(from));
    begunBytes += chunk.length - from;
    if (begunBytes > MAX_ROW_BYTES) throw tooLong(line + 1);
  }
  if (begun.length > 0) yield [Buffer.concat(begun)];
}

function tooLong(line: number): UnreadableRowsError {
  const expected = `at most ${MAX_ROW_BYTES} bytes`;
  return new UnreadableRowsError({ code: 'TOO_LARGE', line, message: 'the line is too long', expected });
}

interface Place {
  readonly row: number;
  readonly line: number;
}

function textOf(bytes: Buffer, place: Place): string {
  if (isUtf8(bytes)) return bytes.toString();
  throw new UnreadableRowsError({ ...place, message: 'the line is not valid UTF-8', expected: 'text in UTF-8' });
}

function objectOf(text: string, place: Place): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    const message = `the line is not valid JSON: ${(error as Error).message}`;
    const received = shortened(text, MAX_SHOWN_CHARACTERS);
    throw new UnreadableRowsError({ ...place, message, expected: 'a JSON object on each line', received });
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  const received = shortened(text, MAX_SHOWN_CHARACTERS);
  const message = 'the line is not a JSON object';
  throw new UnreadableRowsError({
    ...place,
    code: 'WRONG_TYPE',
    message,
    expected: 'a JSON object on each line',
    received,
  });
}
