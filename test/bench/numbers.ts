/** Medians, percentiles and markdown tables. */

export interface Spread {
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
  readonly count: number;
}

export function percentile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN;
}

export function median(values: readonly number[]): number {
  return percentile(values, 0.5);
}

export function spreadOf(values: readonly number[]): Spread {
  const [p50, p99, max] = [0.5, 0.99, 1].map((share) => percentile(values, share)) as [number, number, number];
  return { p50, p99, max, count: values.length };
}

/** A dash for NaN, which JSON turns into null: there was nothing to measure. */
export function ms(value: number | null): string {
  if (value === null || Number.isNaN(value)) return '–';
  return `${value.toFixed(value < 0.1 ? 3 : value < 100 ? 2 : 0)} ms`;
}

export function perSecond(value: number): string {
  return `${Math.round(value).toLocaleString('en')}/s`;
}

export function ratio(value: number): string {
  return `${value.toFixed(2)}×`;
}

export function percent(value: number): string {
  return `${(100 * value).toFixed(value < 0.1 ? 1 : 0)} %`;
}

/** A markdown table; all columns except the first are right-aligned. */
export function table(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const rule = header.map((_, i) => (i === 0 ? '---' : '--:'));
  return [header, rule, ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}
