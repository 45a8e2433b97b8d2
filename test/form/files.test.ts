/** The form sends files, and shows text that was read in an image. */
import type { Browser, Page } from 'playwright-core';
import sharp from 'sharp';
import { startTestApp, type TestApp } from '../support/app.js';
import { hasBrowser, openBrowser, openPage } from '../support/browser.js';
import { huggingFaceFolders } from '../support/hugging-face.js';
import { createStore, type TestStore } from '../support/model-store.js';
import { serveForm } from './serve.js';

const inBrowser = hasBrowser ? test : test.skip;

let store: TestStore;
let app: TestApp;
let form: Awaited<ReturnType<typeof serveForm>>;
let browser: Browser;
let page: Page;
beforeAll(async () => {
  store = await createStore();
  for (const name of ['tiny-reader', 'tiny-file-types'])
    await store.write(name, huggingFaceFolders()[name] as Record<string, string>);
  form = await serveForm();
  app = await startTestApp({ modelStore: store.folder, corsOrigins: [form.origin] });
  if (hasBrowser) browser = await openBrowser();
  if (hasBrowser) page = await openPage(browser);
});
afterAll(async () => {
  await browser?.close();
  await app.stop();
  await form.stop();
  await store.remove();
});

async function open(model: string): Promise<void> {
  await page.goto(`${form.origin}/?${new URLSearchParams({ server: app.url, model })}`);
  await page.getByRole('form', { name: 'Input' }).waitFor();
}

/** Clicks the button, waits until the page is idle again, and returns the title of the answer. */
async function answered(): Promise<string | null> {
  await page.getByRole('button', { name: 'Predict' }).click();
  await page.locator('main[aria-busy="false"]').waitFor();
  return page.getByRole('region', { name: 'Answer' }).getByRole('heading').textContent();
}

inBrowser('a file of any type is sent, or the example if none is chosen', async () => {
  await open('tiny-file-types');

  const ofExample = await answered();
  const buffer = Buffer.alloc(100, 0xfe);
  await page.getByLabel('File').setInputFiles({ name: 'a.bin', mimeType: 'application/octet-stream', buffer });

  expect(ofExample).toBe('text');
  expect(await answered()).toBe('binary');
});

inBrowser('an empty file is reported at the file picker', async () => {
  await open('tiny-file-types');

  await page.getByLabel('File').setInputFiles({ name: 'a.bin', mimeType: 'text/plain', buffer: Buffer.alloc(0) });
  await page.getByRole('button', { name: 'Predict' }).click();
  await page.locator('main[aria-busy="false"]').waitFor();

  expect(await page.locator('.problem').textContent()).toContain('the file is empty');
});

inBrowser('the text in an image is shown', async () => {
  const black = await sharp({ create: { width: 16, height: 8, channels: 3, background: 'black' } })
    .png()
    .toBuffer();
  await open('tiny-reader');

  await page.getByLabel('Image').setInputFiles({ name: 'line.png', mimeType: 'image/png', buffer: black });

  expect(await answered()).toBe('a');
});
