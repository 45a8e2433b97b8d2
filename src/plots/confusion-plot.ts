/** A confusion matrix as a Vega specification: a row for each true class, colored by its shares of predictions. */
import type { Mark, Spec } from 'vega';
import { type Colors, inkOn, mixed } from './colors.js';
import { countText, shortened, widthOf } from './labels.js';
import { FONT_PX, PLOT_WIDTH, titleOf } from './plot-frame.js';

/** Cells that are not 0: [true class, predicted class, rows], classes as indices of `labels`. */
export interface ConfusionCells {
  readonly labels: readonly string[];
  readonly cells: readonly (readonly number[])[];
}

/** More classes are drawn together as one: those with the fewest rows. */
export const MAX_CLASSES = 20;
const MAX_LABEL_PX = 96;
const TOP = 40;
const RIGHT = 12;
const TITLE_PX = 22;
/** Of the color of cells with all rows of a class, in cells with one: to be seen beside cells without any. */
const LEAST_COLOR = 0.12;
/** Cells that are smaller have no numbers. */
const MIN_CELL_PX = 26;

const CENTERED = {
  align: { value: 'center' },
  baseline: { value: 'middle' },
  fontSize: { value: FONT_PX },
} as const;

/** At most `MAX_CLASSES` classes, in their order: of many, those that occur, and of many of these, those that occur most. */
export function drawnClasses({ labels, cells }: ConfusionCells): ConfusionCells {
  if (labels.length <= MAX_CLASSES) return { labels, cells };
  const counts = new Float64Array(labels.length);
  for (const [truth = 0, predicted = 0, count = 0] of cells)
    for (const i of [truth, predicted]) counts[i] = (counts[i] as number) + count;
  const occurring = labels.map((_, i) => i).filter((i) => (counts[i] as number) > 0);
  const byCount = occurring.toSorted((a, b) => (counts[b] as number) - (counts[a] as number) || a - b);
  const kept = byCount.length <= MAX_CLASSES ? occurring : byCount.slice(0, MAX_CLASSES - 1).sort((a, b) => a - b);
  const others = occurring.length - kept.length;
  const placeOf = new Map(kept.map((label, place) => [label, place]));
  const merged = new Map<number, number>();
  for (const [truth = 0, predicted = 0, count = 0] of cells) {
    const cell = (placeOf.get(truth) ?? kept.length) * MAX_CLASSES + (placeOf.get(predicted) ?? kept.length);
    merged.set(cell, (merged.get(cell) ?? 0) + count);
  }
  return {
    labels: [...kept.map((i) => labels[i] as string), ...(others > 0 ? [`${others} others`] : [])],
    cells: [...merged].map(([cell, count]) => [Math.floor(cell / MAX_CLASSES), cell % MAX_CLASSES, count]),
  };
}

/** Sizes in pixels. */
interface Frame {
  readonly names: readonly string[];
  readonly left: number;
  /** Of the matrix, and of one of its cells. */
  readonly size: number;
  readonly cell: number;
  /** Whether the names below are too long to stand side by side. */
  readonly isUpright: boolean;
  /** Height of the names below. */
  readonly below: number;
}

export function confusionPlot(all: ConfusionCells, colors: Colors): Spec {
  const { labels, cells } = drawnClasses(all);
  const frame = frameOf(labels);
  const { names, left, size, cell, below } = frame;
  return {
    width: size,
    height: size,
    padding: { left, top: TOP, right: RIGHT, bottom: below + TITLE_PX },
    autosize: 'none',
    background: colors.background,
    title: titleOf('Confusion matrix', 'Rows of the dataset. Color: share of the true class', colors, left),
    data: [
      { name: 'cells', values: drawnCells(cells, { names, cell }, colors) },
      { name: 'names', values: names.map((name, i) => ({ name, at: (i + 0.5) * cell })) },
    ],
    marks: [...cellMarks(frame, colors), ...nameMarks(frame, colors), ...axisTitles(frame, colors)],
  };
}

function frameOf(labels: readonly string[]): Frame {
  const names = labels.map((label) => shortened(label, MAX_LABEL_PX, FONT_PX));
  const widest = Math.max(...names.map((name) => widthOf(name, FONT_PX)));
  const left = widest + TITLE_PX + 8;
  const size = PLOT_WIDTH - left - RIGHT;
  const cell = size / labels.length;
  const isUpright = widest > cell - 4;
  return { names, left, size, cell, isUpright, below: (isUpright ? widest : FONT_PX) + 8 };
}

function drawnCells(
  cells: ConfusionCells['cells'],
  { names, cell }: Pick<Frame, 'names' | 'cell'>,
  { background, series }: Colors,
) {
  const rowSums = new Float64Array(names.length);
  for (const [truth = 0, , count = 0] of cells) rowSums[truth] = (rowSums[truth] as number) + count;
  return cells.map(([truth = 0, predicted = 0, count = 0]) => {
    const share = count / (rowSums[truth] as number);
    const fill = mixed(background, series[0] as string, LEAST_COLOR + (1 - LEAST_COLOR) * share);
    const text = cell < MIN_CELL_PX ? '' : countText(count);
    return { x: predicted * cell, y: truth * cell, fill, text, ink: inkOn(fill) };
  });
}

function cellMarks({ size, cell }: Frame, colors: Colors): Mark[] {
  const place = { x: { field: 'x' }, y: { field: 'y' } };
  const middle = { x: { field: 'x', offset: cell / 2 }, y: { field: 'y', offset: cell / 2 } };
  const side = { value: cell };
  return [
    {
      type: 'rect',
      from: { data: 'cells' },
      encode: { enter: { ...place, width: side, height: side, fill: { field: 'fill' } } },
    },
    {
      type: 'rect',
      encode: { enter: { width: { value: size }, height: { value: size }, stroke: { value: colors.muted } } },
    },
    {
      type: 'text',
      from: { data: 'cells' },
      encode: { enter: { ...middle, ...CENTERED, text: { field: 'text' }, fill: { field: 'ink' } } },
    },
  ];
}

function nameMarks({ size, isUpright }: Frame, colors: Colors): Mark[] {
  const name = { text: { field: 'name' }, fill: { value: colors.text }, fontSize: { value: FONT_PX } };
  const end = { align: { value: 'right' }, baseline: { value: 'middle' } } as const;
  const under = isUpright ? { ...end, angle: { value: -90 } } : ({ ...CENTERED, baseline: { value: 'top' } } as const);
  const data = { data: 'names' };
  return [
    { type: 'text', from: data, encode: { enter: { ...name, ...end, x: { value: -6 }, y: { field: 'at' } } } },
    { type: 'text', from: data, encode: { enter: { ...name, ...under, x: { field: 'at' }, y: { value: size + 6 } } } },
  ];
}

function axisTitles({ left, size, below }: Frame, colors: Colors): Mark[] {
  const title = { ...CENTERED, baseline: { value: 'top' }, fill: { value: colors.muted } } as const;
  const middle = { value: size / 2 };
  const [predicted, truth] = [{ value: 'Predicted class' }, { value: 'True class' }];
  return [
    { type: 'text', encode: { enter: { ...title, x: middle, y: { value: size + below + 4 }, text: predicted } } },
    {
      type: 'text',
      encode: { enter: { ...title, x: { value: 8 - left }, y: middle, text: truth, angle: { value: -90 } } },
    },
  ];
}
