/** The configuration is parsed once, reports everything wrong at once, and is documented. */
import { readFile } from 'node:fs/promises';
import { exposure, loadConfig, SETTINGS } from '#src/config.js';

test('without environment variables, every setting has its default', () => {
  const defaults = Object.entries(SETTINGS).map(([key, { fallback }]) => [key, fallback]);

  expect(loadConfig({})).toEqual(Object.fromEntries(defaults));
});

test('every problem is reported together', () => {
  const load = () => loadConfig({ PORT: 'http', WORKERS: '0', EXPLORER: 'maybe', EXECUTION_PROVIDERS: 'cuda,abacus' });

  expect(load).toThrow(/PORT=http.*WORKERS=0.*EXECUTION_PROVIDERS=cuda,abacus.*EXPLORER=maybe/s);
});

test('workers share the memory budget, and an explicit sum above it is refused', () => {
  const derived = loadConfig({ MEMORY_BUDGET: '4000000000', WORKERS: '2' });
  const load = () => loadConfig({ MEMORY_BUDGET: '4000000000', WORKERS: '3', WORKER_MEMORY_BYTES: '1000000000' });

  expect(derived.workerMemoryBytes).toBe(1_000_000_000);
  expect(loadConfig({ MEMORY_BUDGET: '2400000000' }).workers).toBe(1);
  expect(load).toThrow(/WORKERS=3 and WORKER_MEMORY_BYTES=1000000000 need 5000000000 bytes.*MEMORY_BUDGET=4000000000/);
});

test.each([
  '0.0.0.0',
  '127.evil.example',
  '127.0.0.1.evil.example',
  'localhost.evil',
  '127.1',
  '0177.0.0.1',
  '::ffff:8.8.8.8',
  '::',
])('HOST=%s is not loopback, so the server is exposed', (host) => {
  expect(exposure(loadConfig({ HOST: host }))).toBe(`HOST=${host}`);
});

test.each(['localhost', 'LOCALHOST', '127.0.0.1', '127.9.9.9', '::1', '0:0:0:0:0:0:0:1', '::ffff:127.0.0.1'])(
  'HOST=%s is loopback, so the server is not exposed',
  (host) => {
    expect(exposure(loadConfig({ HOST: host }))).toBeNull();
  },
);

test('a signature is required only with keys to verify it', () => {
  expect(() => loadConfig({ REQUIRE_SIGNATURE: 'true' })).toThrow(/REQUIRE_SIGNATURE=true: PUBLISHER_KEYS_FILE is/);
  expect(loadConfig({ REQUIRE_SIGNATURE: 'true', PUBLISHER_KEYS_FILE: 'keys.pem' }).requireSignature).toBe(true);
});

test('a server whose host names or proxies are set is exposed', () => {
  expect(exposure(loadConfig({ ALLOWED_HOSTS: 'models.example' }))).toBe('ALLOWED_HOSTS=models.example');
  expect(exposure(loadConfig({ TRUSTED_PROXIES: '10.0.0.7,10.1.0.0/16' }))).toBe(
    'TRUSTED_PROXIES=10.0.0.7,10.1.0.0/16',
  );
});

test.each([
  ['ALLOWED_HOSTS', 'models.example:443', 'expected host names without a port'],
  ['ALLOWED_HOSTS', 'https://models.example', 'expected host names without a port'],
  ['TRUSTED_PROXIES', 'proxy.example', 'expected IP addresses or subnets'],
  ['TRUSTED_PROXIES', '10.0.0.0/33', 'expected IP addresses or subnets'],
])('%s=%s is refused', (name, value, message) => {
  expect(() => loadConfig({ [name]: value })).toThrow(message);
});

test.each([['0'], ['0,1'], ['GPU-8932f937-d72c-4106-c12f-20bd9faed9f6,MIG-GPU-1/2/3'], ['-1']])(
  'CUDA_VISIBLE_DEVICES=%s is accepted',
  (gpus) => {
    expect(loadConfig({ CUDA_VISIBLE_DEVICES: gpus }).cudaVisibleDevices).toEqual(gpus.split(','));
  },
);

test.each(['0,0', '0,-1', 'cuda:1', '0,,1', '1 2'])('CUDA_VISIBLE_DEVICES=%s is refused', (gpus) => {
  expect(() => loadConfig({ CUDA_VISIBLE_DEVICES: gpus })).toThrow('expected different indices or UUIDs of GPUs');
});

test.each([
  [{ OIDC_ISSUER: 'http://login.example' }, 'OIDC_ISSUER=http://login.example: expected an address with https://'],
  [{ OIDC_ISSUER: 'login.example' }, 'expected an address with https://'],
  [{ OIDC_ISSUER: 'https://login.example' }, 'OIDC_AUDIENCE is missing'],
  [{ OIDC_AUDIENCE: 'models' }, 'OIDC_ISSUER is missing'],
  [{ OIDC_ALGORITHMS: 'RS256,HS256' }, 'OIDC_ALGORITHMS=RS256,HS256: expected one of'],
  [{ OIDC_ALGORITHMS: 'none' }, 'OIDC_ALGORITHMS=none: expected one of'],
  [{ OIDC_MAX_AGE_SECONDS: '1' }, 'expected a whole number from 60'],
])('%j is refused', (env, message) => {
  expect(() => loadConfig(env)).toThrow(message);
});

test('an issuer needs an address that nobody on the network can change', () => {
  const load = (OIDC_ISSUER: string) => loadConfig({ OIDC_ISSUER, OIDC_AUDIENCE: 'models' }).oidcIssuer;

  for (const address of [
    'https://login.example/realms/a',
    'http://127.0.0.1:8080',
    'http://[::1]:8080',
    'http://localhost',
  ])
    expect(load(address)).toBe(address);
});

test('the memory of each GPU must be enough for its processes before they load anything', () => {
  const settings = { WORKERS: '6', WORKER_MEMORY_BYTES: '200000000', MEMORY_BUDGET: '1600000000' };
  const on = (gpus: string, bytes: string) =>
    loadConfig({ ...settings, CUDA_VISIBLE_DEVICES: gpus, DEVICE_MEMORY_BYTES: bytes });

  expect(() => on('0', '4800000000')).toThrow(
    'DEVICE_MEMORY_BYTES=4800000000: 8 processes (WORKERS=6, a spare and a quarantine worker) on 1 GPU leave each less ' +
      'than the 600000000 bytes that it is estimated to take before it loads a version. Lower WORKERS, or raise DEVICE_MEMORY_BYTES.',
  );
  expect(on('0', '4900000000').deviceMemoryBytes).toBe(4_900_000_000);
  expect(on('0,1', '2500000000').deviceMemoryBytes).toBe(2_500_000_000);
});

test('the configuration cannot be changed', () => {
  expect(Object.isFrozen(loadConfig({}))).toBe(true);
});

test('the table of settings in OPERATING.md matches the configuration', async () => {
  const operating = await readFile('src/OPERATING.md', 'utf8');
  const rows = Object.values(SETTINGS).map(({ env, doc, fallback, ...more }) => {
    const shown = 'fallbackDoc' in more ? more.fallbackDoc : `\`${fallback}\``;
    return `| \`${env}\` | ${shown} | ${doc} |`;
  });

  for (const row of rows) expect(operating).toContain(row);
});
