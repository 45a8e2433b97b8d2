/** Isolation: the latency of the API while every worker computes. */
import { rightOf } from './answers.ts';
import type { BareOptions, BareResult } from './bare.ts';
import type { LoadOptions, LoadResult } from './load.ts';
import { ms, percent, type Spread, table } from './numbers.ts';
import { cpuSeconds, measure, type RunningServer, workerPids } from './processes.ts';
import { graphFile, heavy, predictRequests } from './requests.ts';
import type { Section } from './sections.ts';
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

/** `store` is the folder of the server's model store. */
export async function isolationSection(server: RunningServer, store: string, isQuick: boolean): Promise<Section> {
  const seconds = isQuick ? 2 : 12;
  const idle = await observe(server, seconds);
  const { busy, answered } = await observeUnderLoad(server, store, seconds);
  return {
    markdown: `## Isolation: API latency while every worker is busy

${table(HEADER, [
  ['workers idle', ...idle],
  ['workers busy', ...busy],
])}

${answered} heavy predictions were answered in that time.

*How to read it:* another process sends \`{ __typename }\` ${PROBES_PER_SECOND} times per second, each timed from the moment it was due.
In the second row every worker is always busy with heavy runs (a chain of large matrix products with tiny inputs and
outputs); "worker CPU" is the share of one core each worker used. The first row shows the noise of the machine itself.
"loop delay" is the delay of the server's event loop, measured inside the server. Goal: p99 of at most 20 ms when busy.`,
  };
}

async function observeUnderLoad(server: RunningServer, store: string, seconds: number) {
  const bare: BareOptions = {
    graphFile: graphFile(store, heavy().model),
    tensor: heavy().tensor,
    questions: heavy().tensors,
    seconds: 0,
    batches: [],
  };
  const { answers } = await measure<BareResult>('bare.ts', bare);
  const right = answers.map((answer) => rightOf(answer, []));
  const pids = await workerPids(server.url);
  const load: LoadOptions = {
    url: server.url,
    format: 'predict',
    requests: predictRequests(heavy(), right, false),
    connections: REQUESTS_PER_WORKER * pids.length,
    seconds: seconds + PROBE_START_SECONDS,
  };
  const loading = measure<LoadResult>('load.ts', load);
  const [busy, { answered, failures, failure, lost, loss }] = await Promise.all([observe(server, seconds), loading]);
  if (failures + lost > 0)
    throw new Error(`${failures + lost} heavy predictions failed, the first with ${failure ?? loss}`);
  return { busy, answered };
}

async function observe({ url, watchLoop }: RunningServer, seconds: number): Promise<string[]> {
  const pids = await workerPids(url);
  const spent = () => pids.map(cpuSeconds);
  const options: SteadyOptions = {
    url,
    body: JSON.stringify({ query: '{ __typename }' }),
    perSecond: PROBES_PER_SECOND,
    seconds,
  };
  // A first, short probe excludes the start of the probe and of the load from the measurement.
  await measure<Spread>('steady.ts', { ...options, seconds: 1 });
  const [before, begun, endWatch] = [spent(), performance.now(), watchLoop()];
  const { p50, p99, max, count } = await measure<Spread>('steady.ts', options);
  const elapsed = (performance.now() - begun) / 1000;
  const loop = await endWatch();
  const shares = spent().map((now, i) => percent((now - (before[i] ?? 0)) / elapsed));
  const delays = [loop.p50, loop.p99, loop.max].map(ms);
  return [ms(p50), ms(p99), ms(max), String(count), shares.join(', '), ...delays, percent(loop.utilization)];
}
