/** How much a metric depends on each column, as bars: the most important ones first. */
import type { Spec } from 'vega';
import { rounded } from './attribution-plot.js';
import { barPlot } from './bar-plot.js';
import type { Colors } from './colors.js';
import { shortened } from './labels.js';
import { FONT_PX, PLOT_WIDTH } from './plot-frame.js';

export interface ImportanceDrawing {
  readonly kind: 'IMPORTANCE';
  /** Largest first, and at most `MAX_BARS`. */
  readonly bars: readonly { readonly name: string; readonly mean: number; readonly standardDeviation: number }[];
  /** Columns that are not drawn. */
  readonly omitted: number;
  /** Title of the metric. */
  readonly metric: string;
  /** The metric of the rows as they are. */
  readonly baseline: number;
  readonly repeats: number;
}

export function importancePlot({ bars, omitted, metric, baseline, repeats }: ImportanceDrawing, colors: Colors): Spec {
  const name = shortened(metric, PLOT_WIDTH / 3, FONT_PX - 1);
  return barPlot(
    {
      title: 'Permutation importance',
      subtitle: `Loss of ${name} (${rounded(baseline)}); ${repeats} shuffles`,
      bars: bars.map((bar) => ({
        name: bar.name,
        value: bar.mean,
        spread: bar.standardDeviation,
        text: rounded(bar.mean),
      })),
      omitted,
    },
    colors,
  );
}
