/** This service beside servers in Python, in interleaved rounds. They are started from a virtual environment. */
import path from 'node:path';
import { rightOf } from './answers.ts';
import {
  type Contender,
  describeRange,
  describeRounds,
  play,
  ROUND_HEADER,
  type Round,
  rate,
  ratios,
} from './contest.ts';
import type { LoadRequest } from './load.ts';
import { table } from './numbers.ts';
import { bars } from './plots.ts';
import { type PeerOptions, type RunningServer, startPeer, startPythonPeer } from './processes.ts';
import { graphFile, oipRequests, predictRequests, restRequests } from './requests.ts';
import type { Goal, Section } from './sections.ts';
import { type Contest, measureBare, NAIVE, OURS, OURS_RECORDED } from './throughput.ts';

type PeerContest = Omit<Contest, 'connections' | 'hasAllPeers'>;

const FASTAPI = 'FastAPI';
const FASTAPI_ON_LOOP = 'FastAPI, on the event loop';
const LITSERVE = 'LitServe';
const TRITON = 'Triton (Python backend, binary tensors)';
const CLIENTS = 64;
/**
 * Of the requests of a peer in a round; ours may lose none. Servers whose event loop is blocked close connections whose next
 * request has arrived, because they take them for idle.
 */
const MAX_LOST = 0.5;
const HEADER = ['model', 'server', ...ROUND_HEADER];

/** By title of the contest. */
const AIMS: Readonly<Record<string, Readonly<Record<string, number>>>> = {
  light: { [FASTAPI]: 3, [LITSERVE]: 3 },
  '5 M parameters': { [FASTAPI]: 5, [LITSERVE]: 5, [TRITON]: 1 },
  '30 ms': { [TRITON]: 1 },
};

interface Played {
  readonly title: string;
  readonly contenders: readonly Contender[];
  readonly rounds: readonly (readonly Round[])[];
}

/** @throws Error if the environment variable BENCH_VENV does not name a virtual environment */
export async function peersSection(contests: readonly PeerContest[], isQuick: boolean): Promise<Section> {
  const venv = process.env['BENCH_VENV'];
  if (!venv) throw new Error('Set BENCH_VENV to a virtual environment with test/bench/peers/requirements.txt.');
  const python = path.resolve(venv, 'bin/python');
  const played: Played[] = [];
  for (const contest of contests) played.push(await playAll(contest, python, isQuick));
  const rows = played.flatMap(({ title, contenders, rounds }) =>
    contenders.map((one, c) => [
      title,
      nameOf(one, rounds[c] ?? []),
      ...describeRounds(rounds[c] ?? [], rounds[0] ?? []),
    ]),
  );
  return {
    goals: played.flatMap(goalsOf),
    plots: { 'peers.svg': bars('Requests per second, × ours without recording', played.map(groupOf)) },
    markdown: `## Peers in Python

![Requests per second, as multiples of ours without recording](peers.svg)

${table(HEADER, rows)}

*How to read it:* ${CLIENTS} clients, one item per request; medians of ${roundsOf(isQuick)} rounds, in which the servers take turns; "×" and
"p99 ×" are ratios to ours without recording, [from–to]. All run the same graph with one intra-op thread, and get the same
values. FastAPI has a process for each core under uvicorn (uvloop, httptools), and a route with \`def\`, as its documentation
recommends for calls that block; "on the event loop" is one with \`async def\`, which blocks it. LitServe has one worker, an API
process for each core, batches of up to 64 within 1 ms, and \`fast_queue\`: the best of six settings tried.
Triton is the server in the wheel of PyTriton, which has no backend for ONNX Runtime: its Python backend runs ONNX Runtime,
with an instance for each core, dynamic batches of up to 64, and binary tensors over HTTP; it answers scores without
labels. Idle peers are stopped, because some poll. Requests are lost where a blocked event loop makes a server
close a connection as idle although its next request has arrived. Every answer was compared with that of the bare graph.

Not measured here, by quotation: ResNet-50 on an A100 under Triton with its ONNX Runtime backend answers 2,858 images/s from
one client with static batches of 32, and 6,127/s from 256 clients with dynamic batching (NVIDIA DeepLearningExamples,
\`PyTorch/Classification\` on Triton, at commit 49e23b45). Ray Serve's own benchmark answers up to 1.9 k requests/s without a
model, from 8 clients and one replica (ray-project/ray, serve benchmarks, at commit 6cde9cc7).`,
  };
}

/** With the number of requests that it left without an answer, in all rounds. */
function nameOf({ title }: Contender, rounds: readonly Round[]): string {
  const lost = rounds.reduce((sum, round) => sum + round.lost, 0);
  return lost === 0 ? title : `${title} (${lost} requests lost)`;
}

function roundsOf(isQuick: boolean): number {
  return isQuick ? 1 : 5;
}

async function playAll(contest: PeerContest, python: string, isQuick: boolean): Promise<Played> {
  const { workload, store, ours, title } = contest;
  const { right, answers } = await measureBare(contest, isQuick);
  const scores = answers.map((answer) => rightOf(answer, []));
  const options: PeerOptions = { graphFile: graphFile(store, workload.model), labels: workload.labels };
  const started: RunningServer[] = [];
  const start = async (starting: Promise<RunningServer>) => {
    const server = await starting;
    started.push(server);
    server.pause();
    return server;
  };
  const graphql = (name: string, server: RunningServer, record = false): Contender => {
    return { title: name, server, format: 'predict', requests: predictRequests(workload, right, record) };
  };
  const inPython = async (name: string, file: string, requests: readonly LoadRequest[], more = {}) => {
    const server = await start(startPythonPeer(python, file, JSON.stringify({ ...options, ...more })));
    return { title: name, server, format: name === TRITON ? 'oip' : 'rest', requests, maxLost: MAX_LOST } as const;
  };
  const rest = restRequests(workload, right);
  try {
    const contenders = [
      graphql(OURS, ours),
      graphql(OURS_RECORDED, ours, true),
      { ...graphql(NAIVE, await start(startPeer('apollo.ts', JSON.stringify(options)))), maxLost: MAX_LOST },
      await inPython(FASTAPI, 'fastapi_server.py', rest),
      await inPython(FASTAPI_ON_LOOP, 'fastapi_server.py', rest, { onLoop: true }),
      await inPython(LITSERVE, 'litserve_server.py', rest),
      await inPython(TRITON, 'triton_server.py', oipRequests(workload, scores)),
    ];
    const amount = { connections: CLIENTS, seconds: isQuick ? 1 : 2, rounds: roundsOf(isQuick) };
    return { title, contenders, rounds: await play(contenders, amount) };
  } finally {
    for (const server of started) await server.stop();
  }
}

function goalsOf({ title, contenders, rounds }: Played): Goal[] {
  return Object.entries(AIMS[title] ?? {}).map(([peer, aim]) => {
    const its = rounds[contenders.findIndex((one) => one.title === peer)] ?? [];
    const range = ratios(rounds[0] ?? [], its, rate);
    return {
      what: `${title}, ${CLIENTS} clients, unrecorded: × ${peer}`,
      aim: `≥ ${aim}`,
      measured: describeRange(range),
      isMet: range.median >= aim,
    };
  });
}

function groupOf({ title, contenders, rounds }: Played) {
  return {
    title,
    bars: contenders.slice(1).map((one, c) => {
      const { median: value, least, most } = ratios(rounds[c + 1] ?? [], rounds[0] ?? [], rate);
      return { label: one.title.replace(/ \(.*/, ''), value, least, most, isOurs: one.title.startsWith('ours') };
    }),
  };
}
