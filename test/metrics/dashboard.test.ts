/** The dashboard in `ops/grafana/` shows what the server counts: its names are those of a real scrape. */
import { readFileSync } from 'node:fs';
import { startTestApp, type TestApp } from '../support/app.js';
import { truncatedImage } from '../support/images.js';
import { type Family, scrape } from './scrape.js';

interface Panel {
  readonly title: string;
  readonly targets?: readonly { readonly expr: string; readonly legendFormat: string }[];
}

interface Variable {
  readonly name: string;
  readonly query: string | { readonly query: string };
}

const DASHBOARD = JSON.parse(readFileSync('ops/grafana/modelgraph.json', 'utf8')) as {
  readonly panels: readonly Panel[];
  readonly templating: { readonly list: readonly Variable[] };
};
const targets = DASHBOARD.panels.flatMap((panel) => panel.targets ?? []);
const queries = DASHBOARD.templating.list.flatMap(({ query }) => (typeof query === 'string' ? [] : [query.query]));

let server: TestApp;
let families: readonly Family[];

beforeAll(async () => {
  server = await startTestApp();
  // Counters with labels have no series before something is counted.
  const image = { base64: await truncatedImage() };
  await server.query('mutation ($input: PredictInput!) { predict(input: $input) { problem { code } } }', {
    input: { model: 'fashion-cnn', input: { image } },
  });
  ({ families } = await scrape(server.url));
});

afterAll(() => server.stop());

/** Series by name, such as `modelgraph_batch_rows_sum`, with the labels that they have. */
const labelsByName = () =>
  new Map(families.flatMap(({ series }) => series.map(({ name, labels }) => [name, Object.keys(labels)] as const)));
const namesIn = (text: string) => text.match(/\bmodelgraph_[a-z_]+/g) ?? [];

test('every name in the dashboard is in a scrape', () => {
  const known = labelsByName();
  const used = [...targets.map(({ expr }) => expr), ...queries].flatMap(namesIn);

  expect(used.length).toBeGreaterThan(20);
  expect(used.filter((name) => !known.has(name))).toEqual([]);
});

test('every label in the dashboard is one of its metric', () => {
  const known = labelsByName();
  const wrong = targets.flatMap(({ expr, legendFormat }) => {
    const labels = new Set(namesIn(expr).flatMap((name) => known.get(name) ?? []));
    const selected = Array.from(expr.matchAll(/[{,] ?([a-z_]+)=/g), ([, label]) => label as string);
    const grouped = Array.from(expr.matchAll(/by \(([^)]*)\)/g), ([, list = '']) => list.split(', ')).flat();
    const shown = Array.from(legendFormat.matchAll(/\{\{(\w+)\}\}/g), ([, label]) => label as string);
    return [...selected, ...grouped, ...shown]
      .filter((label) => !labels.has(label))
      .map((label) => `${label}: ${expr}`);
  });

  expect(wrong).toEqual([]);
});

test('every metric of the server is in the dashboard', () => {
  const used = targets.flatMap(({ expr }) => namesIn(expr)).map((name) => name.replace(/_(bucket|sum|count)$/, ''));

  expect(families.map(({ name }) => name).filter((name) => !used.includes(name))).toEqual([]);
});
