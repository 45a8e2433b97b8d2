/** `npm run keys`, beside a running server and without one. */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import http from 'node:http';
import os from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { startTestApp } from '../support/app.js';
import { until } from '../support/until.js';

const run = promisify(execFile);

let dataDir: string;
beforeEach(async () => {
  dataDir = await mkdtemp(path.join(os.tmpdir(), 'modelgraph-keys-'));
});
afterEach(() => rm(dataDir, { recursive: true, force: true }));

async function keys(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const options = { env: { ...process.env, DATA_DIR: dataDir } };
  return run(process.execPath, ['dist/keys.js', ...args], options).then(
    (done) => ({ code: 0, ...done }),
    (error) => error,
  );
}

/** Sends a Host that `fetch` would replace. */
function answerTo(host: string, key: string, url: string): Promise<{ status: number | undefined; body: unknown }> {
  const headers = { 'content-type': 'application/json', authorization: `Bearer ${key}`, host };
  return new Promise((resolve, reject) => {
    const request = http.request(`${url}/graphql`, { method: 'POST', headers }, async (response) => {
      const chunks = await response.toArray();
      resolve({ status: response.statusCode, body: JSON.parse(Buffer.concat(chunks).toString()) });
    });
    request.on('error', reject).end('{"query":"{ viewer { account } }"}');
  });
}

const CREATE = ['create', '--account', 'team', '--name', 'first', '--roles', 'admin'];

test('a server beyond loopback needs a key, which can be made before it starts', async () => {
  const config = { dataDir, empty: true, modelStore: '/nowhere', allowedHosts: ['models.example'] };
  await expect(startTestApp(config)).rejects.toThrow('ALLOWED_HOSTS=models.example: anybody who can reach the server');

  const { code, stdout } = await keys(...CREATE);
  const app = await startTestApp(config);
  const ask = (host: string) => answerTo(host, stdout.trim(), app.url);
  const answers = [await ask('models.example'), await ask('evil.example')];
  await app.stop();

  expect(code).toBe(0);
  expect(answers[0]).toMatchObject({ status: 200, body: { data: { viewer: { account: 'team' } } } });
  expect(answers[1]).toMatchObject({ status: 403, body: { errors: [{ extensions: { code: 'HOST_NOT_ALLOWED' } }] } });
});

test('a running server accepts a new key and refuses a revoked one within a second', async () => {
  const app = await startTestApp({ dataDir, empty: true, modelStore: '/nowhere' });
  const statusWith = async (key: string) =>
    (
      await fetch(`${app.url}/graphql`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', authorization: `Bearer ${key}` },
        body: '{"query":"{ viewer { account } }"}',
      })
    ).status;

  const key = (await keys(...CREATE)).stdout.trim();
  await until('the key is accepted', async () => (await statusWith(key)) === 200);
  const [id = ''] = (await keys('list')).stdout.split(' ');
  const revoked = await keys('revoke', id);
  await until('the key is refused', async () => (await statusWith(key)) === 401);
  await app.stop();

  expect(key).toMatch(/^mg_[0-9A-Za-z]{10}_[0-9A-Za-z]{32}_[0-9A-Za-z]{6}$/);
  expect(revoked.stdout).toContain('revoked 20');
});

test('a server with keys suggests a command that sends one', async () => {
  await keys(...CREATE);
  const env = { ...process.env, DATA_DIR: dataDir, MODEL_STORE: '/nowhere', PORT: '0', WORKERS: '1' };
  const server = spawn(process.execPath, ['dist/main.js'], { env, stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = once(server, 'exit');
  const lines: string[] = [];
  for await (const line of createInterface(server.stdout)) {
    lines.push(line);
    if (line.startsWith('ready ')) server.kill('SIGTERM');
  }
  await ended;

  expect(lines.find((line) => line.startsWith('try: '))).toContain("-H 'authorization: Bearer <key>'");
});

test.each([
  [['create', '--name', 'a', '--roles', 'admin'], 2, '--account, --name and --roles are required'],
  [
    ['create', '--account', 'A b', '--name', 'a', '--roles', 'admin'],
    1,
    '--account: this is no name of an account; expected 1 to 64 of',
  ],
  [
    ['create', '--account', 'a', '--name', 'a', '--roles', 'root'],
    1,
    '--roles: these roles are not accepted; expected one or more of viewer, ',
  ],
  [
    ['create', '--account', 'a', '--name', 'a', '--roles', 'viewer', '--publishable'],
    1,
    '\n--origins: a publishable key',
  ],
  [['revoke', 'x'], 2, 'there is no key "x"'],
  [['revoke'], 2, 'revoke needs the id of a key'],
  [['list', 'x'], 2, 'unexpected arguments'],
  [['rotate', 'x', '--overlap', 'soon'], 2, '--overlap is soon'],
  [['limit', 'x', '--limits', 'speed=3'], 2, '--limits has "speed=3"'],
  [['limit', 'x', '--limits', 'bytesPerDay=0.5'], 1, '--limits.bytesPerDay: this limit is not accepted'],
  [['destroy'], 2, 'there is no command "destroy"'],
  [[], 2, 'a command is missing'],
])('%j ends with status %i and says what is wrong', async (args, status, message) => {
  const { code, stderr } = await keys(...args);

  expect([code, stderr.includes(message)]).toEqual([status, true]);
});

test('the list says what keys are bound to, and which key replaced one', async () => {
  const bound = [
    '--operations',
    'predict,version',
    '--models',
    'spam-filter@canary',
    '--origins',
    'https://shop.example',
  ];
  const limits = ['--limits', 'operationsPerDay=7'];
  await keys(
    'create',
    '--account',
    'shop',
    '--name',
    'page',
    '--roles',
    'predictor',
    '--publishable',
    ...bound,
    ...limits,
  );
  const [id = ''] = (await keys('list')).stdout.split(' ');
  const rotated = (await keys('rotate', id)).stdout.split('_')[1];
  const lines = (await keys('list')).stdout.trim().split('\n');

  expect(lines).toHaveLength(2);
  for (const line of lines) {
    expect(line).toContain(
      `  ${bound.slice(0, 2).join(' ')}  ${bound.slice(2, 4).join(' ')}  ${bound.slice(4).join(' ')}  --limits `,
    );
    expect(line).toContain('operationsPerDay=7');
  }
  expect(lines.find((line) => line.startsWith(id))).toContain(`  replaced by ${rotated}  `);
});

test('wrong arguments are found before the data folder is opened', async () => {
  const folder = dataDir;
  dataDir = path.join(folder, 'missing');
  const answers = [
    await keys('create', '--account', 'A b', '--name', 'a', '--roles', 'admin'),
    await keys('rotate', 'x', '--overlap', 'soon'),
  ];
  dataDir = folder;

  expect(answers.map(({ code }) => code)).toEqual([1, 2]);
  expect(await readdir(folder)).toEqual([]);
});
