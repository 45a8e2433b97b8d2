/**
 * The benchmark: everything measured in one run, printed as one markdown report, as ratios beside the bare graph and a
 * naive peer. `npm run bench`, or `node test/bench/bench.ts` when built.
 *
 *   --quick    about a minute: one short round of everything
 *   --record   also writes the report to test/bench/RESULTS.md
 *   --only=N   one section, by its number
 *
 * Exit status: 1 when something failed to run or to answer, never because of a time.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { bulkSection } from './bulk.ts';
import { createGeneratedStore } from './graphs.ts';
import { isolationSection } from './isolation.ts';
import { latencySection } from './latency.ts';
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

type Cleanup = () => Promise<void>;

/** Runs `work`, then whatever it has left to clean up, in reverse, even after a failure. */
async function withCleanups<T>(work: (later: (cleanup: Cleanup) => void) => Promise<T>): Promise<T> {
  const cleanups: Cleanup[] = [];
  try {
    return await work((cleanup) => cleanups.unshift(cleanup));
  } finally {
    for (const cleanup of cleanups) await cleanup();
  }
}

const withModelgraph = <T>(env: Record<string, string>, work: (server: RunningServer) => Promise<T>) =>
  withCleanups(async (later) => {
    const server = await startModelgraph(env);
    later(server.stop);
    return work(server);
  });

const throughput = () =>
  withCleanups(async (later) => {
    const store = await createGeneratedStore();
    later(store.remove);
    const started = async <S extends RunningServer>(starting: Promise<S>) => {
      const server = await starting;
      later(server.stop);
      return server;
    };
    const naive = (folder: string, model: string, labels: readonly string[]) =>
      started(startNaive({ graphFile: graphFile(folder, model), labels }));
    const [light, middle] = [mlpTensor(), medium()];
    const contests: Contest[] = [
      {
        workload: light,
        store: STORE,
        ours: await started(startModelgraph()),
        naive: await naive(
          STORE,
          light.model,
          Array.from({ length: 10 }, (_, i) => `class ${i}`),
        ),
        connections: [1, 16, 64],
      },
      {
        workload: middle,
        store: store.folder,
        ours: await started(startModelgraph({ MODEL_STORE: store.folder })),
        naive: await naive(store.folder, middle.model, []),
        connections: isQuick ? [64] : [16, 64],
      },
    ];
    return throughputSection(contests, isQuick);
  });

const isolation = () =>
  withCleanups(async (later) => {
    const store = await createGeneratedStore();
    later(store.remove);
    return withModelgraph({ MODEL_STORE: store.folder }, (server) => isolationSection(server, isQuick));
  });

const SECTIONS: readonly (() => Promise<string>)[] = [
  () => withModelgraph({}, (server) => latencySection(server, isQuick)),
  throughput,
  isolation,
  () => withModelgraph({}, (server) => bulkSection(server, isQuick)),
  () => startupSection(isQuick),
];

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
    `${cpus.length} × ${cpus[0]?.model.trim()}, ${gib} GiB, ${os.type()} ${os.release()} ${os.arch()}`,
    `Node ${process.versions.node}, onnxruntime-node ${versionOf('onnxruntime-node')}, @apollo/server ${versionOf('@apollo/server')}`,
    `load average before: ${load.join(', ')}; the load generator shares these cores with the servers`,
  ]
    .map((line) => `- ${line}`)
    .join('\n');
}

async function main(): Promise<void> {
  const begun = performance.now();
  const kind = isQuick ? 'quick run: a smoke test, its numbers are rough' : 'full run';
  const parts = [`# Benchmark, ${new Date().toISOString().slice(0, 10)}, ${kind}`, describeMachine()];
  for (const [i, section] of SECTIONS.entries()) {
    if (options.only && options.only !== String(i + 1)) continue;
    process.stderr.write(`section ${i + 1} …\n`);
    parts.push(await section().catch(describeFailure));
  }
  parts.push(`Took ${Math.round((performance.now() - begun) / 1000)} s. Trust ratios more than times.`);
  const report = `${parts.join('\n\n')}\n`;
  process.stdout.write(report);
  if (options.record) writeFileSync(path.join(ROOT, 'test/bench/RESULTS.md'), report);
}

function describeFailure(error: unknown): string {
  process.exitCode = 1;
  process.stderr.write(`${error instanceof Error ? error.stack : error}\n`);
  return `## FAILED\n\n${error instanceof Error ? error.message : error}`;
}

await main();
