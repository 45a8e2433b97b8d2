/** What the parts of a row or a text do to the score, as bars: the largest ones first. */
import type { Spec } from 'vega';
import { barPlot, LABEL_PX } from './bar-plot.js';
import type { Colors } from './colors.js';
import { shortened, widthOf } from './labels.js';
import { FONT_PX } from './plot-frame.js';

export interface AttributionsDrawing {
  readonly kind: 'ATTRIBUTIONS';
  /** Largest first, and at most `MAX_BARS`. */
  readonly bars: readonly { readonly name: string; readonly attribution: number }[];
  /** Parts that are not drawn. */
  readonly omitted: number;
  readonly score: number;
  /** Where attributions that add up begin; null for those that do not. */
  readonly base: number | null;
  /** Whose score it is; null for a number. */
  readonly label: string | null;
}

/** Of the value of a column. */
const MAX_VALUE_PX = 80;

export function attributionPlot({ bars, omitted, score, base, label }: AttributionsDrawing, colors: Colors): Spec {
  const what = label === null ? 'number' : `score of ${shortened(label, 120, FONT_PX - 1)}`;
  const begin = base === null ? 'Effect of leaving a part out' : `From ${rounded(base)}`;
  return barPlot(
    {
      title: 'Attributions',
      subtitle: `${begin}; ${what}: ${rounded(score)}`,
      bars: bars.map(({ name, attribution: value }) => ({ name, value, spread: 0, text: numberText(value) })),
      omitted,
    },
    colors,
  );
}

/** The name of a bar for a column and its value, of which neither takes all of the place. */
export function columnText(title: string, value: unknown): string {
  const text = typeof value === 'number' ? String(Number(value.toPrecision(6))) : String(value ?? 'missing');
  const shown = ` = ${shortened(text, MAX_VALUE_PX, FONT_PX)}`;
  return `${shortened(title, LABEL_PX - widthOf(shown, FONT_PX), FONT_PX)}${shown}`;
}

/** To three digits. */
export function rounded(value: number): string {
  const isTiny = value !== 0 && Math.abs(value) < 1e-4;
  return (isTiny ? value.toExponential(1) : String(Number(value.toPrecision(3)))).replaceAll('-', '−');
}

/** With its sign, as the bars have two directions. */
export function numberText(value: number): string {
  return value > 0 ? `+${rounded(value)}` : rounded(value);
}
