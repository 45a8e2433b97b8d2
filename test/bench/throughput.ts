/** Closed-loop throughput, one item per request, of this service and of its peers in Node.js, in interleaved rounds. */
import { type Right, rightOf } from './answers.ts';
import type { BareOptions, BareResult } from './bare.ts';
import { type Contender, describeRounds, play, ROUND_HEADER, type Round, rate, ratios } from './contest.ts';
import { perSecond, table } from './numbers.ts';
import { bars } from './plots.ts';
import { measure, type PeerOptions, type RunningServer, startPeer } from './processes.ts';
import { graphFile, predictRequests, restRequests, type TensorWorkload } from './requests.ts';
import type { Section } from './sections.ts';
import { goalsOf } from './throughput-goals.ts';

export interface Contest {
  readonly title: string;
  readonly workload: TensorWorkload;
  /** The folder of the model store. */
  readonly store: string;
  readonly ours: RunningServer;
  readonly connections: readonly number[];
  /** Beside Apollo, the naive peer: also Mercurius and REST. */
  readonly hasAllPeers: boolean;
}

const BATCHES = [1, 16, 32, 64, 128];
const HEADER = ['model', 'clients', 'server', ...ROUND_HEADER];

export const OURS = 'ours, record: false';
export const OURS_RECORDED = 'ours, record: true';
export const NAIVE = 'naive Apollo';

export interface Played {
  readonly contest: Contest;
  readonly connections: number;
  readonly contenders: readonly Contender[];
  readonly rounds: readonly (readonly Round[])[];
}

export async function throughputSection(contests: readonly Contest[], isQuick: boolean): Promise<Section> {
  const played: Played[] = [];
  const limits: string[] = [];
  for (const contest of contests) {
    const { right, limit } = await measureBare(contest, isQuick);
    limits.push(limit);
    played.push(...(await playAll(contest, right, isQuick)));
  }
  const rows = played.flatMap(({ contest, connections, contenders, rounds }) =>
    contenders.map(({ title }, c) => [
      contest.title,
      String(connections),
      title,
      ...describeRounds(rounds[c] ?? [], rounds[0] ?? []),
    ]),
  );
  return {
    goals: goalsOf(played),
    plots: { 'throughput.svg': plot(played) },
    markdown: `## Throughput, one item per request

![Requests per second, as multiples of the naive peer](throughput.svg)

${table(HEADER, rows)}

Bare \`session.run\` loop in one process with one thread: ${limits.join('; ')}.

*How to read it:* the load generator keeps one request in flight for each client, and shares the machine with the server.
All servers get the same inputs; those that speak GraphQL get the same mutation. "naive Apollo" is Apollo's standalone
server, Mercurius compiles queries (\`jit: 1\`), and Fastify has one REST route with JSON schemas; each runs the session in
its own process. "ours" is this service with its defaults. Numbers are medians over ${roundsOf(isQuick)} rounds, in which
the servers take turns; "×" and "p99 ×" are ratios to the naive peer in the same round, [from–to]. "batch" is the mean
\`timing.batchSize\`. "CPU" is the CPU time of all processes of the server per request, "main thread" the part of its
event loop. Every answer was compared with that of the bare graph, to 1e-4.`,
  };
}

function roundsOf(isQuick: boolean): number {
  return isQuick ? 1 : 5;
}

async function playAll(contest: Contest, right: readonly Right[], isQuick: boolean): Promise<Played[]> {
  const { workload, store, ours, hasAllPeers } = contest;
  const options: PeerOptions = { graphFile: graphFile(store, workload.model), labels: workload.labels };
  const started: RunningServer[] = [];
  const start = async (file: string) => {
    const server = await startPeer(file, JSON.stringify(options));
    started.push(server);
    return server;
  };
  const graphql = (title: string, server: RunningServer, record = false): Contender => {
    return { title, server, format: 'predict', requests: predictRequests(workload, right, record) };
  };
  try {
    const contenders = [graphql(NAIVE, await start('apollo.ts'))];
    if (hasAllPeers) {
      contenders.push(graphql('Mercurius, JIT', await start('mercurius.ts')));
      const requests = restRequests(workload, right);
      contenders.push({ title: 'Fastify, REST', server: await start('rest.ts'), format: 'rest', requests });
    }
    contenders.push(graphql(OURS, ours), graphql(OURS_RECORDED, ours, true));
    const played: Played[] = [];
    for (const connections of contest.connections) {
      const amount = { connections, seconds: isQuick ? 0.8 : 2, rounds: roundsOf(isQuick) };
      played.push({ contest, connections, contenders, rounds: await play(contenders, amount) });
    }
    return played;
  } finally {
    for (const server of started) await server.stop();
  }
}

/** The right answers, and how fast the bare graph is. */
export async function measureBare(
  { workload, store, title }: Pick<Contest, 'workload' | 'store' | 'title'>,
  isQuick: boolean,
) {
  const { tensor, tensors, model, labels } = workload;
  const options: BareOptions = {
    graphFile: graphFile(store, model),
    tensor,
    questions: tensors,
    seconds: isQuick ? 0.2 : 1,
    batches: model.endsWith('-alone') ? [1] : BATCHES,
  };
  const { runs, answers } = await measure<BareResult>('bare.ts', options);
  const best = runs.reduce((a, b) => (b.itemsPerSecond > a.itemsPerSecond ? b : a));
  const alone = perSecond(runs[0]?.itemsPerSecond ?? Number.NaN);
  const batched = best.batch === 1 ? '' : `, ${perSecond(best.itemsPerSecond)} in batches of ${best.batch}`;
  return {
    answers,
    right: answers.map((answer) => rightOf(answer, labels)),
    limit: `${title} ${alone} one by one${batched}`,
  };
}

function plot(played: readonly Played[]): string {
  const groups = played.map(({ contest, connections, contenders, rounds }) => ({
    title: `${contest.title}, ${connections} ${connections === 1 ? 'client' : 'clients'}`,
    bars: contenders.slice(1).map(({ title }, c) => {
      const { median: value, least, most } = ratios(rounds[c + 1] ?? [], rounds[0] ?? [], rate);
      return { label: title, value, least, most, isOurs: title.startsWith('ours') };
    }),
  }));
  return bars('Requests per second, × naive Apollo', groups);
}
