/** The API reference's way from nothing to a key that a web page may hold, tried by a page of another origin in a real browser. */
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { type Data, startTestApp } from '../support/app.js';
import { hasBrowser, openBrowser, openPage } from '../support/browser.js';

const run = promisify(execFile);
const inBrowser = hasBrowser ? test : test.skip;
const README_ORIGIN = 'http://localhost:5173';
const LINES_OF_PAGE = /```js\n(const headers = .*?)\n```/s;
const BLOCK = /```sh\n(npm ci\nnpm run keys.*?\nnpm start)\n```/s;

async function servePage() {
  const server = createServer((_, response) =>
    response.setHeader('content-type', 'text/html').end('<title>Shop</title>'),
  );
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return { origin, stop: () => new Promise((resolve) => server.close(resolve).closeAllConnections()) };
}

/** What a page does: the label that it is answered, or why not. */
const ASK = `async ([url, key]) => {
  const query = 'mutation ($input: PredictInput!) { predict(input: $input) { prediction { output { ... on Classification { label } } } } }';
  const headers = { 'content-type': 'application/json', ...(key && { authorization: 'Bearer ' + key }) };
  const body = JSON.stringify({ query, variables: { input: { model: 'spam-filter', input: { text: 'You have won a FREE prize, click here now!!!' } } } });
  try {
    const { data, errors } = await (await fetch(url + '/graphql', { method: 'POST', headers, body })).json();
    return data?.predict?.prediction.output.label ?? errors[0].extensions.code;
  } catch (error) {
    return String(error);
  }
}`;

inBrowser('the lines of the API reference make a key that pages of its origin can use, and no others', async () => {
  const [, lines = ''] = BLOCK.exec(await readFile('schema/README.md', 'utf8')) ?? [];
  const [first, ...commands] = lines.replaceAll(' \\\n', ' ').split('\n').slice(0, -1);
  const [shop, evil] = [await servePage(), await servePage()];
  const dataDir = await mkdtemp(path.join(os.tmpdir(), 'modelgraph-page-'));
  await cp(process.env['MODELGRAPH_TEMPLATE'] as string, dataDir, { recursive: true });
  const printed: string[] = [];
  for (const command of commands) {
    const args = command.replace('npm run keys -- ', '').replace(README_ORIGIN, shop.origin).split(/ +/);
    const { stdout } = await run(process.execPath, ['dist/keys.js', ...args], {
      env: { ...process.env, DATA_DIR: dataDir },
    });
    printed.push(stdout.trim());
  }
  const app = await startTestApp({ dataDir });
  const browser = await openBrowser();
  const answers: Data[] = [];
  for (const [origin, key] of [
    [shop.origin, printed[1]],
    [shop.origin, null],
    [evil.origin, printed[1]],
  ] as const) {
    const page = await openPage(browser);
    await page.goto(origin);
    answers.push(await page.evaluate(`(${ASK})(${JSON.stringify([app.url, key])})`));
  }
  const page = await openPage(browser);
  await page.goto(shop.origin);
  const [, text = ''] = LINES_OF_PAGE.exec(await readFile('schema/README.md', 'utf8')) ?? [];
  const code = text.replace('mgp_…', printed[1] as string).replace('http://127.0.0.1:4000', app.url);
  const shown = await page.evaluate(`(async () => { ${code}\nreturn { data, errors }; })()`);
  await browser.close();
  await app.stop();
  await Promise.all([shop.stop(), evil.stop()]);
  await rm(dataDir, { recursive: true, force: true });

  expect(first).toBe('npm ci');
  expect(printed[1]).toMatch(/^mgp_/);
  expect(shown).toMatchObject({ data: { predict: { prediction: { output: { label: 'spam' } }, problem: null } } });
  expect(answers).toEqual(['spam', 'UNAUTHENTICATED', expect.stringContaining('Failed to fetch')]);
});
