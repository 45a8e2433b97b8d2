const NUMBER = new Intl.NumberFormat('en', { maximumSignificantDigits: 4 });

export const quantity = (value: number, unit?: string | null): string => [NUMBER.format(value), unit].join(' ').trim();

export function measured(metric: { title: string; value: number | null; unit: string | null } | null): string {
  return metric && metric.value !== null ? `${metric.title} ${quantity(metric.value, metric.unit)}` : '';
}

/** Texts of models are Markdown with lines of limited length. A page with a renderer would use that. */
export const plain = (text: string): string => text.replaceAll(/\*\*|`/g, '').replaceAll(/\n(?!\n|[*-] ) */g, ' ');

export const urlOfBase64 = (text: string): string => (text.startsWith('data:') ? text : `data:image/*;base64,${text}`);
