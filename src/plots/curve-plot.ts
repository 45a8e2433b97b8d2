/** Curves of classes as a Vega specification: ROC, precision and recall, or calibration. */
import type { Data, Mark, Spec } from 'vega';
import { type Colors, DASHES } from './colors.js';
import { shortened } from './labels.js';
import { axisOf, FONT_PX, PLOT_WIDTH, titleOf } from './plot-frame.js';

export type CurveKind = 'ROC' | 'PRECISION_RECALL' | 'CALIBRATION';

export interface DrawnCurve {
  readonly label: string;
  /** From 0 to 1. */
  readonly x: readonly number[];
  readonly y: readonly number[];
  /** Rows at each point; null for curves other than calibration. */
  readonly counts: readonly number[] | null;
  /** What the legend says of the class: see `figureOf`; null if it is undefined. */
  readonly figure: number | null;
}

/**
 * For calibration, the mean distance between predicted probability and share of the class over the bins, by their rows; for
 * others, what was measured.
 */
export function figureOf({ x, y, counts, figure }: Omit<DrawnCurve, 'label'>): number | null {
  if (!counts) return figure;
  const rows = counts.reduce((sum, count) => sum + count, 0);
  return counts.reduce((sum, count, i) => sum + (count / rows) * Math.abs((x[i] as number) - (y[i] as number)), 0);
}

export interface Curves {
  readonly curves: readonly DrawnCurve[];
  /** Classes that are not drawn. */
  readonly omitted: number;
}

/** More could not be told apart. */
export const MAX_CURVES = 8;

interface Wording {
  readonly title: string;
  readonly subtitle: string;
  readonly x: string;
  readonly y: string;
}

const WORDING: Readonly<Record<CurveKind, Wording>> = {
  ROC: {
    title: 'ROC',
    subtitle: 'By class, with the area under the curve',
    x: 'False positive rate',
    y: 'True positive rate',
  },
  PRECISION_RECALL: {
    title: 'Precision and recall',
    subtitle: 'By class, with the average precision',
    x: 'Recall',
    y: 'Precision',
  },
  CALIBRATION: {
    title: 'Calibration',
    subtitle: 'By class, with the mean distance from the dashed line',
    x: 'Mean predicted probability',
    y: 'Share of the class',
  },
};

const LEFT = 56;
const TOP = 44;
const WIDTH = PLOT_WIDTH - LEFT - 16;
const HEIGHT = 250;
const LEGEND_TOP = HEIGHT + 50;
const LEGEND_ROW = 18;
const MAX_POINT_AREA = 140;

export function curvePlot(kind: CurveKind, { curves, omitted }: Curves, colors: Colors): Spec {
  const words = WORDING[kind];
  const rows = curves.length + (omitted > 0 ? 1 : 0);
  return {
    width: WIDTH,
    height: HEIGHT,
    padding: {
      left: LEFT,
      top: TOP,
      right: PLOT_WIDTH - LEFT - WIDTH,
      bottom: LEGEND_TOP - HEIGHT + rows * LEGEND_ROW,
    },
    autosize: 'none',
    background: colors.background,
    title: titleOf(words.title, words.subtitle, colors, LEFT),
    scales: [
      { name: 'x', type: 'linear', domain: [0, 1], range: [0, WIDTH] },
      { name: 'y', type: 'linear', domain: [0, 1], range: [HEIGHT, 0] },
    ],
    axes: [axisOf('bottom', words.x, '.1f', colors), axisOf('left', words.y, '.1f', colors)],
    data: curves.map((curve, i): Data => ({ name: `curve ${i}`, values: pixelsOf(curve) })),
    marks: [
      ...(kind === 'PRECISION_RECALL' ? [] : [diagonal(colors)]),
      ...curves.flatMap((curve, i) => marksOf(kind, curve, i, colors)),
      ...(omitted > 0 ? [legendText(`and ${omitted} more classes`, curves.length, colors.muted)] : []),
    ],
  };
}

/** Tenths of pixels are fine enough; points on the same one are drawn once. */
function pixelsOf({ x, y, counts }: DrawnCurve): { x: number; y: number; area: number }[] {
  const most = Math.max(1, ...(counts ?? []));
  const pixels = x.map((one, i) => ({
    x: rounded(one * WIDTH),
    y: rounded((1 - (y[i] as number)) * HEIGHT),
    area: Math.max(16, Math.round((MAX_POINT_AREA * (counts?.[i] ?? 0)) / most)),
  }));
  return pixels.filter(({ x, y }, i) => i === 0 || x !== pixels[i - 1]?.x || y !== pixels[i - 1]?.y);
}

function rounded(pixels: number): number {
  return Math.round(pixels * 10) / 10;
}

function diagonal(colors: Colors): Mark {
  return {
    type: 'rule',
    encode: {
      enter: {
        x: { value: 0 },
        y: { value: HEIGHT },
        x2: { value: WIDTH },
        y2: { value: 0 },
        stroke: { value: colors.muted },
        strokeDash: { value: [3, 3] },
      },
    },
  };
}

function marksOf(kind: CurveKind, curve: DrawnCurve, i: number, colors: Colors): Mark[] {
  const figure = figureOf(curve);
  const color = { value: colors.series[i % colors.series.length] as string };
  const dash = { value: [...(DASHES[i % DASHES.length] as readonly number[])] };
  const place = { x: { field: 'x' }, y: { field: 'y' } };
  const interpolate = { value: kind === 'PRECISION_RECALL' ? 'step-before' : 'linear' } as const;
  const line = { stroke: color, strokeWidth: { value: 2 }, strokeDash: dash };
  const middle = { value: LEGEND_TOP + i * LEGEND_ROW };
  const name = shortened(curve.label, WIDTH - 100, FONT_PX);
  return [
    { type: 'line', from: { data: `curve ${i}` }, encode: { enter: { ...place, ...line, interpolate } } },
    ...(kind === 'CALIBRATION'
      ? [
          {
            type: 'symbol',
            from: { data: `curve ${i}` },
            encode: { enter: { ...place, size: { field: 'area' }, fill: color } },
          } satisfies Mark,
        ]
      : []),
    { type: 'rule', encode: { enter: { x: { value: 0 }, x2: { value: 28 }, y: middle, y2: middle, ...line } } },
    legendText(`${name}  ${figure?.toFixed(3) ?? '–'}`, i, colors.text),
  ];
}

function legendText(text: string, row: number, color: string): Mark {
  return {
    type: 'text',
    encode: {
      enter: {
        x: { value: 36 },
        y: { value: LEGEND_TOP + row * LEGEND_ROW },
        text: { value: text },
        fill: { value: color },
        fontSize: { value: FONT_PX },
        baseline: { value: 'middle' },
      },
    },
  };
}
