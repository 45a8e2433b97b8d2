/**
 * Occlusion: how much the score changes when a part of a text or of an image is hidden (Zeiler and Fergus, "Visualizing and
 * understanding convolutional networks", 2014). Says where the model looks; unlike Shapley values, effects do not add up.
 *
 * Pure: says which parts to hide, and makes effects of the scores without them.
 */

/** Offsets in UTF-16 code units; `end` is exclusive. */
export interface TextPart {
  readonly start: number;
  readonly end: number;
}

export interface TextEffect extends TextPart {
  /** Score of the whole text minus that of the text without this part. */
  readonly effect: number;
}

/** Texts are divided by Unicode's rules for words; "en" keeps what depends on the language the same on every machine. */
const SEGMENTER = new Intl.Segmenter('en', { granularity: 'word' });

/**
 * Words, and punctuation and symbols between them, in order. If there are more than `maxParts`, neighbours are taken
 * together, as many in each part.
 */
export function textParts(text: string, maxParts: number): TextPart[] {
  const words: TextPart[] = [];
  for (const { segment, index } of SEGMENTER.segment(text))
    if (segment.trim() !== '') words.push({ start: index, end: index + segment.length });
  const together = Math.ceil(words.length / maxParts);
  const parts: TextPart[] = [];
  for (let i = 0; i < words.length; i += together) {
    const last = words[Math.min(i + together, words.length) - 1] as TextPart;
    parts.push({ start: (words[i] as TextPart).start, end: last.end });
  }
  return parts;
}

/** `mask`: what the part is replaced by, such as the mask token of the model, or nothing. */
export function withoutPart(text: string, { start, end }: TextPart, mask: string): string {
  return text.slice(0, start) + mask + text.slice(end);
}

/** `scores`: of the text without each part, in their order. */
export function textEffects(parts: readonly TextPart[], score: number, scores: ArrayLike<number>): TextEffect[] {
  return parts.map((part, i) => ({ ...part, effect: score - (scores[i] as number) }));
}

/** Cells of an image, about square. */
export interface Grid {
  readonly width: number;
  readonly height: number;
  readonly columns: number;
  readonly rows: number;
}

/** A rectangle to hide, in pixels. */
export interface Patch {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

/** Cells along the longer side. More are finer than what models see. */
const MAX_CELLS = 32;
export const LEAST_PATCHES = 4;

/** The finest grid with at most `maxPatches` patches, which are at least `LEAST_PATCHES`. */
export function gridOf({ width, height }: { width: number; height: number }, maxPatches: number): Grid {
  const longer = Math.max(width, height);
  const cells = (side: number, along: number) => Math.max(1, Math.round((side * along) / longer));
  for (let along = Math.min(MAX_CELLS, longer); along > 1; along--) {
    const [columns, rows] = [cells(width, along), cells(height, along)];
    if ((columns + 1) * (rows + 1) <= maxPatches) return { width, height, columns, rows };
  }
  return { width, height, columns: 1, rows: 1 };
}

/** Patches of two by two cells, a cell apart, cut off at the edges: each cell is in four. Left to right, then down. */
export function patchesOf({ width, height, columns, rows }: Grid): Patch[] {
  const border = (cell: number, cells: number, side: number) =>
    Math.round((Math.min(Math.max(cell, 0), cells) * side) / cells);
  const patches: Patch[] = [];
  for (let row = -1; row < rows; row++)
    for (let column = -1; column < columns; column++) {
      const [x, y] = [border(column, columns, width), border(row, rows, height)];
      const [right, bottom] = [border(column + 2, columns, width), border(row + 2, rows, height)];
      patches.push({ x, y, width: right - x, height: bottom - y });
    }
  return patches;
}

/**
 * The effect of each cell, row by row: the mean over its patches of the score of the whole image minus that without the
 * patch. `scores` are in the order of `patchesOf`.
 */
export function heatMap({ columns, rows }: Grid, score: number, scores: ArrayLike<number>): Float64Array {
  return Float64Array.from({ length: columns * rows }, (_, cell) => {
    const [column, row] = [cell % columns, Math.floor(cell / columns)];
    const first = row * (columns + 1) + column;
    let sum = 0;
    for (const patch of [first, first + 1, first + columns + 1, first + columns + 2]) sum += scores[patch] as number;
    return score - sum / 4;
  });
}
