/** What all plots have in common. */
import type { Axis, Title } from 'vega';
import type { Colors } from './colors.js';

/** In pixels, as all sizes of plots. */
export const PLOT_WIDTH = 400;
export const FONT_PX = 12;

/** `left`: of the plot area, so that titles begin at the edge of the plot. */
export function titleOf(text: string, subtitle: string, colors: Colors, left: number): Title {
  return {
    text,
    subtitle,
    anchor: 'start',
    frame: 'group',
    dx: 8 - left,
    offset: 8,
    color: colors.text,
    subtitleColor: colors.muted,
    fontSize: FONT_PX + 1,
    subtitleFontSize: FONT_PX - 1,
  };
}

/** Of the scale x or y. `format`: of its numbers, as d3-format. */
export function axisOf(orient: 'bottom' | 'left', title: string, format: string, colors: Colors): Axis {
  return {
    orient,
    scale: orient === 'bottom' ? 'x' : 'y',
    title,
    grid: true,
    tickCount: 5,
    format,
    gridColor: colors.grid,
    domainColor: colors.muted,
    tickColor: colors.muted,
    labelColor: colors.muted,
    titleColor: colors.text,
    labelFontSize: FONT_PX - 1,
    titleFontSize: FONT_PX,
    titleFontWeight: 'normal',
  };
}
