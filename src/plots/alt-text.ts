/** What a plot shows, in English, for those who do not see it. */
import type { ConfusionCells } from './confusion-plot.js';
import { type CurveKind, figureOf } from './curve-plot.js';
import { type Drawing, readCurve } from './drawing.js';
import { shortened } from './labels.js';

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

function named(label: string): string {
  return `"${shortened(label, MAX_LABEL_PX, 10)}"`;
}
