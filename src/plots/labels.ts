/** Texts in plots. They come from models and datasets, and may be anything. */

/** Characters that XML 1.0 does not allow, not even escaped, and those that change the direction of the text around them. */
const UNPRINTABLE = /[\p{Cc}\p{Cs}\u200E\u200F\u202A-\u202E\u2066-\u2069\uFFFE\uFFFF]/gu;
/** Characters that are about as wide as high. */
const WIDE = /[\u1100-\u115F\u2E80-\uA4CF\uAC00-\uD7A3\uF900-\uFAFF\uFE30-\uFE6F\uFF00-\uFF60\u{1F000}-\u{3FFFF}MW@%]/u;
/** Of the size of the font: sans-serif fonts have wider and narrower letters, and few texts of wide ones only. */
const WIDTH_OF_LETTER = 0.55;

/** Without what would make the document unreadable; line breaks become spaces. */
function printable(text: string): string {
  return text.replaceAll(/\s+/gu, ' ').replaceAll(UNPRINTABLE, '\uFFFD');
}

/** An estimate in pixels: which font is used is known only where the plot is shown. */
export function widthOf(text: string, fontPx: number): number {
  let width = 0;
  for (const character of text) width += WIDE.test(character) ? fontPx : WIDTH_OF_LETTER * fontPx;
  return Math.ceil(width);
}

/** Printable, and at most as wide as this: the end is left out if it does not fit. */
export function shortened(text: string, maxPx: number, fontPx: number): string {
  // Longer texts do not fit, however narrow their letters are.
  const all = printable(text.slice(0, 4 * maxPx));
  if (widthOf(all, fontPx) <= maxPx) return all;
  let kept = '';
  for (const character of all) {
    if (widthOf(`${kept}${character}…`, fontPx) > maxPx) break;
    kept += character;
  }
  return `${kept.trimEnd()}…`;
}

/** A number of rows in at most four characters below a billion: 999, 1.2k, 12k, 1.2M. */
export function countText(count: number): string {
  const [unit, divisor] = count >= 999_500 ? ['M', 1_000_000] : ['k', 1_000];
  if (count < 1_000) return String(count);
  const scaled = count / divisor;
  return `${scaled < 9.95 ? scaled.toFixed(1) : Math.round(scaled)}${unit}`;
}

export function escapedXml(text: string): string {
  return printable(text).replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
