/** What all plots have in common. */
import type { Title } from 'vega';
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
