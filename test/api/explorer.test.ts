/** The explorer pages, in a real browser without internet. */
import type { Browser, Page } from 'playwright-core';
import { seriousViolations } from '../support/accessibility.js';
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

/** In the built-in explorer, in a new tab. */
async function runExample(operation: string): Promise<string> {
  await page.getByRole('button', { name: 'Examples' }).click();
  await page.getByRole('menuitem', { name: operation }).click();
  await page.locator('.graphiql-tab-active', { hasText: operation }).waitFor();
  await page.getByRole('button', { name: /execute query/i }).click();
  const result = page.locator('.result-window', { hasText: '"data"' });
  await result.waitFor();
  return (await result.textContent()) ?? '';
}

const SHARED = {
  query: 'query Shared($ref: VersionRef!) { version(ref: $ref) { ref } }',
  variables: '{"ref":"penguins"}',
};

inBrowser(
  'the sandbox page leaves for the built-in explorer, with its operation, if the CDN cannot be reached',
  async () => {
    const sent: string[] = [];
    page.on('request', (request) => sent.push(request.postData() ?? ''));

    await page.goto(`${app.url}/graphql?${new URLSearchParams(SHARED)}`, { waitUntil: 'commit' });

    await page.waitForURL('**/graphiql#query=*');
    await page.locator('.graphiql-tab-active', { hasText: 'Shared' }).waitFor();
    await page.getByText('"penguins"').waitFor();
    // Nobody has read it yet.
    expect(sent.filter((body) => body.includes('Shared'))).toEqual([]);
  },
);

inBrowser('an operation is shared by its link, and runs when its reader says so', async () => {
  await page.goto(`${app.url}/graphiql?${new URLSearchParams(SHARED)}`);
  await page.getByText('"penguins"').waitFor();

  await page.getByRole('button', { name: 'Copy a link' }).click();
  const link = page.url();
  await page.goto('about:blank');
  await page.goto(link);
  await page.getByText('"penguins"').waitFor();
  await page.getByRole('button', { name: /execute query/i }).click();

  await page.locator('.result-window', { hasText: '"penguins:1"' }).waitFor();
  expect(link).toContain('/graphiql#query=');
});

inBrowser(
  'predictions run in the built-in explorer from the menu of examples, and nothing comes from other hosts',
  async () => {
    const hosts = new Set<string>();
    page.on('request', (request) => {
      if (request.url().startsWith('http')) hosts.add(new URL(request.url()).origin);
    });
    await page.goto(`${app.url}/graphiql`);

    const shown: string[] = [];
    for (const operation of ['PredictRow', 'PredictImage', 'PredictText']) shown.push(await runExample(operation));

    const labels = shown.map((text) => /"label":"([^"]+)"/.exec(text.replaceAll(/\s/g, ''))?.[1]);
    expect(labels).toEqual([
      expect.stringMatching(/^(malignant|benign)$/),
      expect.stringMatching(/^[A-Z]/),
      expect.stringMatching(/^(spam|ham)$/),
    ]);
    expect(complaints).toEqual([]);
    expect([...hosts]).toEqual([app.url]);
  },
);

inBrowser('a tab that was just opened runs its own operation', async () => {
  await page.goto(`${app.url}/graphiql`);
  await page.getByText('query WhichModels(').waitFor();
  await page.getByRole('button', { name: 'Examples' }).click();
  const example = await page.getByRole('menuitem', { name: 'PredictText' }).elementHandle();
  const play = await page.getByRole('button', { name: /execute query/i }).elementHandle();

  await page.evaluate(
    (buttons) => {
      for (const button of buttons) (button as unknown as { click(): void }).click();
    },
    [example, play],
  );
  const result = page.locator('.result-window', { hasText: /"(data|errors)"/ });

  await result.waitFor();
  expect(await result.textContent()).toContain('"predict"');
});

inBrowser('the first tab sends its variables on a first visit, and headers that are typed in', async () => {
  await page.goto(`${app.url}/graphiql`);
  await page.locator('.graphiql-tab', { hasText: 'WhichModels' }).waitFor();
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

inBrowser('variables and fields of inputs that have defaults are not marked as missing', async () => {
  const query = `query Marked($first: Int! = 5) { models(first: $first) { totalCount } }
    mutation Run($input: PredictInput!) { predict(input: $input) { replayed } }`;
  const input = { model: 'penguins', input: { row: { island: 'biscoe' } } };
  const variables = JSON.stringify({ unknown: 1, input });

  await page.goto(`${app.url}/graphiql?${new URLSearchParams({ query, variables })}`);

  const marks = await page.waitForFunction(() => {
    const { __MONACO: monaco } = globalThis as unknown as { __MONACO?: Monaco };
    const found = monaco?.editor.getModelMarkers({}).map(({ message }) => message) ?? [];
    return found.length > 0 && found;
  });
  expect(await marks.jsonValue()).toEqual(['Property unknown is not allowed.']);
});

inBrowser(
  'both explorers offer every example, and have no serious violation of accessibility in either theme and at either width',
  async () => {
    const operations = (await (await fetch(`${app.url}/graphiql/operations.json`)).json()) as { title: string }[];
    await page.goto(`${app.url}/graphiql`);
    const violations = [...(await auditIn('light', 1_400)), ...(await auditIn('dark', 390))];
    await page.getByRole('button', { name: 'Examples' }).click();
    const offered = await page.getByRole('menuitem').locator('.examples-title').allTextContents();
    violations.push(...(await seriousViolations(page)));

    await openSandbox();
    const choices = await page.locator('#examples option[value]:not([value=""])').allTextContents();
    violations.push(...(await auditIn('light', 390)), ...(await auditIn('dark', 1_400)));

    expect(operations.length).toBeGreaterThan(10);
    expect(offered).toEqual(operations.map(({ title }) => title));
    expect(choices).toEqual(offered);
    expect(violations).toEqual([]);
  },
);

/** GraphiQL's editor. */
interface Monaco {
  readonly editor: { getModelMarkers(of: object): { message: string }[] };
}

async function auditIn(colorScheme: 'light' | 'dark', width: number): Promise<string[]> {
  await page.emulateMedia({ colorScheme });
  await page.setViewportSize({ width, height: 900 });
  if (page.url().includes('graphiql')) {
    // GraphiQL reads the scheme when it is loaded.
    await page.reload();
    await page.locator(`.graphiql-query-editor .monaco-editor.${colorScheme === 'dark' ? 'vs-dark' : 'vs'}`).waitFor();
    await page.locator('.graphiql-query-editor [class^=mtk]').nth(3).waitFor();
  }
  return seriousViolations(page);
}

/** The page of Apollo Sandbox, with a script in place of the one of the CDN that keeps what it is given. */
async function openSandbox(search = ''): Promise<void> {
  const body = `globalThis.shown = []; globalThis.EmbeddedSandbox = class {
    constructor(options) { shown.push(options.initialState); } dispose() { shown.push('disposed'); } }`;
  await page.route('https://embeddable-sandbox.cdn.apollographql.com/**', (route) =>
    route.fulfill({ contentType: 'text/javascript', body }),
  );
  await page.goto(`${app.url}/graphql${search}`);
  await page.locator('#examples:enabled').waitFor();
}

inBrowser(
  'the sandbox page shows the operation of its address, and opens examples, here and in the built-in explorer',
  async () => {
    await openSandbox(`?${new URLSearchParams(SHARED)}`);
    await page.getByRole('combobox', { name: 'Examples' }).selectOption('HowGood');
    const shown = await page.evaluate<unknown[]>('shown');
    await page.getByRole('link', { name: 'Built-in explorer' }).click();
    await page.locator('.graphiql-tab-active', { hasText: 'HowGood' }).waitFor();

    expect(shown).toEqual([
      { document: SHARED.query, variables: { ref: 'penguins' } },
      'disposed',
      { document: expect.stringContaining('query HowGood'), variables: {} },
    ]);
  },
);

test('the root leads to the explorer and the API, and /health says whether the server is ready', async () => {
  const browser = await fetch(app.url, { headers: { accept: 'text/html' }, redirect: 'manual' });
  const program = await fetch(app.url);
  const health = await fetch(`${app.url}/health`);

  expect([browser.status, browser.headers.get('location')]).toEqual([302, '/graphql']);
  expect(await program.json()).toMatchObject({ api: '/graphql', explorer: '/graphiql', health: '/health' });
  expect([health.status, await health.json()]).toEqual([200, { status: 'ready' }]);
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
    headers: { 'apollo-require-preflight': 'true', accept: 'application/json, text/html' },
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
