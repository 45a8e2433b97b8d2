/** Isolation: does the API stay quick while every worker computes? */
import type { LoadOptions, LoadResult } from './load.ts';
import { ms, percent, type Spread, table } from './numbers.ts';
import { cpuSeconds, measure, type RunningServer, workerPids } from './processes.ts';
import { heavy, predictBodies } from './requests.ts';
import type { SteadyOptions } from './steady.ts';

const HEADER = [
  'state',
  'p50',
  '**p99**',
  'max',
  'requests',
  'worker CPU',
  'loop delay p50',
  'p99',
  'max',
  'loop busy',
];
const PROBES_PER_SECOND = 50;
const REQUESTS_PER_WORKER = 3;
const PROBE_START_SECONDS = 4;

export async function isolationSection(server: RunningServer, isQuick: boolean): Promise<string> {
  const seconds = isQuick ? 2 : 12;
  const idle = await observe(server, seconds);
  const { busy, answered } = await observeUnderLoad(server, seconds);
  return `## 3. Isolation: the API while every worker computes

${table(HEADER, [
  ['workers idle', ...idle],
  ['workers busy', ...busy],
])}

${answered} heavy predictions were answered meanwhile.

*How to read it:* another process sends \`{ __typename }\` ${PROBES_PER_SECOND} times a second, each timed from the moment it was
meant to be sent. In the second row each worker always has heavy runs (a chain of large matrix products, hardly a byte
in or out) to do; "worker CPU" is what each of them used, of one core. The idle row is the machine's own noise. Loop
delay is by how much the server's event loop came late, from inside the server. Aim: p99 of at most 20 ms when busy.`;
}

async function observeUnderLoad(server: RunningServer, seconds: number) {
  const pids = await workerPids(server.url);
  const load: LoadOptions = {
    url: server.url,
    connections: REQUESTS_PER_WORKER * pids.length,
    seconds: seconds + PROBE_START_SECONDS,
    bodies: predictBodies(heavy(), false),
  };
  const loading = measure<LoadResult>('load.ts', load);
  const [busy, { answered, failures, failure }] = await Promise.all([observe(server, seconds), loading]);
  if (failures > 0) throw new Error(`${failures} heavy predictions failed, the first with ${failure}`);
  return { busy, answered };
}

async function observe({ url, watchLoop }: RunningServer, seconds: number): Promise<string[]> {
  const pids = await workerPids(url);
  const spent = () => pids.map(cpuSeconds);
  const options: SteadyOptions = { url, query: '{ __typename }', perSecond: PROBES_PER_SECOND, seconds };
  // The probe's own start, and that of the load, are not part of what is observed.
  await measure<Spread>('steady.ts', { ...options, seconds: 1 });
  const [before, begun, endWatch] = [spent(), performance.now(), watchLoop()];
  const { p50, p99, max, count } = await measure<Spread>('steady.ts', options);
  const elapsed = (performance.now() - begun) / 1000;
  const loop = await endWatch();
  const shares = spent().map((now, i) => percent((now - (before[i] ?? 0)) / elapsed));
  const delays = [loop.p50, loop.p99, loop.max].map(ms);
  return [ms(p50), ms(p99), ms(max), String(count), shares.join(', '), ...delays, percent(loop.utilization)];
}
