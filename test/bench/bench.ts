/**
 * The benchmark: measures this service beside the bare graph and its peers, and prints one markdown report. Run `npm run
 * bench`, or `node test/bench/bench.ts` after a build.
 *
 *   (nothing)  about half an hour
 *   --quick    about three minutes: one short round of everything
 *   --record   also writes the report and its plots to test/bench/results/; parts that were not measured stay there
 *   --only=A   one part: latency, throughput, bulk, rates, overload, residency, catalog, fairness, isolation, start, access, around, pictures
 *   --peers    also peers in Python, from the virtual environment that BENCH_VENV names; --only=peers measures them alone
 *
 * Exit status: 1 if something failed to run or to answer, or an answer was wrong, never because of a time.
 */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { accessSection } from './access.ts';
import { aroundSection, createAroundStore } from './around.ts';
import { bulkSection } from './bulk.ts';
import { catalogSection } from './catalog.ts';
import { fairnessSection } from './fairness.ts';
import { COMPARED, createComparedStore, createGeneratedStore } from './graphs.ts';
import { isolationSection } from './isolation.ts';
import { latencySection } from './latency.ts';
import { overloadSection } from './overload.ts';
import { peersSection } from './peers.ts';
import { picturesSection } from './pictures.ts';
import { type RunningServer, startMeasured, startModelgraph } from './processes.ts';
import { ratesSection } from './rates.ts';
import { compose, goalRows, record } from './report.ts';
import { chain, forest, labeled, mlpTensor, perceptronTensor, STORE, type TensorWorkload } from './requests.ts';
import { residencySection } from './residency.ts';
import type { Section } from './sections.ts';
import { startupSection } from './startup.ts';
import { type Contest, throughputSection } from './throughput.ts';

const { values: options } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    record: { type: 'boolean', default: false },
    only: { type: 'string' },
    peers: { type: 'boolean', default: false },
  },
});
const isQuick = options.quick;

const cleanups: (() => Promise<void>)[] = [];

/** Makes a resource of several sections when the first of them needs it, and cleans it up at the end. */
function shared<T>(make: () => Promise<T>, cleanup: (made: T) => Promise<void>): () => Promise<T> {
  let made: Promise<T> | null = null;
  return () => {
    made ??= make().then((one) => {
      cleanups.unshift(() => cleanup(one));
      return one;
    });
    return made;
  };
}

const stop = (server: RunningServer) => server.stop();
const generated = shared(createGeneratedStore, (store) => store.remove());
const compared = shared(createComparedStore, (store) => store.remove());
const ours = shared(() => startMeasured([mlpTensor().model, 'breast-cancer-forest']), stop);
const oursWithKeys = shared(() => startMeasured([mlpTensor().model]), stop);
const oursGenerated = shared(async () => startModelgraph({ MODEL_STORE: (await generated()).folder }), stop);
const oursCompared = shared(async () => startMeasured(COMPARED, { MODEL_STORE: (await compared()).folder }), stop);
const around = shared(createAroundStore, (store) => store.remove());
const oursAround = shared(async () => startModelgraph({ MODEL_STORE: (await around()).folder }), stop);
const loneAround = shared(async () => startModelgraph({ MODEL_STORE: (await around()).folder, WORKERS: '1' }), stop);

async function light(): Promise<Omit<Contest, 'connections' | 'hasAllPeers'>> {
  return { title: 'light', workload: mlpTensor(), store: STORE, ours: await ours() };
}

async function generatedContest(title: string, workload: TensorWorkload) {
  return { title, workload, store: (await compared()).folder, ours: await oursCompared() };
}

async function throughput(): Promise<Section> {
  const alone = perceptronTensor('light-alone');
  const contests: Contest[] = [
    { ...(await light()), connections: isQuick ? [1, 64] : [1, 64, 256], hasAllPeers: true },
    { ...(await fiveMillion()), connections: [64], hasAllPeers: true },
    { ...(await generatedContest('light, does not batch', alone)), connections: [64], hasAllPeers: false },
    {
      ...(await generatedContest('0.65 ms, does not batch', chain('two-thirds-ms-alone'))),
      connections: [64],
      hasAllPeers: false,
    },
    { ...(await generatedContest('light, labels from the graph', labeled())), connections: [64], hasAllPeers: false },
  ];
  return throughputSection(contests, isQuick);
}

const fiveMillion = () => generatedContest('5 M parameters', perceptronTensor('mlp-5m'));

async function bulk(): Promise<Section> {
  const mlp = perceptronTensor('mlp-2mb');
  const cases = [
    { workload: await forest(), store: STORE, ours: await ours() },
    { workload: mlp, store: (await compared()).folder, ours: await oursCompared() },
  ];
  return bulkSection(cases, isQuick);
}

async function peers(): Promise<Section> {
  const heavy = await generatedContest('30 ms', chain('thirty-ms'));
  return peersSection([await light(), await fiveMillion(), heavy], isQuick);
}

const SECTIONS: Readonly<Record<string, () => Promise<Section>>> = {
  latency: async () => latencySection(await ours(), isQuick),
  throughput,
  bulk,
  rates: () => ratesSection(isQuick),
  overload: () => overloadSection(isQuick),
  residency: () => residencySection(isQuick),
  catalog: () => catalogSection(isQuick),
  fairness: () => fairnessSection(isQuick),
  isolation: async () => isolationSection(await oursGenerated(), (await generated()).folder, isQuick),
  start: () => startupSection(isQuick),
  access: async () => accessSection(await ours(), await oursWithKeys(), isQuick),
  around: async () => aroundSection(await oursAround(), await loneAround(), isQuick),
  pictures: async () => picturesSection(await ours(), isQuick),
  peers,
};

function versionOf(name: string): string {
  const inside = `node_modules/${name}`;
  const entry = createRequire(import.meta.url).resolve(name);
  const folder = entry.slice(0, entry.lastIndexOf(inside) + inside.length);
  return JSON.parse(readFileSync(path.join(folder, 'package.json'), 'utf8')).version;
}

const INTRO = `# Benchmark

Printed by \`npm run bench -- --record\`; \`-- --only=A\` measures one part and keeps the others, \`-- --peers\` adds peers in
Python, \`-- --quick\` is a short smoke test. Ratios are more reliable than absolute times. Every answer was checked.`;

function describeMachine(): string {
  const cpus = os.cpus();
  const gib = (os.totalmem() / 2 ** 30).toFixed(0);
  const versions = ['onnxruntime-node', '@apollo/server', 'mercurius', 'fastify'].map(
    (name) => `${name} ${versionOf(name)}`,
  );
  const machine = `${cpus.length} × ${cpus[0]?.model.trim()}, ${gib} GiB, ${os.type()} ${os.release()} ${os.arch()}`;
  return `${machine}, Node ${process.versions.node}, ${versions.join(', ')}`;
}

const load = () => os.loadavg()[0]?.toFixed(1);

/** One part, with when, where and how long it was measured. */
async function measurePart(name: string): Promise<{ part: string; section: Section }> {
  process.stderr.write(`${name} …\n`);
  const [before, begun] = [load(), performance.now()];
  const section = await (SECTIONS[name] as () => Promise<Section>)().catch(describeFailure);
  const seconds = Math.round((performance.now() - begun) / 1000);
  const day = new Date().toISOString().slice(0, 10);
  const kind = isQuick ? 'quick run: a smoke test, its numbers are rough' : 'full run';
  const stamp = `*${day}, ${kind}, ${seconds} s. ${describeMachine()}. Load average before ${before}, after ${load()}.*`;
  return { part: `${section.markdown}\n\n${stamp}`, section };
}

async function main(): Promise<void> {
  const all = Object.keys(SECTIONS);
  const names = options.only ? [options.only] : all.filter((name) => name !== 'peers' || options.peers);
  const unknown = names.find((name) => !all.includes(name));
  if (unknown) throw new Error(`There is no part "${unknown}": expected one of ${all.join(', ')}`);
  const measured = new Map<string, { part: string; section: Section }>();
  for (const name of names) measured.set(name, await measurePart(name));
  const rows = names.flatMap((name) => goalRows(name, measured.get(name)?.section.goals ?? []));
  process.stdout.write(compose(INTRO, new Map(Array.from(measured, ([name, { part }]) => [name, part])), rows, all));
  if (options.record && process.exitCode !== 1) record(INTRO, measured, all);
}

function describeFailure(error: unknown): Section {
  process.exitCode = 1;
  process.stderr.write(`${error instanceof Error ? error.stack : error}\n`);
  return { markdown: `## FAILED\n\n${error instanceof Error ? error.message : error}` };
}

try {
  await main();
} finally {
  for (const cleanup of cleanups) await cleanup();
}
