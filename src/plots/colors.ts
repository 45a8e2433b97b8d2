/** Colors of plots, in a light and a dark theme. All of them have a contrast of at least 4.5 to the background (WCAG 2.2, AA). */

export type Theme = 'light' | 'dark';

export interface Colors {
  readonly background: string;
  readonly text: string;
  readonly muted: string;
  /** Of lines that carry no information. */
  readonly grid: string;
  /** Of classes, in turn. */
  readonly series: readonly string[];
}

export const COLORS: Readonly<Record<Theme, Colors>> = {
  light: {
    background: '#ffffff',
    text: '#1f2328',
    muted: '#59636e',
    grid: '#d1d9e0',
    series: ['#0550ae', '#a40e26', '#116329', '#6639ba', '#953800', '#176b71', '#ae2f7b', '#57606a'],
  },
  dark: {
    background: '#0d1117',
    text: '#e6edf3',
    muted: '#9198a1',
    grid: '#30363d',
    series: ['#79c0ff', '#ff7b72', '#7ee787', '#d2a8ff', '#ffa657', '#56d4dd', '#ff9bce', '#b1bac4'],
  },
};

/** Lengths of dashes and gaps by class, so that lines are told apart without their colors. */
export const DASHES: readonly (readonly number[])[] = [
  [],
  [6, 3],
  [2, 2],
  [8, 3, 2, 3],
  [10, 4],
  [4, 1],
  [1, 3],
  [12, 2],
];

type Rgb = readonly [red: number, green: number, blue: number];

function rgbOf(color: string): Rgb {
  const channel = (at: number) => Number.parseInt(color.slice(at, at + 2), 16);
  return [channel(1), channel(3), channel(5)];
}

/** `share`: of `b`, 0 to 1. */
export function mixed(a: string, b: string, share: number): string {
  const [from, to] = [rgbOf(a), rgbOf(b)];
  return `#${from.map((one, i) => hexOf(one + ((to[i] as number) - one) * share)).join('')}`;
}

function hexOf(channel: number): string {
  return Math.round(channel).toString(16).padStart(2, '0');
}

function luminanceOf(color: string): number {
  const [red, green, blue] = rgbOf(color).map((channel) => {
    const one = channel / 255;
    return one <= 0.04045 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4;
  }) as unknown as Rgb;
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

/** Contrast ratio of two colors as in WCAG: 1 to 21. */
export function contrastOf(a: string, b: string): number {
  const [darker, lighter] = [luminanceOf(a), luminanceOf(b)].sort((one, other) => one - other) as [number, number];
  return (lighter + 0.05) / (darker + 0.05);
}

/** Black or white, whichever has more contrast to the color: at least 4.58. */
export function inkOn(color: string): string {
  return contrastOf('#000000', color) > contrastOf('#ffffff', color) ? '#000000' : '#ffffff';
}
