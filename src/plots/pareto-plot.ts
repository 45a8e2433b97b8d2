/** A metric of versions against what they cost, as a Vega specification. Those that are Pareto-optimal are marked and named. */
import type { Mark, Scale, Spec } from 'vega';
import { rounded } from './attribution-plot.js';
import type { Colors } from './colors.js';
import { shortened } from './labels.js';
import { axisOf, FONT_PX, PLOT_WIDTH, titleOf } from './plot-frame.js';

export interface Point {
  /** In the unit of the axis. */
  readonly x: number;
  readonly y: number;
}

export interface ParetoDrawing {
  readonly kind: 'PARETO';
  /** Title of the metric. */
  readonly metric: string;
  readonly higherIsBetter: boolean;
  readonly against: CostName;
  /** The best first, at most `MAX_OPTIMAL`. */
  readonly optimal: readonly (Point & { readonly name: string })[];
  readonly others: readonly Point[];
  /** Versions that are not drawn: they are too many, or something was not measured. */
  readonly omitted: number;
}

export type CostName = 'LATENCY' | 'MEMORY' | 'SIZE';

export const AGAINST: Readonly<Record<CostName, { readonly name: string; readonly unit: string }>> = {
  LATENCY: { name: 'median latency', unit: 'ms' },
  MEMORY: { name: 'memory', unit: 'MB' },
  SIZE: { name: 'size of the file', unit: 'MB' },
};

/** More could not be told apart. */
export const MAX_OPTIMAL = 8;
const LEFT = 64;
const TOP = 44;
const WIDTH = PLOT_WIDTH - LEFT - 20;
const HEIGHT = 230;
/** Three digits, without zeros at the end. */
const FORMAT = ',.3~r';
const LEGEND_TOP = HEIGHT + 52;
const LEGEND_ROW = 20;
const NAME_PX = 180;
const METRIC_PX = 190;
/** Areas of the circles. */
const AREA = { optimal: 230, other: 60 };
/** From this ratio on, distances on an axis are those of logarithms. */
const LOG_RATIO = 20;

export function paretoPlot(drawing: ParetoDrawing, colors: Colors): Spec {
  const { metric, higherIsBetter, against, optimal, others, omitted } = drawing;
  const { name, unit } = AGAINST[against];
  const points = [...optimal, ...others];
  const notes = [
    ...(others.length > 0 ? [`○ ${others.length} others`] : []),
    ...(omitted > 0 ? [`${omitted} are not drawn`] : []),
  ];
  const title = `${shortened(metric, METRIC_PX, FONT_PX + 1)} against ${name}`;
  const x = xScale(points.map((point) => point.x));
  return {
    width: WIDTH,
    height: HEIGHT,
    padding: {
      left: LEFT,
      top: TOP,
      right: PLOT_WIDTH - LEFT - WIDTH,
      bottom: LEGEND_TOP - HEIGHT + (optimal.length + notes.length) * LEGEND_ROW - 4,
    },
    autosize: 'none',
    background: colors.background,
    title: titleOf(title, 'With a number: no other version is better in all respects', colors, LEFT),
    scales: [x, yScale(points.map(({ y }) => y))],
    axes: [
      {
        ...axisOf('bottom', `${name[0]?.toUpperCase()}${name.slice(1)} (${unit})`, FORMAT, colors),
        labelOverlap: true,
        ...(x.type === 'log' && { values: logTicks(x) }),
      },
      {
        ...axisOf('left', higherIsBetter ? 'higher is better' : 'lower is better', FORMAT, colors),
        labelOverlap: true,
      },
    ],
    data: [
      { name: 'others', values: [...others] },
      // The best one above the others.
      { name: 'optimal', values: optimal.map(({ x, y }, i) => ({ x, y, number: i + 1 })).reverse() },
    ],
    marks: [
      ...pointMarks(colors),
      ...optimal.map((point, i) => {
        const label = `${i + 1} · ${shortened(point.name, NAME_PX, FONT_PX)} · ${placeText(point, against)}`;
        return legendText(label, i, colors.text);
      }),
      ...notes.map((note, i) => legendText(note, optimal.length + i, colors.muted)),
    ],
  };
}

/** "0.984, 0.21 ms". */
export function placeText({ x, y }: Point, against: CostName): string {
  return `${rounded(y)}, ${rounded(x)} ${AGAINST[against].unit}`;
}

function xScale(values: readonly number[]): Scale {
  const [least, most] = [Math.min(...values), Math.max(...values)];
  const range = [0, WIDTH];
  if (least > 0 && most / least >= LOG_RATIO)
    return { name: 'x', type: 'log', domain: [least / 1.5, most * 1.5], range };
  return { name: 'x', type: 'linear', domain: [0, most * 1.1 || 1], range };
}

/** Of an axis of logarithms: powers of ten, and twice and five times these if there are few. */
function logTicks({ domain }: Scale): number[] {
  const [least, most] = domain as [number, number];
  const factors = most / least < 200 ? [1, 2, 5] : [1];
  const first = Math.floor(Math.log10(least));
  const powers = Array.from({ length: Math.ceil(Math.log10(most)) - first + 1 }, (_, i) => first + i);
  const ticks = powers.flatMap((power) => factors.map((factor) => Number(`${factor}e${power}`)));
  return ticks.filter((tick) => tick >= least && tick <= most);
}

/** Metrics of good versions are close to each other, so the axis does not begin at 0. */
function yScale(values: readonly number[]): Scale {
  const [least, most] = [Math.min(...values), Math.max(...values)];
  const margin = (most - least) * 0.12 || Math.abs(most) * 0.1 || 1;
  return { name: 'y', type: 'linear', domain: [least - margin, most + margin], zero: false, range: [HEIGHT, 0] };
}

function pointMarks(colors: Colors): Mark[] {
  const place = { x: { scale: 'x', field: 'x' }, y: { scale: 'y', field: 'y' } };
  const stroke = { value: colors.background };
  return [
    {
      type: 'symbol',
      from: { data: 'others' },
      encode: {
        enter: {
          ...place,
          size: { value: AREA.other },
          fill: { value: 'transparent' },
          stroke: { value: colors.muted },
          strokeWidth: { value: 1.5 },
        },
      },
    },
    {
      type: 'symbol',
      from: { data: 'optimal' },
      encode: {
        enter: { ...place, size: { value: AREA.optimal }, fill: { value: colors.series[0] as string }, stroke },
      },
    },
    {
      type: 'text',
      from: { data: 'optimal' },
      encode: {
        enter: {
          ...place,
          text: { field: 'number' },
          align: { value: 'center' },
          baseline: { value: 'middle' },
          fontSize: { value: FONT_PX - 1 },
          fill: { value: colors.background },
        },
      },
    },
  ];
}

function legendText(text: string, row: number, color: string): Mark {
  return {
    type: 'text',
    encode: {
      enter: {
        x: { value: 8 - LEFT },
        y: { value: LEGEND_TOP + row * LEGEND_ROW },
        text: { value: text },
        fill: { value: color },
        fontSize: { value: FONT_PX },
        baseline: { value: 'middle' },
      },
    },
  };
}
