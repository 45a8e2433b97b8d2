/** What each part of an image does to the score, as a Vega specification. */
import type { Spec } from 'vega';
import { rounded } from './attribution-plot.js';
import { type Colors, mixed } from './colors.js';
import { shortened } from './labels.js';
import { FONT_PX, PLOT_WIDTH, titleOf } from './plot-frame.js';

export interface HeatMapDrawing {
  readonly kind: 'HEAT_MAP';
  readonly columns: number;
  readonly rows: number;
  /** Height of the image by its width. */
  readonly aspect: number;
  /** Row by row from the top left, as hundredths of `limit`: −100 to 100. */
  readonly percents: readonly number[];
  /** The greatest effect, whether up or down. */
  readonly limit: number;
  /** Whose score it is; null for a number. */
  readonly label: string | null;
}

const MARGIN = 12;
const TOP = 44;
const MAX_HEIGHT = 500;

/** Cells that move the score up have the color of the first class, and those that move it down the one of the second. */
export function heatMapPlot({ columns, rows, aspect, percents, limit, label }: HeatMapDrawing, colors: Colors): Spec {
  const width = Math.min(PLOT_WIDTH - 2 * MARGIN, MAX_HEIGHT / aspect);
  const height = width * aspect;
  const left = (PLOT_WIDTH - width) / 2;
  const [up, down] = colors.series as readonly [string, string];
  const cells = percents.map((percent, i) => ({
    x: ((i % columns) * width) / columns,
    y: (Math.floor(i / columns) * height) / rows,
    fill: mixed(colors.background, percent < 0 ? down : up, Math.abs(percent) / 100),
  }));
  const of = label === null ? 'the number' : `the score of ${shortened(label, 110, FONT_PX - 1)}`;
  return {
    width,
    height,
    padding: { left, top: TOP, right: PLOT_WIDTH - left - width, bottom: MARGIN },
    autosize: 'none',
    background: colors.background,
    title: titleOf('Occlusion', `Blue raises ${of}, red lowers it, by up to ${rounded(limit)}`, colors, left),
    data: [{ name: 'cells', values: cells }],
    marks: [
      {
        type: 'rect',
        from: { data: 'cells' },
        encode: {
          enter: {
            x: { field: 'x' },
            y: { field: 'y' },
            width: { value: width / columns },
            height: { value: height / rows },
            fill: { field: 'fill' },
          },
        },
      },
      {
        type: 'rect',
        encode: { enter: { width: { value: width }, height: { value: height }, stroke: { value: colors.muted } } },
      },
    ],
  };
}
