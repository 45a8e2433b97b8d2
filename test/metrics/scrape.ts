/** Reads `/metrics` of a running server. */

export interface Series {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

export interface Family {
  readonly name: string;
  readonly type: string;
  readonly series: readonly Series[];
}

export interface Scrape {
  readonly families: readonly Family[];
  /** The sum of the series with these labels; 0 if there are none. */
  sum(name: string, labels?: Readonly<Record<string, string>>): number;
}

const LINE = /^([a-z_]+)(?:\{(.*)\})? (\S+)$/;
const LABEL = /([a-z_]+)="((?:[^"\\]|\\.)*)"/g;

/** @param url that of the server, such as `http://127.0.0.1:4000` */
export async function scrape(url: string): Promise<Scrape> {
  const response = await fetch(`${url}/metrics`);
  if (!response.ok) throw new Error(`/metrics answered ${response.status}: ${await response.text()}`);
  return parse(await response.text());
}

export function parse(text: string): Scrape {
  const families = text.trim().split('\n\n').map(familyOf);
  const all = families.flatMap(({ series }) => series);
  return {
    families,
    sum: (name, labels = {}) =>
      all
        .filter((one) => one.name === name && Object.entries(labels).every(([key, value]) => one.labels[key] === value))
        .reduce((sum, { value }) => sum + value, 0),
  };
}

function familyOf(text: string): Family {
  const [, type = '', ...lines] = text.split('\n');
  const [, name, kind] = /^# TYPE (\S+) (\S+)$/.exec(type) ?? [];
  if (!name || !kind) throw new Error(`Not a metric: ${text.slice(0, 200)}`);
  return { name, type: kind, series: lines.map(seriesOf) };
}

function seriesOf(line: string): Series {
  const [, name, labels = '', value] = LINE.exec(line) ?? [];
  if (!name) throw new Error(`Not a sample: ${line}`);
  return {
    name,
    labels: Object.fromEntries(Array.from(labels.matchAll(LABEL), ([, key, text]) => [key, text])),
    value: Number(value),
  };
}
