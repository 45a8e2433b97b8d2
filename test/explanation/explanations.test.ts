/** Explanations of recorded predictions say what moved the score of the answer. */
import sharp from 'sharp';
import { type Data, startTestApp, type TestApp } from '../support/app.js';

const FIELDS = `explanation(maxModelCalls: $calls, budgetMs: $budget, background: $background) {
  problem { code message ... on InvalidInput { problems { path code expected received } } }
  explanation { method label score base additivityError backgroundRows modelCalls background { name }
    features { name title value attribution standardError } spans { text start end attribution } heatMap { columns rows values } } }`;
const VARIABLES = '$calls: Int! = 30000, $budget: Int! = 30000, $background: String';
const PREDICT = `mutation ($input: PredictInput!, ${VARIABLES}) { predict(input: $input) { prediction { id
  output { ... on Classification { label score } ... on Regression { value } } ${FIELDS} } problem { message } } }`;
const READ = `query ($id: ID!, ${VARIABLES}) { prediction(id: $id) { ${FIELDS} } }`;
const SCORE =
  'mutation ($input: PredictManyInput!) { predictMany(input: $input) { columns { values problems { row } } } }';
const IMAGES = '{ dataset(name: "fashion-mnist-test") { rows(first: 2) { nodes { values } } } }';
const ROWS = `query ($name: String!, $after: String) { dataset(name: $name) {
  rows(first: 100, after: $after) { pageInfo { endCursor hasNextPage } nodes { values } } } }`;

let app: TestApp;
beforeAll(async () => {
  app = await startTestApp();
});
afterAll(() => app.stop());

async function predicted(model: string, input: object, options: object = {}): Promise<Data> {
  const { record = true, ...variables } = options as { record?: boolean };
  const { predict } = await app.query(PREDICT, { input: { model, input, record }, ...variables });
  if (predict.problem) throw new Error(predict.problem.message);
  return predict.prediction;
}

async function exampleOf(model: string): Promise<Data> {
  const query = 'query ($name: String!) { model(name: $name) { version { signature { example } } } }';
  return (await app.query(query, { name: model })).model.version.signature.example;
}

async function rowsOf(name: string): Promise<Data[]> {
  const rows: Data[] = [];
  for (let after: string | null = null, isMore = true; isMore; ) {
    const { nodes, pageInfo }: Data = (await app.query(ROWS, { name, after })).dataset.rows;
    rows.push(...nodes.map(({ values }: Data) => values));
    [after, isMore] = [pageInfo.endCursor, pageInfo.hasNextPage];
  }
  return rows;
}

async function numbersOf(rows: readonly Data[]): Promise<number[]> {
  const numbers: number[] = [];
  for (let at = 0; at < rows.length; at += 1_000) {
    const some = rows.slice(at, at + 1_000);
    const columns = Object.fromEntries(
      Object.keys(some[0]).map((name) => [name, some.map((row) => row[name] ?? null)]),
    );
    const { columns: found } = (
      await app.query(SCORE, { input: { model: 'penguin-mass', rows: { columns }, record: false } })
    ).predictMany;
    expect(found.problems).toEqual([]);
    numbers.push(...found.values);
  }
  return numbers;
}

const mean = (numbers: readonly number[]) => numbers.reduce((sum, one) => sum + one, 0) / numbers.length;

/** By their definition: for each feature, its mean gain over all orders in which features can take the values of the row. */
async function shapleyByDefinition(row: Data, background: readonly Data[]): Promise<Record<string, number>> {
  const names = Object.keys(row);
  const sets = Array.from({ length: 2 ** names.length }, (_, set) => set);
  const mixed = (set: number, other: Data) =>
    Object.fromEntries(names.map((name, i) => [name, (set >> i) & 1 ? row[name] : other[name]]));
  const numbers = await numbersOf(sets.flatMap((set) => background.map((other) => mixed(set, other))));
  const values = sets.map((set) => mean(numbers.slice(set * background.length, (set + 1) * background.length)));
  const gains = names.map((): number[] => []);
  const walk = (set: number, path: readonly number[]) => {
    if (path.length === names.length) for (const [at, i] of path.entries()) gains[i]?.push(gainAt(path, at, i));
    else for (const i of names.keys()) if (!((set >> i) & 1)) walk(set | (1 << i), [...path, i]);
  };
  const gainAt = (path: readonly number[], at: number, i: number) => {
    const before = path.slice(0, at).reduce((set, one) => set | (1 << one), 0);
    return (values[before | (1 << i)] as number) - (values[before] as number);
  };
  walk(0, []);
  return Object.fromEntries(names.map((name, i) => [name, mean(gains[i] as number[])]));
}

test('the attributions of a row are its Shapley values against 100 rows of registered data, and add up', async () => {
  const { row } = await exampleOf('penguin-mass');
  const { output, explanation: payload } = await predicted('penguin-mass', { row });
  const { explanation, problem } = payload;

  expect(problem).toBeNull();
  expect(explanation).toMatchObject({
    method: 'EXACT_SHAPLEY',
    label: null,
    background: { name: 'penguin-mass-test' },
  });
  expect(explanation.score).toBeCloseTo(output.value, 2);
  expect(Math.abs(explanation.additivityError)).toBeLessThan(1e-9 * explanation.score);
  expect(explanation.features.map(({ name, value }: Data) => [name, value])).toEqual(Object.entries(row));
  expect(explanation.backgroundRows).toBe(100);
  const rows = await rowsOf('penguin-mass-test');
  const spread = Array.from({ length: 100 }, (_, i) => rows[Math.floor(((i + 0.5) * rows.length) / 100)] as Data);
  const names = Object.keys(row);
  const background = spread.map((one) => Object.fromEntries(names.map((name) => [name, one[name] ?? null])));
  const expected = await shapleyByDefinition(row, background);
  for (const { name, attribution, standardError } of explanation.features) {
    // Grams: the graph rounds to 32 bits, in batches of other sizes.
    expect(attribution).toBeCloseTo(expected[name] as number, 4);
    expect(standardError).toBe(0);
  }
});

test('with more than ten columns, attributions are estimated, add up, and are the same again', async () => {
  const { id, output, explanation } = await predicted('breast-cancer-forest', await exampleOf('breast-cancer-forest'), {
    calls: 10_000,
  });
  const found = explanation.explanation;

  expect(explanation.problem).toBeNull();
  expect(found).toMatchObject({ method: 'KERNEL_SHAP', label: output.label });
  expect(found.score).toBeCloseTo(output.score, 6);
  expect(Math.abs(found.additivityError)).toBeLessThan(1e-9);
  expect(found.modelCalls).toBeLessThanOrEqual(10_000);
  expect(found.features.some(({ standardError }: Data) => standardError > 0)).toBe(true);
  const { prediction } = await app.query(READ, { id, calls: 10_000 });
  expect(prediction.explanation).toEqual(explanation);
});

test('words that make a mail spam raise its score', async () => {
  const text = 'Hello Anna, click here to claim your FREE prize money now!';
  const { output, explanation: payload } = await predicted('spam-filter', { text });
  const { explanation } = payload;

  expect(output.label).toBe('spam');
  expect(explanation).toMatchObject({ method: 'OCCLUSION', label: 'spam', features: null, base: null });
  expect(explanation.score).toBeCloseTo(output.score, 6);
  for (const { text: part, start, end } of explanation.spans) expect(text.slice(start, end)).toBe(part);
  const ofWord = Object.fromEntries(explanation.spans.map(({ text: part, attribution }: Data) => [part, attribution]));
  expect(ofWord['click']).toBeGreaterThan(0);
  expect(ofWord['click']).toBeGreaterThan(ofWord['Anna']);
  const shorter = await predicted('spam-filter', { text: text.replace('click', '') });
  expect(explanation.score - shorter.output.score).toBeCloseTo(ofWord['click'], 6);
});

test('few model calls divide a long text into few parts', async () => {
  const text = 'win free money now. '.repeat(500);
  const { explanation, problem } = (await predicted('spam-filter', { text }, { calls: 11 })).explanation;

  expect(problem).toBeNull();
  expect(explanation.modelCalls).toBeLessThanOrEqual(11);
  expect(explanation.spans.length).toBeGreaterThan(5);
});

/** A copy of an image in which the cells with the highest values of the map, or the lowest, are hidden behind its mean color. */
async function withoutCells(
  image: Buffer,
  { columns, rows, values }: Data,
  choice: 'highest' | 'lowest',
): Promise<string> {
  const { data, info } = await sharp(image)
    .removeAlpha()
    .toColourspace('srgb')
    .raw()
    .toBuffer({ resolveWithObject: true });
  const mean = Math.round(data.reduce((sum, level) => sum + level, 0) / data.length);
  const order = values.map((_: number, cell: number) => cell).sort((a: number, b: number) => values[b] - values[a]);
  const count = Math.round(values.length / 5);
  const hidden = new Set(choice === 'highest' ? order.slice(0, count) : order.slice(-count));
  for (let y = 0; y < info.height; y++)
    for (let x = 0; x < info.width; x++) {
      const cell = Math.floor((y * rows) / info.height) * columns + Math.floor((x * columns) / info.width);
      if (hidden.has(cell)) data.fill(mean, (y * info.width + x) * 3, (y * info.width + x + 1) * 3);
    }
  const { width, height } = info;
  const copy = await sharp(data, { raw: { width, height, channels: 3 } })
    .png()
    .toBuffer();
  return copy.toString('base64');
}

test('an image is explained by hiding its parts: without the warmest cells, the score falls most', async () => {
  const { rows } = (await app.query(IMAGES)).dataset;
  let [withoutWarmest, withoutColdest] = [0, 0];
  for (const { values } of rows.nodes) {
    const base64 = values.image.split(',').at(-1);
    const { output, explanation: payload } = await predicted('fashion-cnn', { image: { base64 } }, { calls: 60 });
    const { explanation, problem } = payload;
    expect(problem).toBeNull();
    expect(explanation).toMatchObject({
      method: 'OCCLUSION',
      base: null,
      features: null,
      spans: null,
      modelCalls: 50,
    });
    expect(explanation.score).toBeCloseTo(output.score, 6);
    expect(explanation.heatMap.values).toHaveLength(36);
    const scoreWithout = async (choice: 'highest' | 'lowest') => {
      const copy = await withoutCells(Buffer.from(base64, 'base64'), explanation.heatMap, choice);
      const answer = (await predicted('fashion-cnn', { image: { base64: copy } }, { calls: 5 })).output;
      return answer.label === output.label ? answer.score : 0;
    };
    withoutWarmest += await scoreWithout('highest');
    withoutColdest += await scoreWithout('lowest');
  }

  expect(withoutWarmest).toBeLessThan(0.5 * withoutColdest);
});

const PLOT = 'explanation(budgetMs: 30000) { explanation { plot { light: url dark: url(theme: DARK) altText } } }';
const PREDICT_WITH_PLOT = `mutation ($input: PredictInput!) { predict(input: $input) { prediction { id ${PLOT} } } }`;

test('attributions and heat maps are read as SVG by sealed URLs, until the prediction is deleted', async () => {
  const get = (url: string, options: RequestInit = {}) => fetch(`${app.url}${url}`, options);
  const texts = [
    /^Attributions to the number \(\d+, from \d+\): /,
    /^Attributions to the score of "spam" /,
    /^Heat map of /,
  ];
  const inputs: [string, object][] = [
    ['penguin-mass', await exampleOf('penguin-mass')],
    ['spam-filter', { text: 'Click here to win free money <b>now</b>' }],
    ['fashion-mlp', await exampleOf('fashion-mlp')],
  ];
  for (const [i, [model, input]] of inputs.entries()) {
    const { prediction } = (await app.query(PREDICT_WITH_PLOT, { input: { model, input } })).predict;
    const { light, dark, altText } = prediction.explanation.explanation.plot;
    const [first, second] = await Promise.all([get(light), get(dark)]);
    const svg = await first.text();

    expect(altText).toMatch(texts[i] as RegExp);
    expect([first.status, second.status, first.headers.get('content-type')]).toEqual([200, 200, 'image/svg+xml']);
    expect(svg).toMatch(/^<svg [^>]*width="400"/);
    expect(await second.text()).not.toBe(svg);
    expect(light.length).toBeLessThan(5_000);
    const headers = { 'if-none-match': first.headers.get('etag') as string };
    expect((await get(light, { headers })).status).toBe(304);
    const at = light.indexOf('data=') + 40;
    const changed = `${light.slice(0, at)}${light[at] === 'A' ? 'B' : 'A'}${light.slice(at + 1)}`;
    for (const url of [changed, light.slice(0, -30), light.replace('light', 'pink'), light.replace(/=.*/, '=')])
      expect([url, (await get(url)).status]).toEqual([url, 404]);
    await app.query('mutation ($ids: [ID!]!) { deletePredictions(ids: $ids) { erasure { deleted } } }', {
      ids: [prediction.id],
    });
    expect((await get(light)).status).toBe(404);
  }
});

test('a version without an evaluation is explained against the test data of its model, and one without these against what it was evaluated on', async () => {
  const { catalogDb } = app.app.databases;
  const input = await exampleOf('penguins');
  const { version } = await app.query('{ version(ref: "penguins") { id evaluation { id } } }');
  const backgroundOf = async () => {
    const { explanation, problem } = (await predicted('penguins', input, { calls: 1_000 })).explanation;
    return explanation?.background.name ?? problem.problems[0].path;
  };
  const testDataIs = (test_dataset: string | null) =>
    catalogDb.updateTable('version').set({ test_dataset }).where('id', '=', version.id).execute();
  const evaluationIs = (job_state: 'FAILED' | 'SUCCEEDED') =>
    catalogDb.updateTable('evaluation').set({ job_state }).where('id', '=', version.evaluation.id).execute();

  await testDataIs(null);
  expect(await backgroundOf()).toBe('penguins-test');
  await evaluationIs('FAILED');
  expect(await backgroundOf()).toEqual(['background']);
  await testDataIs('penguins-test');
  expect(await backgroundOf()).toBe('penguins-test');
  await evaluationIs('SUCCEEDED');
});

test('what cannot be explained is a problem that says why', async () => {
  const { row } = await exampleOf('penguin-mass');
  const problemOf = async (model: string, input: object, options: object = {}) =>
    (await predicted(model, input, options)).explanation.problem;

  const image = await exampleOf('fashion-mlp');
  expect((await problemOf('fashion-mlp', image, { calls: 4 })).problems).toMatchObject([
    { path: ['explanation'], expected: 'a smaller image, or more model calls' },
  ]);
  expect(await problemOf('fashion-mlp', image, { budget: 1 })).toMatchObject({ code: 'DEADLINE_EXCEEDED' });
  expect((await problemOf('penguin-mass', { row }, { record: false })).problems).toMatchObject([
    { path: ['explanation'], expected: 'a recorded prediction' },
  ]);
  expect((await problemOf('penguin-mass', { row }, { background: 'spamassassin-test' })).problems).toMatchObject([
    { path: ['background'], received: 'spamassassin-test' },
  ]);
  expect(await problemOf('penguin-mass', { row }, { background: 'nothing' })).toMatchObject({ code: 'NOT_FOUND' });
  expect(
    (await problemOf('breast-cancer-forest', await exampleOf('breast-cancer-forest'), { calls: 50 })).problems,
  ).toMatchObject([{ path: ['maxModelCalls'], code: 'OUT_OF_RANGE', received: '50' }]);
  expect(await problemOf('penguin-mass', { row }, { budget: 1 })).toMatchObject({ code: 'DEADLINE_EXCEEDED' });
});
