/**
 * The benchmark: measures everything in one run and prints one markdown report, with ratios to the bare graph and to a
 * naive peer. Run `npm run bench`, or `node test/bench/bench.ts` after a build.
 *
 *   --quick    about three minutes: one short round of everything
 *   --record   also writes the report to test/bench/RESULTS.md
 *   --only=N   one section, by its number or name: latency, throughput, isolation, bulk, start, around, overload, fairness,
 *              catalog
 *
 * Exit status: 1 if something failed to run or to answer, never because of a time.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { aroundSection, createAroundStore } from './around.ts';
import { bulkSection } from './bulk.ts';
import { catalogSection } from './catalog.ts';
import { fairnessSection } from './fairness.ts';
import { createGeneratedStore } from './graphs.ts';
import { isolationSection } from './isolation.ts';
import { latencySection } from './latency.ts';
import { overloadSection } from './overload.ts';
import { ROOT, type RunningServer, startModelgraph, startNaive } from './processes.ts';
import { graphFile, medium, mlpTensor, STORE } from './requests.ts';
import { startupSection } from './startup.ts';
import { type Contest, throughputSection } from './throughput.ts';

const { values: options } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    record: { type: 'boolean', default: false },
    only: { type: 'string' },
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
const ours = shared(() => startModelgraph(), stop);
const oursGenerated = shared(async () => startModelgraph({ MODEL_STORE: (await generated()).folder }), stop);
const around = shared(createAroundStore, (store) => store.remove());
const oursAround = shared(async () => startModelgraph({ MODEL_STORE: (await around()).folder }), stop);
const loneAround = shared(async () => startModelgraph({ MODEL_STORE: (await around()).folder, WORKERS: '1' }), stop);
const naiveLight = shared(() => startNaive({ graphFile: graphFile(STORE, mlpTensor().model), labels: LABELS }), stop);
const naiveMedium = shared(async () => {
  return startNaive({ graphFile: graphFile((await generated()).folder, medium().model), labels: [] });
}, stop);

/** The naive peer returns one of ten labels, as the service does. */
const LABELS = Array.from({ length: 10 }, (_, i) => `class ${i}`);

async function throughput(): Promise<string> {
  const light = { workload: mlpTensor(), store: STORE, ours: await ours(), naive: await naiveLight() };
  const store = (await generated()).folder;
  const middle = { workload: medium(), store, ours: await oursGenerated(), naive: await naiveMedium() };
  const contests: Contest[] = [
    { ...light, connections: isQuick ? [1, 64] : [1, 16, 64] },
    { ...middle, connections: isQuick ? [64] : [16, 64] },
  ];
  return throughputSection(contests, isQuick);
}

const SECTIONS: Readonly<Record<string, () => Promise<string>>> = {
  latency: async () => latencySection(await ours(), isQuick),
  throughput,
  isolation: async () => isolationSection(await oursGenerated(), isQuick),
  bulk: async () => bulkSection(await ours(), isQuick),
  start: () => startupSection(isQuick),
  around: async () => aroundSection(await oursAround(), await loneAround(), isQuick),
  overload: () => overloadSection(isQuick),
  fairness: () => fairnessSection(isQuick),
  catalog: () => catalogSection(isQuick),
};

function versionOf(name: string): string {
  const inside = `node_modules/${name}`;
  const entry = createRequire(import.meta.url).resolve(name);
  const folder = entry.slice(0, entry.lastIndexOf(inside) + inside.length);
  return JSON.parse(readFileSync(path.join(folder, 'package.json'), 'utf8')).version;
}

function describeMachine(): string {
  const cpus = os.cpus();
  const gib = (os.totalmem() / 2 ** 30).toFixed(0);
  const load = os.loadavg().map((value) => value.toFixed(1));
  return [
    `all parts: \`npm run bench\`; one part: \`npm run bench -- --only=${Object.keys(SECTIONS).join('|')}\`; short: \`-- --quick\``,
    `${cpus.length} × ${cpus[0]?.model.trim()}, ${gib} GiB, ${os.type()} ${os.release()} ${os.arch()}`,
    `Node ${process.versions.node}, onnxruntime-node ${versionOf('onnxruntime-node')}, @apollo/server ${versionOf('@apollo/server')}`,
    `load average before: ${load.join(', ')}; the load generator shares these cores with the servers`,
  ]
    .map((line) => `- ${line}`)
    .join('\n');
}

async function main(): Promise<void> {
  const sections = Object.entries(SECTIONS).filter(
    ([name], i) => !options.only || options.only === name || options.only === String(i + 1),
  );
  if (sections.length === 0)
    throw new Error(`There is no section "${options.only}": expected one of ${Object.keys(SECTIONS).join(', ')}`);
  const begun = performance.now();
  const kind = isQuick ? 'quick run: a smoke test, its numbers are rough' : 'full run';
  const parts = [`# Benchmark, ${new Date().toISOString().slice(0, 10)}, ${kind}`, describeMachine()];
  for (const [name, section] of sections) {
    process.stderr.write(`${name} …
`);
    parts.push(await section().catch(describeFailure));
  }
  const seconds = Math.round((performance.now() - begun) / 1000);
  const load = os.loadavg().map((value) => value.toFixed(1));
  parts.push(
    `Took ${seconds} s; load average after: ${load.join(', ')}. Ratios are more reliable than absolute times.`,
  );
  const report = `${parts.join('\n\n')}\n`;
  process.stdout.write(report);
  if (options.record) writeFileSync(path.join(ROOT, 'test/bench/RESULTS.md'), report);
}

function describeFailure(error: unknown): string {
  process.exitCode = 1;
  process.stderr.write(`${error instanceof Error ? error.stack : error}\n`);
  return `## FAILED\n\n${error instanceof Error ? error.message : error}`;
}

try {
  await main();
} finally {
  for (const cleanup of cleanups) await cleanup();
}
