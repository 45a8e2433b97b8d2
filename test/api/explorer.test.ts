/** The explorer pages, in a real browser without internet. */
import type { Browser, Page } from 'playwright-core';
import { startTestApp, type TestApp } from '../support/app.js';
import { hasBrowser, openBrowser, openPage } from '../support/browser.js';

const inBrowser = hasBrowser ? test : test.skip;

let app: TestApp;
let browser: Browser;
let page: Page;
let complaints: string[];
beforeAll(async () => {
  app = await startTestApp();
  if (hasBrowser) browser = await openBrowser();
});
afterAll(async () => {
  await browser?.close();
  await app.stop();
});
beforeEach(async () => {
  if (!hasBrowser) return;
  complaints = [];
  page = await openPage(browser);
  page.on('pageerror', (error) => complaints.push(String(error)));
});
afterEach(() => page?.close());

async function run(operation: string): Promise<string> {
  await page.goto(`${app.url}/graphiql`);
  await page.getByRole('tab', { name: operation }).click();
  await page.getByRole('button', { name: /execute query/i }).click();
  const result = page.locator('.result-window', { hasText: '"data"' });
  await result.waitFor();
  return (await result.textContent()) ?? '';
}

inBrowser('the sandbox page redirects to the built-in explorer if the CDN cannot be reached', async () => {
  await page.goto(`${app.url}/graphql`);

  await page.waitForURL('**/graphiql');
  await page.getByRole('tab', { name: 'WhichModels' }).waitFor();
});

inBrowser.each(['PredictRow', 'PredictImage', 'PredictText'])(
  '%s runs in the built-in explorer with one click',
  async (operation) => {
    const shown = await run(operation);

    expect(shown.replaceAll(/\s/g, '')).toMatch(/"label":"(malignant|benign|spam|ham|[A-Z])/);
    expect(complaints).toEqual([]);
  },
);

inBrowser('a tab that was just opened runs its own operation', async () => {
  await page.goto(`${app.url}/graphiql`);
  const tab = await page.getByRole('tab', { name: 'PredictText' }).getByRole('button').first().elementHandle();
  const play = await page.getByRole('button', { name: /execute query/i }).elementHandle();
  await page.getByText('query WhichModels(').waitFor();

  await page.evaluate(
    (buttons) => {
      for (const button of buttons) (button as unknown as { click(): void }).click();
    },
    [tab, play],
  );
  const result = page.locator('.result-window', { hasText: /"(data|errors)"/ });

  await result.waitFor();
  expect(await result.textContent()).toContain('"predict"');
});

inBrowser('the first tab sends its variables on a first visit, and headers that are typed in', async () => {
  await page.goto(`${app.url}/graphiql`);
  await page.getByRole('tab', { name: 'WhichModels' }).waitFor();
  const play = page.getByRole('button', { name: /execute query/i });
  const sentBy = (click: Promise<void>) =>
    Promise.all([
      page.waitForRequest((request) => /"operationName":"WhichModels"/.test(request.postData() ?? '')),
      click,
    ]);

  const [first] = await sentBy(play.click());
  await page.getByRole('button', { name: 'Headers' }).click();
  await page.locator('.graphiql-editor-tool .graphiql-editor:not(.hidden)').click();
  await page.keyboard.insertText('{ "x-note": "typed" }');
  const [second] = await sentBy(play.click());

  expect(first.postDataJSON().variables.filter.tasks).toContain('IMAGE_CLASSIFICATION');
  expect(second.headers()['x-note']).toBe('typed');
});

inBrowser('the built-in explorer loads nothing from other hosts', async () => {
  const hosts = new Set<string>();
  page.on('request', (request) => {
    if (request.url().startsWith('http')) hosts.add(new URL(request.url()).origin);
  });

  await run('WhichModels');

  expect([...hosts]).toEqual([app.url]);
});

inBrowser('the explorer has a tab for every example operation', async () => {
  await page.goto(`${app.url}/graphiql`);
  const operations = (await (await fetch(`${app.url}/graphiql/operations.json`)).json()) as { query: string }[];

  for (const { query } of operations) {
    const [, name = ''] = /(?:query|mutation) (\w+)/.exec(query) ?? [];
    await page.getByRole('tab', { name }).waitFor();
  }
});

test('assets are compressed and revalidated', async () => {
  const first = await fetch(`${app.url}/graphiql/assets/graphiql.js`, { headers: { 'accept-encoding': 'gzip' } });
  const again = await fetch(`${app.url}/graphiql/assets/graphiql.js`, {
    headers: { 'if-none-match': first.headers.get('etag') ?? '' },
  });

  expect(first.headers.get('content-encoding')).toBe('gzip');
  expect(again.status).toBe(304);
});

test('a GET of /graphql that accepts JSON gets data, not a page', async () => {
  const response = await fetch(`${app.url}/graphql?query={__typename}`, {
    headers: { 'apollo-require-preflight': 'true', accept: 'application/json' },
  });

  expect(await response.json()).toMatchObject({ data: { __typename: 'Query' } });
});

test('EXPLORER=off serves no page', async () => {
  const silent = await startTestApp({ explorer: 'off' });

  const page = await fetch(`${silent.url}/graphql`, { headers: { accept: 'text/html' } });
  const graphiql = await fetch(`${silent.url}/graphiql`);
  await silent.stop();

  expect(page.headers.get('content-type')).not.toContain('text/html');
  expect(graphiql.status).toBe(404);
});
