/** Held-out data through the service: each model is as accurate as its card and the README state. */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import type { Box } from '#src/tasks/answer.js';
import { intersectionOverUnion } from '#src/tasks/boxes.js';
import { type Data, STORE, startTestApp, type TestApp } from '../support/app.js';

const CHUNK = 16;
/** Of images, every eighth is classified, or all with `HELD_OUT=all`. */
const IMAGES_STEP = process.env['HELD_OUT'] === 'all' ? 1 : 8;
const PREDICT_MANY = `mutation ($input: PredictManyInput!) {
  predictMany(input: $input) { results {
    prediction { output { ... on Classification { label } ... on Regression { value unit }
      ... on Detections { items { score box { xmin ymin xmax ymax } } } } } problem { message }
  } }
}`;

const INPUT_OF: Readonly<Record<string, (row: Data) => unknown>> = {
  ROW: (row) => ({ row }),
  TEXT: ({ text }) => ({ text }),
  IMAGE: ({ image }) => ({ image: { base64: image } }),
};

let app: TestApp;
beforeAll(async () => {
  app = await startTestApp({ workers: 2 });
});
afterAll(() => app.stop());

async function rowsOf(dataset: string): Promise<Data[]> {
  const bytes = await promisify(gunzip)(await readFile(path.join(STORE, 'datasets', dataset, 'data.jsonl.gz')));
  const lines = bytes.toString().trim().split('\n');
  return lines.map((line) => JSON.parse(line));
}

async function outputsOf(model: string, rows: Data[], toInput: (row: Data) => unknown): Promise<Data[]> {
  const outputs: Data[] = [];
  for (let i = 0; i < rows.length; i += CHUNK) {
    const chunk = rows.slice(i, i + CHUNK);
    const input = { model, inputs: chunk.map(toInput), record: false, deadlineMs: 60_000 };
    const { predictMany } = await app.query(PREDICT_MANY, { input });
    outputs.push(...predictMany.results.map(({ prediction }: Data) => prediction?.output));
  }
  return outputs;
}

test.each([
  ['breast-cancer-forest', 'breast-cancer-test', 'label'],
  ['fashion-cnn', 'fashion-mnist-test', 'label'],
  ['fashion-mlp', 'fashion-mnist-test', 'label'],
  ['penguins', 'penguins-test', 'species'],
  ['spam-embeddings', 'spamassassin-test', 'label'],
  ['spam-embeddings', 'short-messages-test', 'label'],
  ['spam-filter', 'spamassassin-test', 'label'],
  ['spam-filter', 'short-messages-test', 'label'],
])(
  '%s is as accurate on %s as its card states',
  async (model, dataset, target) => {
    const { version } = await app.query(`{ version(ref: "${model}") {
      signature { inputKind }
      evaluation(dataset: "${dataset}") { origin evaluatedRows dataset { name } metrics(names: ["accuracy"]) { value } }
    } }`);
    const all = await rowsOf(dataset);
    const { inputKind } = version.signature;
    const rows = all.filter((_, i) => inputKind !== 'IMAGE' || i % IMAGES_STEP === 0);

    const toInput = INPUT_OF[inputKind] as (row: Data) => unknown;
    const outputs = await outputsOf(model, rows, ({ [target]: _, ...row }) => toInput(row));
    const right = outputs.filter((output, i) => output?.label === rows[i][target]).length;

    const { origin, evaluatedRows, metrics, dataset: on } = version.evaluation;
    expect({ origin, evaluatedRows, on: on.name }).toEqual({
      origin: 'IMPORTED',
      evaluatedRows: all.length,
      on: dataset,
    });
    const [{ value }] = metrics;
    // Of a share of the rows, within four standard errors.
    const tolerance = rows.length === all.length ? 0.5 : 4 * Math.sqrt(rows.length * value * (1 - value));
    expect(Math.abs(right - value * rows.length)).toBeLessThanOrEqual(tolerance);
    const stated = Math.round(value * all.length);
    expect(await readFile('README.md', 'utf8')).toContain(`${stated.toLocaleString('en')} correct`);
  },
  300_000,
);

test('face-detector has the precision and recall that its card states', async () => {
  const { version } = await app.query(
    '{ version(ref: "face-detector") { evaluation { metrics(names: ["precision", "recall"]) { name value } } } }',
  );
  const rows = await rowsOf('face-photos-test');

  const outputs = await outputsOf('face-detector', rows, ({ image }) => ({ image: { base64: image } }));
  const found = outputs.map(({ items }, i) => matches(items, rows[i].boxes));
  const right = found.reduce((sum, count) => sum + count, 0);
  const answered = outputs.reduce((sum, { items }) => sum + items.length, 0);
  const faces = rows.reduce((sum, { boxes }) => sum + boxes.length, 0);

  const stated = Object.fromEntries(version.evaluation.metrics.map(({ name, value }: Data) => [name, value]));
  expect({ precision: right / answered, recall: right / faces }).toEqual({
    precision: expect.closeTo(stated.precision, 6),
    recall: expect.closeTo(stated.recall, 6),
  });
  expect(await readFile('README.md', 'utf8')).toContain(`| ${right} of ${faces} faces found |`);
});

/** Counts the boxes that match a face: best score first, each face once, with an IoU of at least 0.5. */
function matches(items: readonly Data[], faces: readonly Data[]): number {
  const free = new Set(faces);
  return items.filter(({ box }) => {
    const best = [...free].sort(
      (a, b) => intersectionOverUnion(b as Box, box) - intersectionOverUnion(a as Box, box),
    )[0];
    return best !== undefined && intersectionOverUnion(best as Box, box) >= 0.5 && free.delete(best);
  }).length;
}

test('penguin-mass has the mean absolute error that its card states', async () => {
  const { version } = await app.query(
    '{ version(ref: "penguin-mass") { evaluation { metrics(names: ["mae"]) { value } } } }',
  );
  const rows = await rowsOf('penguin-mass-test');

  const outputs = await outputsOf('penguin-mass', rows, ({ body_mass, ...row }) => ({ row }));
  const off = outputs.reduce((sum, { value }, i) => sum + Math.abs(value - rows[i].body_mass), 0) / rows.length;

  expect(off).toBeCloseTo(version.evaluation.metrics[0].value, 2);
  expect(outputs.every(({ unit }) => unit === 'g')).toBe(true);
  expect(await readFile('README.md', 'utf8')).toContain(`| ${Math.round(off)} g mean error |`);
});
