/** Plots as SVG without scripts, readable on light and dark backgrounds. */

const WIDTH = 720;
const STYLE = `<style>
    text { font: 12px system-ui, sans-serif; fill: #24292f }
    .quiet { fill: #6e7781 } .grid { stroke: #6e7781; stroke-opacity: 0.25 } .range { stroke: #24292f; stroke-width: 1.5 }
    @media (prefers-color-scheme: dark) { text { fill: #e6edf3 } .quiet { fill: #8b949e } .range { stroke: #e6edf3 } }
  </style>`;
/** Distinguishable with the common color deficiencies, on both backgrounds. */
const COLORS = ['#0a7ea4', '#d9730d', '#7d56c2', '#2f9e63'];
const NEUTRAL = '#8c959f';

export interface Bar {
  readonly label: string;
  readonly value: number;
  readonly least: number;
  readonly most: number;
  readonly isOurs: boolean;
}

/** Horizontal bars in groups, with the range of each, and a line at 1. */
export function bars(
  title: string,
  groups: readonly { readonly title: string; readonly bars: readonly Bar[] }[],
): string {
  const [left, row, gap] = [190, 18, 30];
  const right = WIDTH - 130;
  const largest = Math.max(1, ...groups.flatMap((group) => group.bars.map(({ most }) => most)));
  const x = (value: number) => left + ((right - left) * value) / largest;
  const parts: string[] = [];
  let y = 30;
  for (const group of groups) {
    y += gap - row;
    parts.push(text(8, y + 12, group.title, 'font-weight="600"'));
    y += row;
    for (const bar of group.bars) {
      const fill = bar.isOurs ? COLORS[0] : NEUTRAL;
      const middle = y + row / 2;
      parts.push(
        text(left - 8, middle + 4, bar.label, 'text-anchor="end"'),
        `<rect x="${left}" y="${y + 2}" width="${round(x(bar.value) - left)}" height="${row - 4}" fill="${fill}"/>`,
        `<line class="range" x1="${round(x(bar.least))}" x2="${round(x(bar.most))}" y1="${middle}" y2="${middle}"/>`,
        text(x(bar.most) + 8, middle + 4, `${bar.value.toFixed(2)}×`),
      );
      y += row;
    }
  }
  const one = `<line class="grid" x1="${round(x(1))}" x2="${round(x(1))}" y1="30" y2="${y + 4}" stroke-dasharray="3 3"/>`;
  return svg(title, y + 12, [text(8, 18, title, 'font-weight="600"'), one, ...parts]);
}

export interface Curve {
  readonly label: string;
  readonly points: readonly (readonly [x: number, y: number])[];
  readonly isDashed?: boolean;
  /** Curves of the same color belong together. */
  readonly color: number;
}

/** Curves over shares of the capacity, on a logarithmic scale of ms. */
export function curves(title: string, all: readonly Curve[]): string {
  const [left, top, bottom, right] = [64, 36, 320, WIDTH - 200];
  const values = all.flatMap(({ points }) => points.map(([, y]) => y)).filter((value) => value > 0);
  const low = Math.floor(Math.log10(Math.min(...values)));
  const high = Math.max(low + 1, Math.ceil(Math.log10(Math.max(...values))));
  const x = (share: number) => round(left + (right - left) * share);
  const y = (value: number) => round(bottom - ((bottom - top) * (Math.log10(value) - low)) / (high - low));
  const decades = Array.from({ length: high - low + 1 }, (_, i) => 10 ** (low + i));
  const shares = [0.2, 0.4, 0.6, 0.8, 1];
  const grid = [
    ...decades.map((value) => `<line class="grid" x1="${left}" x2="${right}" y1="${y(value)}" y2="${y(value)}"/>`),
    ...decades.map((value) => text(left - 8, y(value) + 4, `${value} ms`, 'text-anchor="end"')),
    ...shares.map((share) => text(x(share), bottom + 18, `${Math.round(100 * share)} %`, 'text-anchor="middle"')),
    text(left, bottom + 36, 'offered, as a share of the capacity', 'class="quiet"'),
  ];
  const drawn = all.flatMap(({ label, points, isDashed, color }, i) => {
    const stroke = `stroke="${COLORS[color % COLORS.length]}" stroke-width="2"${isDashed ? ' stroke-dasharray="5 4"' : ''}`;
    const path = points.map((point) => `${x(point[0])},${y(point[1])}`).join(' ');
    const key = top + 12 + 20 * i;
    return [
      `<polyline points="${path}" fill="none" ${stroke}/>`,
      `<line x1="${right + 16}" x2="${right + 44}" y1="${key}" y2="${key}" ${stroke}/>`,
      text(right + 52, key + 4, label),
    ];
  });
  return svg(title, bottom + 48, [text(8, 18, title, 'font-weight="600"'), ...grid, ...drawn]);
}

/** `title`: what a screen reader says. */
function svg(title: string, height: number, parts: readonly string[]): string {
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height}" viewBox="0 0 ${WIDTH} ${height}" role="img">
  <title>${escaped(title)}</title>
  ${STYLE}
  ${parts.join('\n  ')}
</svg>
`;
}

function escaped(content: string): string {
  return content.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
}

function text(x: number, y: number, content: string, attributes = ''): string {
  return `<text x="${round(x)}" y="${round(y)}"${attributes ? ` ${attributes}` : ''}>${escaped(content)}</text>`;
}

function round(value: number): number {
  return Math.round(10 * value) / 10;
}
