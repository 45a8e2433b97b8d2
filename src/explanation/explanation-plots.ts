/** What the plot of an explanation shows. */
import { columnText } from '../plots/attribution-plot.js';
import { MAX_BARS } from '../plots/bar-plot.js';
import type { SealedDrawing } from '../plots/drawing.js';
import type { Explanation } from './explanation.type.js';

/** Names that are longer are shortened, so that URLs have at most about 5,000 characters. */
const MAX_NAME = 60;

export function drawingOf({ label: whole, score, base, heatMap, features, spans }: Explanation): SealedDrawing {
  const label = whole === null ? null : whole.slice(0, MAX_NAME);
  if (heatMap) {
    const { columns, rows, values } = heatMap;
    const limit = Math.max(...values.map(Math.abs));
    const percents = values.map((value) => Math.round((100 * value) / (limit || 1)));
    return { kind: 'HEAT_MAP', columns, rows, aspect: rows / columns, percents, limit, label };
  }
  const all = [
    ...(features ?? []).map(({ title, value, attribution }) => ({
      name: columnText(title, value),
      attribution,
    })),
    ...(spans ?? []).map(({ text, attribution }) => ({ name: text.slice(0, MAX_NAME), attribution })),
  ];
  const bars = all.sort((a, b) => Math.abs(b.attribution) - Math.abs(a.attribution)).slice(0, MAX_BARS);
  return { kind: 'ATTRIBUTIONS', bars, omitted: all.length - bars.length, score, base, label };
}
