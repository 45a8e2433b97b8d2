/**
 * `npm run test:sample`: follows the README in a clone, with nothing installed, from `npm ci` to the first prediction in a React
 * page and in the sample app, and prints how long each step took. It needs the package registry, a browser, and port 4000 or `PORT`.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import { chromium } from 'playwright-core';

/** From the clone to the first prediction in a page of one's own. */
const MAX_SECONDS = 300;
const PORT = process.env['PORT'] ?? '4000';

const folder = await mkdtemp(path.join(os.tmpdir(), 'modelgraph-readme-'));
const clone = path.join(folder, 'modelgraph');
const running: ChildProcess[] = [];
const begun = Date.now();
let last = begun;

function report(step: string): void {
  const now = Date.now();
  console.log(`${((now - last) / 1_000).toFixed(1).padStart(6)} s  ${step}`);
  last = now;
}

const shell = (command: string, cwd: string) =>
  execFileSync('sh', ['-c', command], { cwd, stdio: ['ignore', 'ignore', 'inherit'] });

/** Runs in the background, until it has printed its address. */
function start(command: string, cwd: string): Promise<{ child: ChildProcess; address: string }> {
  const env = { ...process.env, VITE_MODELGRAPH_URL: `http://127.0.0.1:${PORT}` };
  const child = spawn('sh', ['-c', command], { cwd, env, stdio: ['ignore', 'pipe', 'inherit'], detached: true });
  running.push(child);
  return new Promise((resolve, reject) => {
    child.once('exit', (code) => reject(new Error(`"${command}" ended with ${code}`)));
    let printed = '';
    child.stdout.on('data', (chunk) => {
      printed += chunk;
      const [, address] = /(?:^ready|Local:)\s+(http\S+)/m.exec(stripVTControlCharacters(printed)) ?? [];
      if (address) resolve({ child, address });
    });
  });
}

function stop(child: ChildProcess): void {
  child.removeAllListeners('exit');
  if (child.pid) process.kill(-child.pid, 'SIGTERM');
}

const readme = await readFile('README.md', 'utf8');
function blockOf(begin: string): string {
  const found = Array.from(readme.matchAll(/```(?:sh|tsx)\n(.*?)\n```/gs), ([, text = '']) => text);
  const block = found.find((text) => text.startsWith(begin));
  if (block === undefined) throw new Error(`The README has no block that begins with "${begin}".`);
  return block.replaceAll('4000', PORT);
}

async function predictIn(address: string, button: string, answer: string): Promise<void> {
  const browser = await chromium.launch({
    executablePath: process.env['CHROMIUM_PATH'] ?? '/usr/bin/chromium',
    args: ['--no-sandbox'],
  });
  const page = await browser.newPage();
  page.setDefaultTimeout(MAX_SECONDS * 1_000);
  await page.goto(`${address}?model=spam-filter`);
  await page.getByLabel('Text').fill('You have won a FREE prize, click here now!!!');
  await page.getByRole('button', { name: button }).click();
  await page.locator(answer, { hasText: 'spam' }).waitFor();
  await browser.close();
}

try {
  shell(`git clone -q ${process.cwd()} modelgraph`, folder);
  report('git clone');
  const [install = '', run = ''] = blockOf('npm ci && npm start').split(' && ');
  shell(install, clone);
  report(install);
  await start(run, clone);
  report(run);
  const [create = '', write = '', open = ''] = blockOf('npm create').split('\n');
  shell(create, clone);
  shell(write, clone);
  report('an app, and the client of the models');
  await writeFile(path.join(folder, 'my-page/src/App.tsx'), blockOf('import { useState }'));
  const own = await start(open, clone);
  report('npm install && npm run dev');
  await predictIn(own.address, 'Is it spam?', 'output');
  report('the first prediction in a React page');
  const seconds = (Date.now() - begun) / 1_000;
  shell('npx tsc --noEmit -p tsconfig.app.json', path.join(folder, 'my-page'));
  stop(own.child);
  report('its types are right');
  const sample = await start('npm install && npm run dev', path.join(clone, 'schema/example-app'));
  report('the sample app: npm install && npm run dev');
  await predictIn(sample.address, 'Predict', 'section');
  report('a prediction in the sample app');
  shell('npm run build', path.join(clone, 'schema/example-app'));
  report('npm run build');
  console.log(`${seconds.toFixed(0)} s from the clone to the first prediction in a React page`);
  process.exitCode = seconds <= MAX_SECONDS ? 0 : 1;
} finally {
  for (const child of running) if (child.exitCode === null && child.signalCode === null) stop(child);
  await rm(folder, { recursive: true, force: true });
}
