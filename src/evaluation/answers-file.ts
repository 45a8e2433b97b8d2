/**
 * Answers to the rows of a piece, beside what is true, as they are stored: little-endian, first four numbers of 32 bits
 * (format, rows, scores per row, 0), then the numbers of the rows in 32 bits, then truth, predictions and scores in 64 bits. In the
 * second format, lines of text follow the numbers of the rows: the kind of the items, and JSON of each.
 */
import type { Items } from './evaluated-items.js';

export interface Answers {
  /** The row of each answer, from 1. */
  readonly rows: Uint32Array;
  /** A class, as an index of the labels, or a number. */
  readonly truth: Float64Array;
  readonly predicted: Float64Array;
  /** Scores of all classes, row by row; null if the model returns none. */
  readonly scores: Float64Array | null;
  /** Answers that are no class and no number, with what is true; null for others. Then the other arrays are empty. */
  readonly items: Items | null;
}

const FORMAT = 1;
const FORMAT_OF_ITEMS = 2;
const HEADER_BYTES = 16;

export function encodeAnswers({ rows, truth, predicted, scores, items }: Answers): Buffer {
  const width = scores && rows.length > 0 ? scores.length / rows.length : 0;
  const header = Uint32Array.of(items ? FORMAT_OF_ITEMS : FORMAT, rows.length, width, 0);
  const padding = new Uint8Array((rows.length % 2) * 4);
  const text = items && Buffer.from([items.kind, ...items.lines].join('\n'));
  const parts = [
    header,
    rows,
    padding,
    ...(text ? [text] : [truth, predicted]),
    ...(width > 0 && scores ? [scores] : []),
  ];
  return Buffer.concat(
    parts.map(({ buffer, byteOffset, byteLength }) => new Uint8Array(buffer, byteOffset, byteLength)),
  );
}

/** @throws Error if the bytes are no answers */
export function decodeAnswers(bytes: Uint8Array): Answers {
  // Numbers of 64 bits must begin at a multiple of 8 bytes.
  const buffer = Uint8Array.from(bytes).buffer;
  const [format, count = 0, width = 0] = new Uint32Array(buffer.slice(0, HEADER_BYTES));
  const begin = HEADER_BYTES + 4 * (count + (count % 2));
  if (format === FORMAT_OF_ITEMS) return decodeItems(buffer, { count, begin });
  if (format !== FORMAT || buffer.byteLength !== begin + 8 * count * (2 + width))
    throw new Error('these bytes are no answers of an evaluation');
  const numbers = (from: number, length: number) => new Float64Array(buffer, begin + 8 * from, length);
  return {
    rows: new Uint32Array(buffer, HEADER_BYTES, count),
    truth: numbers(0, count),
    predicted: numbers(count, count),
    scores: width === 0 ? null : numbers(2 * count, count * width),
    items: null,
  };
}

function decodeItems(
  buffer: ArrayBuffer,
  { count, begin }: { readonly count: number; readonly begin: number },
): Answers {
  const [kind, ...lines] = Buffer.from(buffer, begin).toString().split('\n');
  if (lines.length !== count) throw new Error('these bytes are no answers of an evaluation');
  return { ...NO_NUMBERS, rows: new Uint32Array(buffer, HEADER_BYTES, count), items: { kind, lines } as Items };
}

export const NO_NUMBERS = { truth: new Float64Array(0), predicted: new Float64Array(0), scores: null } as const;

/** In order. Scores only if all of them have some. */
export function joinedAnswers(pieces: readonly Answers[]): Answers {
  const filled = pieces.filter(({ rows }) => rows.length > 0);
  const count = filled.reduce((sum, { rows }) => sum + rows.length, 0);
  const joined = (partOf: (piece: Answers) => Float64Array) => {
    const all = new Float64Array(filled.reduce((sum, piece) => sum + partOf(piece).length, 0));
    let at = 0;
    for (const piece of filled) {
      all.set(partOf(piece), at);
      at += partOf(piece).length;
    }
    return all;
  };
  const rows = new Uint32Array(count);
  let at = 0;
  for (const piece of filled) {
    rows.set(piece.rows, at);
    at += piece.rows.length;
  }
  const [first] = filled;
  const lines = filled.flatMap(({ items }) => items?.lines ?? []);
  const items = first?.items ? { kind: first.items.kind, lines } : null;
  const hasScores = filled.length > 0 && filled.every(({ scores }) => scores !== null);
  return {
    rows,
    truth: joined(({ truth }) => truth),
    predicted: joined(({ predicted }) => predicted),
    scores: hasScores ? joined(({ scores }) => scores as Float64Array) : null,
    items,
  };
}
