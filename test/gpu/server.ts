/** A server on one execution provider, in a process of its own, and what it says of itself. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { type Data, post } from '../support/graphql-client.ts';
import { until } from '../support/until.ts';

/** What native libraries need to find a GPU, as an operator sets it. */
const PASSED_ON = ['PATH', 'LD_LIBRARY_PATH', 'CUDA_VISIBLE_DEVICES', 'VK_DRIVER_FILES'];
const START_MS = 300_000;

export interface GpuServer {
  /** The data of a document. @throws Error with its GraphQL errors */
  readonly query: (document: string, variables?: Record<string, unknown>) => Promise<Data>;
  /** Status and reason of `/health/ready`. */
  readonly health: () => Promise<string>;
  /** What has been logged about imports and about workers that ended. */
  readonly log: readonly Data[];
  /** From the start of the process until the model store was imported. */
  readonly importMs: number;
  readonly end: () => Promise<void>;
}

/** Resolves when the model store has been imported. @throws Error if the server ends first, or after five minutes */
export async function startOn(provider: string, env: Record<string, string>): Promise<GpuServer> {
  const dataDir = await mkdtemp(path.join(os.tmpdir(), 'modelgraph-gpu-'));
  const inherited = PASSED_ON.flatMap((name) => (process.env[name] ? [[name, process.env[name]]] : []));
  const begun = performance.now();
  const child = spawn(process.execPath, ['dist/main.js'], {
    env: {
      ...Object.fromEntries(inherited),
      PORT: '0',
      DATA_DIR: dataDir,
      EXECUTION_PROVIDERS: provider === 'cpu' ? 'cpu' : `${provider},cpu`,
      REQUIRE_PROVIDER: provider,
      DEFAULT_DEADLINE_MS: '120000',
      ...env,
    },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const log: Data[] = [];
  const exited = once(child, 'exit');
  const end = async () => {
    child.kill('SIGTERM');
    await exited;
    await rm(dataDir, { recursive: true, force: true });
  };
  const started = Promise.withResolvers<string>();
  let url = '';
  createInterface({ input: child.stdout }).on('line', (line) => {
    const [, found] = /^ready (.*)\/graphql$/.exec(line) ?? [];
    if (found) url = found;
    const entry = line.startsWith('{') ? JSON.parse(line) : {};
    if (/^a (version|worker)|recycling/.test(entry.msg)) log.push(entry);
    const listening = /^Server listening at (\S+)/.exec(entry.msg ?? '');
    if (listening) url ||= listening[1] as string;
    if (entry.msg === 'the model store was imported') started.resolve(url);
  });
  const timer = setTimeout(() => started.reject(new Error('the model store was not imported in time')), START_MS);
  void exited.then(([code, signal]) => started.reject(new Error(`the server ended with ${code ?? signal}`)));
  try {
    await started.promise;
  } catch (error) {
    await end();
    throw error;
  } finally {
    clearTimeout(timer);
  }
  await waitUntilReady(url);
  return {
    log,
    importMs: performance.now() - begun,
    end,
    query: async (document, variables) => {
      const { data, errors } = await post(url, document, variables);
      if (errors) throw new Error(JSON.stringify(errors).slice(0, 1_000));
      return data;
    },
    health: async () => {
      const response = await fetch(`${url}/health/ready`);
      return `${response.status} ${await response.text()}`;
    },
  };
}

/** A version is loaded right after the import; with a provider that is missing, the server never becomes ready. */
async function waitUntilReady(url: string): Promise<void> {
  await until('the server is ready or says which provider it lacks', async () => {
    const response = await fetch(`${url}/health/ready`);
    return response.ok || /REQUIRE_PROVIDER/.test(await response.text());
  });
}
