/** Every kind of plot, as it is sent to the thread that draws it. */
import type { Spec } from 'vega';
import { type AttributionsDrawing, attributionPlot } from './attribution-plot.js';
import { COLORS, type Theme } from './colors.js';
import { type ConfusionCells, confusionPlot } from './confusion-plot.js';
import { type CurveKind, curvePlot, type DrawnCurve } from './curve-plot.js';
import { type HeatMapDrawing, heatMapPlot } from './heat-map-plot.js';
import { type ImportanceDrawing, importancePlot } from './importance-plot.js';
import { type ParetoDrawing, paretoPlot } from './pareto-plot.js';

/** A curve that is read where it is drawn: JSON of x, y and counts. */
export interface StoredCurve {
  readonly label: string;
  readonly json: string;
  readonly figure: number | null;
}

/** What URLs can hold. */
export type SealedDrawing = HeatMapDrawing | AttributionsDrawing | ParetoDrawing;

export type Drawing =
  | SealedDrawing
  | ImportanceDrawing
  | { readonly kind: 'CONFUSION_MATRIX'; readonly json: string }
  | { readonly kind: CurveKind; readonly curves: readonly StoredCurve[]; readonly omitted: number };

export function readCurve({ label, json, figure }: StoredCurve): DrawnCurve {
  return { ...(JSON.parse(json) as Pick<DrawnCurve, 'x' | 'y' | 'counts'>), label, figure };
}

export function specOf(drawing: Drawing, theme: Theme): Spec {
  const colors = COLORS[theme];
  if (drawing.kind === 'CONFUSION_MATRIX')
    return confusionPlot(JSON.parse(drawing.json) satisfies ConfusionCells, colors);
  if (drawing.kind === 'HEAT_MAP') return heatMapPlot(drawing, colors);
  if (drawing.kind === 'ATTRIBUTIONS') return attributionPlot(drawing, colors);
  if (drawing.kind === 'IMPORTANCE') return importancePlot(drawing, colors);
  if (drawing.kind === 'PARETO') return paretoPlot(drawing, colors);
  const { kind, curves, omitted } = drawing;
  return curvePlot(kind, { curves: curves.map(readCurve), omitted }, colors);
}
