/** A page that knows only signatures can use every model. It runs in a real browser, on another origin than the API. */
import { cp } from 'node:fs/promises';
import path from 'node:path';
import type { Browser, Locator, Page } from 'playwright-core';
import sharp from 'sharp';
import { type Data, startTestApp, type TestApp } from '../support/app.js';
import { hasBrowser, openBrowser, openPage } from '../support/browser.js';
import { createStore, type TestStore } from '../support/model-store.js';
import { encodeModel, type GraphSpec } from '../support/onnx.js';
import { serveForm } from './serve.js';

const inBrowser = hasBrowser ? test : test.skip;

/** The sum of the values of the last step. */
const LAST_STEP: GraphSpec = {
  inputs: [{ name: 'x', type: 'FP32', shape: ['N', 'T', 2] }],
  outputs: [{ name: 'y', type: 'FP32', shape: ['N'] }],
  nodes: [
    { op: 'Gather', inputs: ['x', 'last'], outputs: ['step'], attributes: [{ name: 'axis', int: 1 }] },
    {
      op: 'ReduceSum',
      inputs: ['step', 'axes'],
      outputs: ['y'],
      attributes: [{ name: 'keepdims', int: 0 }],
    },
  ],
  ints: [
    { name: 'last', shape: [1], data: [-1] },
    { name: 'axes', shape: [2], data: [1, 2] },
  ],
};
const LAST_STEP_YAML =
  'task: tabular-regression\ncolumns: [{ name: a, type: number }, { name: b, type: number }]\noutput: { value: y, unit: cm }';

/** The class of each pixel by its level. */
const HALVES: GraphSpec = {
  inputs: [{ name: 'x', type: 'FP32', shape: ['N', 3, 8, 8] }],
  outputs: [{ name: 'y', type: 'INT64', shape: ['N', 8, 8] }],
  nodes: [
    {
      op: 'ReduceMean',
      inputs: ['x'],
      outputs: ['level'],
      attributes: [
        { name: 'axes', ints: [1] },
        { name: 'keepdims', int: 0 },
      ],
    },
    { op: 'Round', inputs: ['level'], outputs: ['whole'] },
    { op: 'Cast', inputs: ['whole'], outputs: ['y'], attributes: [{ name: 'to', int: 7 }] },
  ],
};
const HALVES_YAML = 'task: image-segmentation\nlabels: [dark, light]\nimage: { resample: nearest }';

let app: TestApp;
let form: Awaited<ReturnType<typeof serveForm>>;
let browser: Browser;
let page: Page;
let complaints: string[];
beforeAll(async () => {
  form = await serveForm();
  app = await startTestApp({ corsOrigins: [form.origin] });
  if (hasBrowser) browser = await openBrowser();
});
afterAll(async () => {
  await browser?.close();
  await app.stop();
  await form.stop();
});
beforeEach(async () => {
  if (!hasBrowser) return;
  complaints = [];
  page = await openPage(browser);
  page.on('pageerror', (error) => complaints.push(String(error)));
});
afterEach(async () => {
  await page?.close();
  expect(complaints).toEqual([]);
});

async function open(model: string): Promise<void> {
  await page.goto(`${form.origin}/?${new URLSearchParams({ server: app.url, model })}`);
  await page.getByRole('form', { name: 'Input' }).waitFor();
}

const button = () => page.getByRole('button', { name: 'Predict' });
const answer = () => page.getByRole('region', { name: 'Answer' });

/** Clicks the button, and waits until the page is idle again. */
async function predict(): Promise<void> {
  await button().click();
  await page.locator('main[aria-busy="false"]').waitFor();
}

/** The messages of all invalid fields, by label. */
async function problems(): Promise<Record<string, string>> {
  const wrong = await page.locator('.field', { has: page.locator('[aria-invalid="true"]') }).all();
  const told = async (field: Locator) =>
    [await field.locator('label').textContent(), await field.locator('.problem').textContent()] as const;
  return Object.fromEntries(await Promise.all(wrong.map(told)));
}

async function lastInput(model: string): Promise<Data> {
  const { predictions } = await app.query(
    'query ($filter: PredictionFilter) { predictions(first: 1, filter: $filter) { nodes { input } } }',
    { filter: { model } },
  );
  return predictions.nodes[0]?.input;
}

async function exampleImage(model: string): Promise<Buffer> {
  const { version } = await app.query('query ($ref: VersionRef!) { version(ref: $ref) { signature { example } } }', {
    ref: model,
  });
  return Buffer.from(version.signature.example.image.base64, 'base64');
}

/** The edges of `inner` relative to `outer`, as fractions of the size of `outer`. */
async function edgesWithin(outer: string, inner: string): Promise<Record<string, number>> {
  const rectangle = (selector: string) =>
    page.locator(selector).evaluate((element) => element.getBoundingClientRect().toJSON());
  const [around, drawn] = [await rectangle(outer), await rectangle(inner)];
  return {
    left: (drawn.left - around.left) / around.width,
    top: (drawn.top - around.top) / around.height,
    right: (drawn.right - around.left) / around.width,
    bottom: (drawn.bottom - around.top) / around.height,
  };
}

inBrowser('a row has a field for each column, and empty fields are not sent', async () => {
  await open('penguins');

  await page.getByLabel('flipper length').fill('195');
  await page.getByLabel('beak length').fill('46.5');
  await page.getByLabel('beak depth').fill('17.9');
  await page.getByLabel('body mass').fill('');
  await page.getByLabel('island').selectOption('dream');
  await page.getByLabel('sex').selectOption('');
  await predict();

  expect(await answer().getByRole('heading').textContent()).toBe('chinstrap');
  expect(await answer().getByRole('listitem').count()).toBe(3);
  expect(await lastInput('penguins')).toEqual({
    row: { beak_length: 46.5, beak_depth: 17.9, flipper_length: 195, island: 'dream' },
  });
});

inBrowser('a text is classified', async () => {
  await open('spam-filter');
  expect(await page.getByLabel('Text').inputValue()).toContain('Congratulations');

  await page
    .getByLabel('Text')
    .fill('Re: patch for the build\nThe tests pass now, thanks. Could you also look at the warning in the parser?');
  await predict();

  expect(await answer().getByRole('heading').textContent()).toBe('ham');
  expect(await answer().getByRole('listitem').first().textContent()).toMatch(/^ham0\.\d{3}$/);
});

inBrowser('a box is drawn around the face in an image file', async () => {
  const face = await exampleImage('face-detector');
  const { width, height } = await sharp(face).metadata();
  // The face is in the lower right quarter after the EXIF rotation is applied.
  const placed = sharp(face).extend({ left: width, top: height, background: 'white' });
  const turned = await sharp(await placed.toBuffer())
    .rotate(270)
    .withMetadata({ orientation: 6 })
    .jpeg()
    .toBuffer();
  await open('face-detector');

  await page.getByLabel('Image').setInputFiles({ name: 'photo.jpg', mimeType: 'image/jpeg', buffer: turned });
  await predict();
  const box = page.locator('.box');
  await box.waitFor();

  expect(await box.allTextContents()).toEqual([expect.stringMatching(/^face 0\.\d{3}$/)]);
  expect(await edgesWithin('figure', '.box')).toEqual({
    left: expect.closeTo(0.66, 1),
    top: expect.closeTo(0.63, 1),
    right: expect.closeTo(0.85, 1),
    bottom: expect.closeTo(0.81, 1),
  });
});

inBrowser(
  'an out-of-range value is reported at its field, and the message disappears once the value is corrected',
  async () => {
    await open('penguins');

    await page.getByLabel('body mass').fill('99999');
    await predict();

    expect(await problems()).toEqual({
      'body mass (g)': expect.stringContaining('expected a number from 1350 to 12600 g'),
    });
    expect(await page.getByLabel('body mass').evaluate((control) => control.matches(':focus'))).toBe(true);
    expect(await answer().textContent()).toBe('');

    await page.getByLabel('body mass').fill('5550');
    await predict();

    expect(await problems()).toEqual({});
    expect(await answer().getByRole('heading').textContent()).toBe('gentoo');
  },
);

inBrowser('each problem of a row is reported at its own field', async () => {
  await open('breast-cancer-forest');

  await page.getByLabel('mean radius').fill('');
  await page.getByLabel('worst area').fill('-1');
  await predict();

  expect(await problems()).toEqual({
    'mean radius (scan length)': expect.stringContaining('required'),
    'worst area (scan length squared)': expect.stringContaining('outside'),
  });
});

inBrowser.each([
  ['cut off', (image: Buffer) => image.subarray(0, image.length / 2), /damaged or truncated/],
  ['not an image', () => Buffer.from('%PDF-1.7'), /not a JPEG, PNG or WebP/],
  ['an empty file', () => Buffer.alloc(0), /image is empty/],
])('a file that is %s is reported at the file picker', async (_what, broken, expected) => {
  const buffer = broken(await exampleImage('face-detector'));
  await open('face-detector');

  await page.getByLabel('Image').setInputFiles({ name: 'photo.jpg', mimeType: 'image/jpeg', buffer });
  await predict();

  expect(await problems()).toEqual({ Image: expect.stringMatching(expected) });
});

inBrowser('every model has a form, and the example it is filled with is answered', async () => {
  const { models } = await app.query('{ models(first: 100) { nodes { name } } }');

  for (const { name } of models.nodes) {
    await open(name);
    await predict();

    expect({ name, alert: await page.getByRole('alert').textContent() }).toEqual({ name, alert: '' });
    expect(await problems()).toEqual({});
    expect(await answer().textContent()).not.toBe('');
  }
});

inBrowser('while a prediction runs, the page shows a status and disables the button', async () => {
  await open('penguins');
  const { promise: isReleased, resolve: release } = Promise.withResolvers<void>();
  await page.route('**/graphql', async (route) => {
    await isReleased;
    await route.continue();
  });

  await button().click();
  const state = await page.getByRole('status').textContent();
  const isDisabled = await button().isDisabled();
  release();
  await answer().getByRole('heading').waitFor();

  expect(state).toBe('Running the model…');
  expect(isDisabled).toBe(true);
  expect(await page.getByRole('status').textContent()).toBe('');
});

inBrowser('an unreachable server is reported, and a click tries again', async () => {
  await open('penguins');

  await page.context().setOffline(true);
  await predict();
  const told = await page.getByRole('alert').textContent();
  await page.context().setOffline(false);
  await page.getByRole('button', { name: 'Try again' }).click();
  await answer().getByRole('heading').waitFor();

  expect(told).toContain('The server cannot be reached.');
  expect(await page.getByRole('alert').textContent()).toBe('');
});

inBrowser('an unknown model is reported', async () => {
  await page.goto(`${form.origin}/?${new URLSearchParams({ server: app.url, model: 'nowhere' })}`);
  await page.getByRole('alert').getByText('The model "nowhere" does not exist').waitFor();

  expect(await page.getByRole('form', { name: 'Input' }).count()).toBe(0);
});

describe('models with other inputs and answers', () => {
  let store: TestStore;
  let others: TestApp;
  beforeAll(async () => {
    store = await createStore();
    for (const name of ['quantiles', 'classes-words'])
      await cp(path.join('test/importing/goldens/several-answers', name), path.join(store.folder, name), {
        recursive: true,
      });
    for (const name of ['ranking', 'prompts-by-name', 'prompts-default'])
      await cp(path.join('test/importing/goldens/texts', name), path.join(store.folder, name), { recursive: true });
    await cp('test/importing/goldens/texts/prompts-by-name', path.join(store.folder, 'prompted-texts'), {
      recursive: true,
      filter: (file) => !file.endsWith('golden.json'),
    });
    await store.write('prompted-texts', { 'model.yaml': 'task: feature-extraction' });
    await store.write('last-step', { 'model.yaml': LAST_STEP_YAML, '1/model.onnx': encodeModel(LAST_STEP) });
    await store.write('halves', { 'model.yaml': HALVES_YAML, '1/model.onnx': encodeModel(HALVES) });
    others = await startTestApp({ corsOrigins: [form.origin], modelStore: store.folder });
  });
  afterAll(async () => {
    await others.stop();
    await store.remove();
  });

  async function openOther(model: string): Promise<void> {
    await page.goto(`${form.origin}/?${new URLSearchParams({ server: others.url, model })}`);
    await page.getByRole('form', { name: 'Input' }).waitFor();
  }

  const named = async () => {
    const [names, values] = [answer().locator('dt'), answer().locator('dd')];
    const texts = [await names.allTextContents(), await values.allTextContents()] as const;
    return texts[0].map((name, i) => [name, texts[1][i]]);
  };

  inBrowser.each([
    ['prompts-by-name', '', {}],
    ['prompts-by-name', 'passage', { sourcePrompt: 'passage' }],
    ['prompts-default', 'query', { sourcePrompt: 'query', sentencesPrompt: 'query' }],
  ])('sentences for %s are compared with the prompt "%s"', async (model, prompt, sentPrompts) => {
    await openOther(model);
    const choice = page.getByLabel('Prompt', { exact: true });
    if (prompt === 'passage') await choice.selectOption(prompt);

    await page.getByLabel('Text').fill('a film');
    await page.getByLabel('Sentences to compare').fill('a movie');
    const sent = page.waitForRequest((request) => request.postDataJSON()?.variables.input !== undefined);
    await predict();

    expect(await choice.inputValue()).toBe(prompt);
    const similarity = { source: 'a film', sentences: ['a movie'], ...sentPrompts };
    expect((await sent).postDataJSON().variables.input.input).toEqual({ similarity });
    expect(await answer().getByRole('meter').count()).toBe(1);
  });

  inBrowser.each([
    ['', { text: 'a film' }],
    ['query', { promptedText: { text: 'a film', prompt: 'query' } }],
  ])('a text is embedded with the prompt "%s"', async (prompt, input) => {
    await openOther('prompted-texts');
    await page.getByLabel('Prompt', { exact: true }).selectOption(prompt);

    await page.getByLabel('Text').fill('a film');
    const sent = page.waitForRequest((request) => request.postDataJSON()?.variables.input !== undefined);
    await predict();

    expect((await sent).postDataJSON().variables.input.input).toEqual(input);
    expect(await answer().getByRole('heading').textContent()).toMatch(/dimensions/);
  });

  inBrowser('a time series is a list of steps, and a problem of a step is reported at the field', async () => {
    await openOther('last-step');

    await page.getByLabel('Time series').fill('[[1, 2], [3, 4.5]]');
    await predict();
    const shown = await answer().getByRole('heading').textContent();
    await page.getByLabel('Time series').fill('[[1, 2], [3]]');
    await predict();

    expect(shown).toBe('7.5 cm');
    expect(await problems()).toEqual({
      'Time series': expect.stringMatching(/^number 2: .*expected a list of 2: a, b$/),
    });
  });

  inBrowser('several numbers are listed with their names and units', async () => {
    await openOther('quantiles');
    await predict();

    const value = expect.stringMatching(/^-?[\d.]+ min$/);
    expect(await named()).toEqual([
      ['p10', value],
      ['p50', value],
      ['p90', value],
    ]);
  });

  inBrowser('several classes are listed with their scores', async () => {
    await openOther('classes-words');
    await predict();

    expect(await named()).toEqual([
      ['answer', expect.stringMatching(/^(no|yes) \(0\.\d{3}\)$/)],
      ['level', expect.stringMatching(/^(high|low|mid) \(0\.\d{3}\)$/)],
      ['color', expect.stringMatching(/^(blue|red) \(0\.\d{3}\)$/)],
    ]);
  });

  inBrowser('documents are listed by their scores, the best first', async () => {
    await openOther('ranking');

    await page.getByLabel('Query').fill('the movie');
    await page.getByLabel('Documents').fill('the movie was good\nbad plot\n\nparis');
    await predict();

    const items = await answer().getByRole('listitem').allTextContents();
    const scores = items.map((text) => Number(text.match(/0\.\d{3}$/)?.[0]));
    expect(items.map((text) => text.replace(/0\.\d{3}$/, '')).sort()).toEqual([
      'bad plot',
      'paris',
      'the movie was good',
    ]);
    expect(scores).toEqual(scores.toSorted((a, b) => b - a));
  });

  inBrowser('the share of each class of an image is listed', async () => {
    const buffer = await sharp({ create: { width: 8, height: 8, channels: 3, background: 'white' } })
      .composite([{ input: { create: { width: 2, height: 8, channels: 3, background: 'black' } }, left: 0, top: 0 }])
      .png()
      .toBuffer();
    await openOther('halves');

    await page.getByLabel('Image').setInputFiles({ name: 'half.png', mimeType: 'image/png', buffer });
    await predict();

    expect(await answer().getByRole('listitem').allTextContents()).toEqual(['dark0.250', 'light0.750']);
  });
});
