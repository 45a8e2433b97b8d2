/** The sample app in a real browser, on another origin than a server with its defaults. */
import { cp, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import type { Browser, Locator, Page } from 'playwright-core';
import sharp from 'sharp';
import { clientFor, readVersions, sender } from '../../schema/write-client.ts';
import { seriousViolations } from '../support/accessibility.js';
import { startTestApp, type TestApp } from '../support/app.js';
import { hasBrowser, openBrowser, openPage } from '../support/browser.js';
import { huggingFaceFolders } from '../support/hugging-face.js';
import { createStore, type TestStore } from '../support/model-store.js';
import { APP, serveComponent, serveSampleApp } from './sample-app-server.js';

const inBrowser = hasBrowser ? test : test.skip;

let store: TestStore;
let dataDir: string;
let api: TestApp;
let app: Awaited<ReturnType<typeof serveSampleApp>>;
let browser: Browser;
let page: Page;
const complaints: string[] = [];
beforeAll(async () => {
  store = await createStore();
  await store.write('tiny-ner', huggingFaceFolders()['tiny-ner'] as Record<string, string>);
  dataDir = await mkdtemp(path.join(os.tmpdir(), 'modelgraph-sample-'));
  await cp(process.env['MODELGRAPH_TEMPLATE'] as string, dataDir, { recursive: true });
  api = await startTestApp({ dataDir, modelStore: store.folder });
  app = await serveSampleApp(api.url);
  if (!hasBrowser) return;
  browser = await openBrowser();
  page = await openPage(browser);
  page.on('pageerror', (error) => complaints.push(String(error)));
});
afterAll(async () => {
  await browser?.close();
  await app.stop();
  await api.stop();
  await Promise.all([store.remove(), rm(dataDir, { recursive: true, force: true })]);
});
afterEach(() => expect(complaints).toEqual([]));

const answer = () => page.getByRole('region', { name: 'Answer' });
const results = () => page.getByRole('region', { name: 'Results' }).getByRole('heading');
const count = () => page.getByRole('status');

async function openModel(name: string): Promise<void> {
  await page.goto(`${app.origin}/?model=${name}`);
  await page.getByRole('form', { name: 'Input' }).waitFor();
}

async function predict(): Promise<void> {
  await page.getByRole('button', { name: 'Predict' }).click();
}

async function auditIn(colorScheme: 'light' | 'dark', width: number): Promise<string[]> {
  await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
  await page.setViewportSize({ width, height: 900 });
  const isTooWide = await page.evaluate('document.documentElement.scrollWidth > innerWidth');
  return [...(isTooWide ? [`${page.url()} is wider than ${width} px`] : []), ...(await seriousViolations(page))];
}

/** The edges of a box as fractions of the image. */
async function edgesOf(box: Locator): Promise<Record<string, number>> {
  const edges = (locator: Locator) => locator.evaluate((element) => element.getBoundingClientRect().toJSON());
  const [around, drawn] = [await edges(page.locator('figure img')), await edges(box)];
  return {
    left: (drawn.left - around.left) / around.width,
    top: (drawn.top - around.top) / around.height,
    right: (drawn.right - around.left) / around.width,
    bottom: (drawn.bottom - around.top) / around.height,
  };
}

test('the app has at most 600 lines', async () => {
  const names = await readdir(`${APP}/src`, { withFileTypes: true });
  const files = names.filter((one) => one.isFile()).map(({ name }) => `${APP}/src/${name}`);
  const texts = await Promise.all([...files, `${APP}/index.html`].map((file) => readFile(file, 'utf8')));
  const lines = texts.flatMap((text) => text.split('\n')).filter((line) => line.trim() !== '');

  expect(lines.length).toBeLessThanOrEqual(600);
});

inBrowser('models are searched, filtered and paged, and the address keeps what is shown', async () => {
  await page.goto(app.origin);
  await page.getByText('9 models').waitFor();
  expect(await results().count()).toBe(6);
  await page.getByRole('button', { name: 'Show more' }).click();
  await results().nth(8).waitFor();
  expect(await page.getByRole('button', { name: 'Show more' }).count()).toBe(0);
  const violations = [...(await auditIn('light', 1_400)), ...(await auditIn('dark', 390))];

  await page.getByLabel('Tabular classification (2)').check();
  await page.getByText('2 models').waitFor();
  await page.getByLabel('Search').fill('penguin');
  await page.getByText('1 model', { exact: true }).waitFor();
  await page.reload();
  await page.getByText('1 model', { exact: true }).waitFor();
  expect(await page.getByLabel('Tabular classification (1)').isChecked()).toBe(true);

  await page.getByLabel('Search').fill('no such words');
  await page.getByText('No models').waitFor();
  await page.getByRole('link', { name: 'Show all models' }).click();
  await page.getByText('9 models').waitFor();
  await results().first().getByRole('link').click();
  await page.getByRole('form', { name: 'Input' }).waitFor();
  await page.goBack();
  await page.getByText('9 models').waitFor();
  expect(await count().textContent()).toBe('9 models');
  expect(violations).toEqual([]);
});

inBrowser(
  'what is wrong with a row is said at its field, and the corrected row is answered and remembered',
  async () => {
    await openModel('penguins');
    const mass = page.getByLabel('Body mass');

    await mass.fill('99999');
    await predict();
    await page.getByText('expected a number from 1350 to 12600 g').waitFor();
    expect(await mass.evaluate((control) => control.matches(':focus'))).toBe(true);
    expect(await mass.getAttribute('aria-invalid')).toBe('true');
    const note = page.locator(`[id="${await mass.getAttribute('aria-describedby')}"]`);
    expect(await note.textContent()).toContain('The value is outside the accepted range');
    const violations = [...(await auditIn('light', 390)), ...(await auditIn('dark', 1_400))];

    await mass.fill('');
    await page.getByLabel('Island').selectOption('biscoe');
    await predict();
    await answer().waitFor();
    expect(await answer().getByRole('heading').textContent()).toBe('gentoo');
    expect(await page.locator('[aria-invalid]').count()).toBe(0);
    await page.getByRole('region', { name: 'History' }).getByText('gentoo').waitFor();
    violations.push(...(await auditIn('light', 1_400)), ...(await auditIn('dark', 390)));
    expect(violations).toEqual([]);
  },
);

inBrowser('a box is drawn around the face in an uploaded photo, which the history shows', async () => {
  const { version } = await api.query('{ version(ref: "face-detector") { signature { example } } }');
  const face = Buffer.from(version.signature.example.image.base64, 'base64');
  const { width, height } = await sharp(face).metadata();
  const buffer = await sharp(face).extend({ left: width, top: height, background: 'white' }).jpeg().toBuffer();
  await openModel('face-detector');

  await page.getByLabel('Image').setInputFiles({ name: 'photo.jpg', mimeType: 'image/jpeg', buffer });
  await predict();
  const box = page.locator('figure rect');
  await box.waitFor();
  await page.locator(`figure svg[viewBox="0 0 ${2 * width} ${2 * height}"]`).waitFor();

  expect(await edgesOf(box)).toEqual({
    left: expect.closeTo(0.66, 1),
    top: expect.closeTo(0.63, 1),
    right: expect.closeTo(0.85, 1),
    bottom: expect.closeTo(0.81, 1),
  });
  const thumbnail = page.getByRole('region', { name: 'History' }).getByRole('img').first();
  await thumbnail.scrollIntoViewIfNeeded();
  await thumbnail.evaluate((image) => (image as unknown as { decode: () => Promise<void> }).decode());

  await page
    .getByLabel('Image')
    .setInputFiles({ name: 'a.pdf', mimeType: 'application/pdf', buffer: Buffer.from('%PDF-1.7') });
  await predict();
  await page.getByText('not a JPEG, PNG or WebP').waitFor();
  expect(await page.getByLabel('Image').getAttribute('aria-invalid')).toBe('true');
});

inBrowser('spans of a text are highlighted', async () => {
  await openModel('tiny-ner');

  await page.getByLabel('Text').fill('New York is big.');
  await predict();
  await answer().waitFor();

  expect(await answer().locator('mark').allTextContents()).toEqual(['New York LOC']);
  expect(await answer().locator('.text').textContent()).toBe('New York LOC is big.');
});

inBrowser('the page of the README runs a model with the client that `npm run client` writes', async () => {
  const [, source = ''] = /```tsx\n(.*?)```/s.exec(await readFile('README.md', 'utf8')) ?? [];
  const client = await clientFor(await readVersions(sender(`${api.url}/graphql`, null), ['spam-filter']));
  const own = await serveComponent({ './App': source.replace('http://127.0.0.1:4000', api.url), './client': client });
  await page.goto(own.origin);
  await page.getByLabel('Text').fill('You have won a FREE prize, click here now!!!');
  await page.getByRole('button').click();
  await page.locator('output').getByText(/^spam/).waitFor();
  await page.getByLabel('Text').fill('');
  await page.getByRole('button').click();
  await page.locator('output').getByText('the text is empty').waitFor();
  await own.stop();
});

inBrowser('a model that does not exist, and a server that does not answer, are told apart', async () => {
  await page.goto(`${app.origin}/?model=pinguins`);
  await page.getByRole('heading', { name: 'There is no model “pinguins”.' }).waitFor();

  await openModel('spam-filter');
  await page.context().setOffline(true);
  await predict();
  await page.getByText('The server cannot be reached').waitFor();
  await page.context().setOffline(false);
  await predict();
  await answer().waitFor();

  expect(await answer().getByRole('heading').textContent()).toBe('spam');
  expect(await page.getByRole('alert').count()).toBe(0);
});
