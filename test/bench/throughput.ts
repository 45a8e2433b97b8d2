/** Closed-loop throughput of this service, with and without recording, and of the naive peer, in interleaved rounds. */
import type { BareOptions, BareResult } from './bare.ts';
import type { LoadOptions, LoadResult } from './load.ts';
import { median, ms, perSecond, ratio, table } from './numbers.ts';
import { cpuSeconds, measure, type RunningServer, workerPids } from './processes.ts';
import { graphFile, predictBodies, type Workload } from './requests.ts';

export interface Contest {
  readonly workload: Workload;
  readonly store: string;
  readonly ours: RunningServer;
  readonly naive: RunningServer;
  readonly connections: readonly number[];
}

interface Contender {
  readonly title: string;
  readonly url: string;
  readonly bodies: readonly string[];
  readonly pids: readonly number[];
}

interface Round extends LoadResult {
  readonly cpuMicrosPerRequest: number;
}

const BATCHES = [1, 16, 32, 64, 128];
const HEADER = ['model', 'connections', 'server', 'requests/s', '**× naive**', 'range', 'p50', 'p99', 'batch', 'CPU'];

export async function throughputSection(contests: readonly Contest[], isQuick: boolean): Promise<string> {
  const rows: string[][] = [];
  const limits: string[] = [];
  for (const contest of contests) {
    limits.push(await describeLimit(contest, isQuick));
    const contenders = await contendersOf(contest);
    for (const one of contenders) await run(one, { connections: 64, seconds: isQuick ? 0.8 : 3 });
    for (const connections of contest.connections) {
      const rounds = await play(contenders, { connections, isQuick });
      rows.push(...describe(contest.workload.title, connections, contenders, rounds));
    }
  }
  return `## 2. Throughput, one item per request

${table(HEADER, rows)}

Bare \`session.run\` loop in one process with one thread: ${limits.join('; ')}.

*How to read it:* the load generator keeps one request in flight per connection, and shares the machine with the server.
All servers get the same mutation and inputs. The naive peer is Apollo's standalone server, which runs the session in its
own process; "ours" is this service with its defaults. Numbers are medians over the rounds (here ${roundsOf(isQuick)}), in which
the servers take turns (A B C A B C …); "range" is the slowest and the fastest round. "batch" is the mean
\`timing.batchSize\` of sampled answers. "CPU" is the CPU time of all server processes per request; it depends less than the
rates on what else the machine does. Every answer was checked for \`problem: null\`. A higher "× naive" is better.`;
}

function roundsOf(isQuick: boolean): number {
  return isQuick ? 1 : 3;
}

async function contendersOf({ workload, ours, naive }: Contest): Promise<Contender[]> {
  const pids = [ours.pid, ...(await workerPids(ours.url))];
  return [
    { title: 'naive peer', url: naive.url, bodies: predictBodies(workload, false), pids: [naive.pid] },
    { title: 'ours, record: false', url: ours.url, bodies: predictBodies(workload, false), pids },
    { title: 'ours, record: true', url: ours.url, bodies: predictBodies(workload, true), pids },
  ];
}

async function play(
  contenders: readonly Contender[],
  { connections, isQuick }: { connections: number; isQuick: boolean },
): Promise<Round[][]> {
  const rounds: Round[][] = contenders.map(() => []);
  for (let i = 0; i < roundsOf(isQuick); i++) {
    for (const [c, contender] of contenders.entries()) {
      rounds[c]?.push(await run(contender, { connections, seconds: isQuick ? 0.8 : 3 }));
    }
  }
  return rounds;
}

async function run({ title, url, bodies, pids }: Contender, amount: Pick<LoadOptions, 'connections' | 'seconds'>) {
  const spent = () => pids.reduce((sum, pid) => sum + cpuSeconds(pid), 0);
  const before = spent();
  const result = await measure<LoadResult>('load.ts', { url, bodies, ...amount } satisfies LoadOptions);
  const { answered, failures, failure } = result;
  if (failures > 0 || answered === 0)
    throw new Error(`${title}: ${failures} requests failed, the first with ${failure}`);
  return { ...result, cpuMicrosPerRequest: (1e6 * (spent() - before)) / answered };
}

function describe(
  title: string,
  connections: number,
  contenders: readonly Contender[],
  rounds: readonly (readonly Round[])[],
): string[][] {
  const of = (c: number, what: (round: Round) => number) => (rounds[c] ?? []).map(what);
  const naive = median(of(0, ({ requestsPerSecond }) => requestsPerSecond));
  return contenders.map((contender, c) => {
    const rates = of(c, ({ requestsPerSecond }) => requestsPerSecond);
    return [
      title,
      String(connections),
      contender.title,
      perSecond(median(rates)),
      ratio(median(rates) / naive),
      `${Math.round(Math.min(...rates))}–${Math.round(Math.max(...rates))}`,
      ms(median(of(c, ({ latency }) => latency.p50))),
      ms(median(of(c, ({ latency }) => latency.p99))),
      median(of(c, ({ meanBatch }) => meanBatch)).toFixed(1),
      `${Math.round(median(of(c, ({ cpuMicrosPerRequest }) => cpuMicrosPerRequest)))} µs`,
    ];
  });
}

async function describeLimit({ workload, store }: Contest, isQuick: boolean): Promise<string> {
  const { tensor, model, title } = workload;
  const seconds = isQuick ? 0.2 : 1;
  const options: BareOptions = { graphFile: graphFile(store, model), tensor, seconds, batches: BATCHES };
  const { runs } = await measure<BareResult>('bare.ts', options);
  const best = runs.toSorted((a, b) => b.itemsPerSecond - a.itemsPerSecond)[0];
  const alone = perSecond(runs[0]?.itemsPerSecond ?? Number.NaN);
  return `${title} ${alone} one by one, ${perSecond(best?.itemsPerSecond ?? Number.NaN)} in batches of ${best?.batch}`;
}
