/** What the parts of a row or a text do to the score, as bars in a Vega specification: the largest ones first. */
import type { Mark, Spec } from 'vega';
import type { Colors } from './colors.js';
import { shortened, widthOf } from './labels.js';
import { FONT_PX, PLOT_WIDTH, titleOf } from './plot-frame.js';

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

export const MAX_BARS = 12;
const TOP = 44;
/** Of names. */
const LABEL_PX = 150;
const MAX_VALUE_PX = 80;
const LEFT = LABEL_PX + 16;
/** On both sides of the bars, for their numbers. */
const NUMBER_PX = 54;
const WIDTH = PLOT_WIDTH - LEFT - 8;
const ROW = 24;

export function attributionPlot({ bars, omitted, score, base, label }: AttributionsDrawing, colors: Colors): Spec {
  const height = (bars.length + (omitted > 0 ? 1 : 0)) * ROW;
  const least = Math.min(0, ...bars.map(({ attribution }) => attribution));
  const most = Math.max(0, ...bars.map(({ attribution }) => attribution));
  const scale = (WIDTH - 2 * NUMBER_PX) / (most - least || 1);
  const zero = NUMBER_PX - least * scale;
  const drawn = bars.map(({ name, attribution }, i) => ({
    name: shortened(name, LABEL_PX, FONT_PX),
    from: zero,
    to: zero + attribution * scale,
    middle: (i + 0.5) * ROW,
    top: i * ROW + 4,
    fill: colors.series[attribution < 0 ? 1 : 0] as string,
    text: numberText(attribution),
    align: attribution < 0 ? 'right' : 'left',
    end: zero + attribution * scale + (attribution < 0 ? -4 : 4),
  }));
  const what = label === null ? 'number' : `score of ${shortened(label, 120, FONT_PX - 1)}`;
  const begin = base === null ? 'Effect of leaving a part out' : `From ${rounded(base)}`;
  return {
    width: WIDTH,
    height,
    padding: { left: LEFT, top: TOP, right: PLOT_WIDTH - LEFT - WIDTH, bottom: 12 },
    autosize: 'none',
    background: colors.background,
    title: titleOf('Attributions', `${begin}; ${what}: ${rounded(score)}`, colors, LEFT),
    data: [{ name: 'bars', values: drawn }],
    marks: [
      ...barMarks(colors),
      {
        type: 'rule',
        encode: { enter: { x: { value: zero }, y2: { value: height }, stroke: { value: colors.muted } } },
      },
      ...(omitted > 0 ? [moreMark(omitted, bars.length, colors)] : []),
    ],
  };
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

function barMarks(colors: Colors): Mark[] {
  const text = { y: { field: 'middle' }, baseline: { value: 'middle' }, fontSize: { value: FONT_PX } } as const;
  const data = { data: 'bars' };
  return [
    {
      type: 'rect',
      from: data,
      encode: {
        enter: {
          x: { field: 'from' },
          x2: { field: 'to' },
          y: { field: 'top' },
          height: { value: ROW - 8 },
          fill: { field: 'fill' },
        },
      },
    },
    {
      type: 'text',
      from: data,
      encode: {
        enter: {
          ...text,
          x: { value: -8 },
          align: { value: 'right' },
          text: { field: 'name' },
          fill: { value: colors.text },
        },
      },
    },
    {
      type: 'text',
      from: data,
      encode: {
        enter: {
          ...text,
          x: { field: 'end' },
          align: { field: 'align' },
          text: { field: 'text' },
          fill: { value: colors.text },
        },
      },
    },
  ];
}

function moreMark(omitted: number, row: number, colors: Colors): Mark {
  return {
    type: 'text',
    encode: {
      enter: {
        x: { value: -8 },
        y: { value: (row + 0.5) * ROW },
        align: { value: 'right' },
        baseline: { value: 'middle' },
        fontSize: { value: FONT_PX },
        text: { value: `and ${omitted} more` },
        fill: { value: colors.muted },
      },
    },
  };
}
