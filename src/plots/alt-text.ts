/** What a plot shows, in English, for those who do not see it. */
import { type AttributionsDrawing, numberText, rounded } from './attribution-plot.js';
import type { ConfusionCells } from './confusion-plot.js';
import { type CurveKind, figureOf } from './curve-plot.js';
import { type Drawing, readCurve } from './drawing.js';
import type { HeatMapDrawing } from './heat-map-plot.js';
import type { ImportanceDrawing } from './importance-plot.js';
import { shortened } from './labels.js';
import { AGAINST, type ParetoDrawing, placeText } from './pareto-plot.js';

/** Of a label, in pixels of a font of the size 10: about 40 characters. */
const MAX_LABEL_PX = 240;

const CURVES: Readonly<Record<CurveKind, { readonly name: string; readonly figure: string }>> = {
  ROC: { name: 'ROC curve', figure: 'Area under the curve' },
  PRECISION_RECALL: { name: 'Precision-recall curve', figure: 'Average precision' },
  CALIBRATION: {
    name: 'Calibration curve',
    figure: 'Mean distance between predicted probability and share of the class',
  },
};

export function altTextOf(drawing: Drawing): string {
  if (drawing.kind === 'CONFUSION_MATRIX') return textOfConfusion(JSON.parse(drawing.json));
  if (drawing.kind === 'HEAT_MAP') return textOfHeatMap(drawing);
  if (drawing.kind === 'ATTRIBUTIONS') return textOfAttributions(drawing);
  if (drawing.kind === 'IMPORTANCE') return textOfImportance(drawing);
  if (drawing.kind === 'PARETO') return textOfPareto(drawing);
  const { name, figure } = CURVES[drawing.kind];
  const classes = drawing.curves.length + drawing.omitted;
  const figures = drawing.curves.map((stored) => {
    const value = figureOf(readCurve(stored));
    return `${named(stored.label)} ${value?.toFixed(3) ?? 'undefined'}`;
  });
  const more = drawing.omitted > 0 ? `; and ${drawing.omitted} more` : '';
  return `${classes === 1 ? `${name} of one class` : `${name}s of ${classes} classes`}. ${figure}: ${figures.join('; ')}${more}.`;
}

function textOfConfusion({ labels, cells }: ConfusionCells): string {
  let [rows, right, most, pair] = [0, 0, 0, ''];
  for (const [truth = 0, predicted = 0, count = 0] of cells) {
    rows += count;
    if (truth === predicted) right += count;
    else if (count > most) {
      most = count;
      pair = `${named(labels[truth] as string)}, predicted as ${named(labels[predicted] as string)}`;
    }
  }
  const confused = most > 0 ? ` Most often confused: ${pair} (${most}).` : '';
  const share = rows > 0 ? ` ${((right * 100) / rows).toFixed(1)}% are predicted right.` : '';
  return `Confusion matrix of ${rows} rows and ${labels.length} classes.${share}${confused}`;
}

function textOfHeatMap({ columns, rows, percents, limit, label }: HeatMapDrawing): string {
  const most = percents.indexOf(Math.max(...percents));
  const place = `row ${Math.floor(most / columns) + 1}, column ${(most % columns) + 1}`;
  const effect = rounded(((percents[most] as number) * limit) / 100);
  const what = label === null ? 'the number' : `the score of ${named(label)}`;
  return `Heat map of ${rows} by ${columns} parts of the image. Hiding the part in ${place} lowers ${what} most, by ${effect}.`;
}

function textOfAttributions({ bars, omitted, score, base, label }: AttributionsDrawing): string {
  const what = label === null ? 'the number' : `the score of ${named(label)}`;
  const begin = base === null ? '' : `, from ${rounded(base)}`;
  const all = bars.map(({ name, attribution }) => `${named(name)} ${numberText(attribution)}`);
  const more = omitted > 0 ? `; and ${omitted} more` : '';
  return `Attributions to ${what} (${rounded(score)}${begin}): ${all.join('; ')}${more}.`;
}

function textOfImportance({ bars, omitted, metric, baseline, repeats }: ImportanceDrawing): string {
  const all = bars.map(
    ({ name, mean, standardDeviation }) => `${named(name)} ${rounded(mean)} ± ${rounded(standardDeviation)}`,
  );
  const more = omitted > 0 ? `; and ${omitted} more` : '';
  const what = `${metric} (${rounded(baseline)})`;
  return `Permutation importance: loss of ${what} when a column is shuffled, mean and deviation of ${repeats}: ${all.join('; ')}${more}.`;
}

function textOfPareto({ metric, against, optimal, others, omitted }: ParetoDrawing): string {
  const all = optimal.map((point) => `${named(point.name)} ${placeText(point, against)}`);
  const more = omitted > 0 ? ` ${omitted} are not drawn.` : '';
  const count = optimal.length + others.length + omitted;
  return `${metric} against ${AGAINST[against].name} of ${count} versions. Pareto-optimal: ${all.join('; ')}.${more}`;
}

function named(label: string): string {
  return `"${shortened(label, MAX_LABEL_PX, 10)}"`;
}
