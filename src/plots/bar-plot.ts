/** Bars with names on their left and numbers at their ends, as a Vega specification. */
import type { Mark, Spec } from 'vega';
import type { Colors } from './colors.js';
import { shortened } from './labels.js';
import { FONT_PX, PLOT_WIDTH, titleOf } from './plot-frame.js';

export interface Bar {
  readonly name: string;
  readonly value: number;
  /** Of the whisker on both sides of the end of the bar; 0 for none. */
  readonly spread: number;
  readonly text: string;
}

export interface Bars {
  readonly title: string;
  readonly subtitle: string;
  /** In the order from above, at most `MAX_BARS`. */
  readonly bars: readonly Bar[];
  /** Bars that are not drawn. */
  readonly omitted: number;
}

export const MAX_BARS = 12;
const TOP = 44;
/** Of names. */
export const LABEL_PX = 150;
const LEFT = LABEL_PX + 16;
/** On both sides of the bars, for their numbers. */
const NUMBER_PX = 54;
const WIDTH = PLOT_WIDTH - LEFT - 8;
const ROW = 24;

export function barPlot({ title, subtitle, bars, omitted }: Bars, colors: Colors): Spec {
  const height = (bars.length + (omitted > 0 ? 1 : 0)) * ROW;
  const least = Math.min(0, ...bars.map(({ value, spread }) => value - spread));
  const most = Math.max(0, ...bars.map(({ value, spread }) => value + spread));
  const scale = (WIDTH - 2 * NUMBER_PX) / (most - least || 1);
  const zero = NUMBER_PX - least * scale;
  const drawn = bars.map(({ name, value, spread, text }, i) => {
    const isNegative = value < 0;
    const to = zero + value * scale;
    const whisker = spread * scale;
    return {
      name: shortened(name, LABEL_PX, FONT_PX),
      from: zero,
      to,
      low: to - whisker,
      high: to + whisker,
      middle: (i + 0.5) * ROW,
      top: i * ROW + 4,
      fill: colors.series[isNegative ? 1 : 0] as string,
      text,
      align: isNegative ? 'right' : 'left',
      end: isNegative ? to - whisker - 4 : to + whisker + 4,
    };
  });
  return {
    width: WIDTH,
    height,
    padding: { left: LEFT, top: TOP, right: PLOT_WIDTH - LEFT - WIDTH, bottom: 12 },
    autosize: 'none',
    background: colors.background,
    title: titleOf(title, subtitle, colors, LEFT),
    data: [{ name: 'bars', values: drawn }],
    marks: [
      ...barMarks(colors),
      ...(bars.some(({ spread }) => spread > 0) ? [whiskerMark(colors)] : []),
      {
        type: 'rule',
        encode: { enter: { x: { value: zero }, y2: { value: height }, stroke: { value: colors.muted } } },
      },
      ...(omitted > 0 ? [moreMark(omitted, bars.length, colors)] : []),
    ],
  };
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

function whiskerMark(colors: Colors): Mark {
  return {
    type: 'rule',
    from: { data: 'bars' },
    encode: {
      enter: {
        x: { field: 'low' },
        x2: { field: 'high' },
        y: { field: 'middle' },
        stroke: { value: colors.text },
        strokeWidth: { value: 2 },
      },
    },
  };
}
