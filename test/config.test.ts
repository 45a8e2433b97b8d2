/** The configuration is parsed once, reports everything wrong at once, and is documented. */
import { readFile } from 'node:fs/promises';
import { loadConfig, SETTINGS } from '#src/config.js';

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

test('an address beyond loopback is refused unless UNSAFE_OPEN is true', () => {
  expect(() => loadConfig({ HOST: '0.0.0.0' })).toThrow('UNSAFE_OPEN=true');
  expect(loadConfig({ HOST: '0.0.0.0', UNSAFE_OPEN: 'true' }).host).toBe('0.0.0.0');
  expect(loadConfig({ HOST: '::1' }).host).toBe('::1');
});

test.each([
  '127.evil.example',
  '127.0.0.1.evil.example',
  'localhost.evil',
  '127.1',
  '0177.0.0.1',
  '::ffff:8.8.8.8',
  '::',
])('HOST=%s is not loopback, so it is refused unless UNSAFE_OPEN is true', (host) => {
  expect(() => loadConfig({ HOST: host })).toThrow('UNSAFE_OPEN=true');
});

test.each(['localhost', 'LOCALHOST', '127.0.0.1', '127.9.9.9', '::1', '0:0:0:0:0:0:0:1', '::ffff:127.0.0.1'])(
  'HOST=%s is loopback',
  (host) => {
    expect(loadConfig({ HOST: host }).host).toBe(host);
  },
);

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
