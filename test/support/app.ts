/**
 * A complete app on a free port with its own data folder: real database, real workers, real HTTP.
 */
import { cp, mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { type Logger, pino } from 'pino';
import type { App } from '#src/app.js';
import { type Config, loadConfig } from '#src/config.js';
import { type Data, type GraphqlAnswer, post } from './graphql-client.js';
import { DEADLINE_MS } from './until.js';

export type { Data } from './graphql-client.js';

export interface TestApp {
  readonly app: App;
  readonly url: string;
  readonly dataDir: string;
  /** Returns the answer, errors included. */
  readonly send: (query: string, variables?: Record<string, unknown>) => Promise<GraphqlAnswer>;
  /** Returns the data. GraphQL errors fail the test, and the message shows the document and the variables. */
  readonly query: (query: string, variables?: Record<string, unknown>) => Promise<Data>;
  readonly stop: () => Promise<void>;
}

/** See `environment.js`. */
declare const importShared: (specifier: string) => Promise<typeof import('#src/app.js')>;

export const STORE = path.resolve('model-store');

/**
 * Starts with the model store imported, unless `empty` or another store is given. `isAlone`: with modules of its own, for tests that
 * replace methods of its classes or of built-in ones, or set environment variables.
 */
export async function startTestApp(
  overrides: Partial<Config> & { empty?: boolean; isAlone?: boolean; log?: Logger } = {},
): Promise<TestApp> {
  const { empty, isAlone, log, ...config } = overrides;
  const dataDir = config.dataDir ?? (await mkdtemp(path.join(os.tmpdir(), 'modelgraph-test-')));
  if (!empty && !config.dataDir && !config.modelStore) {
    await cp(process.env['MODELGRAPH_TEMPLATE'] as string, dataDir, { recursive: true });
  }
  const settings = {
    ...loadConfig({}),
    port: 0,
    workers: 1,
    executionProviders: ['cpu'] as const,
    defaultDeadlineMs: DEADLINE_MS,
    // Tests count batches and rows.
    measureLatency: false,
    ...config,
    dataDir,
  };
  const { startApp } = await (isAlone ? import('#src/app.js') : importShared('#src/app.js'));
  const app = await startApp(settings, log ?? pino({ level: process.env['TEST_LOG_LEVEL'] ?? 'fatal' }));
  const send = (query: string, variables?: Record<string, unknown>) => post(app.url, query, variables);
  return {
    app,
    url: app.url,
    dataDir,
    send,
    query: async (query, variables) => dataOf(await send(query, variables), query, variables),
    stop: async () => {
      await app.stop();
      if (!config.dataDir) await rm(dataDir, { recursive: true, force: true });
    },
  };
}

function dataOf(answer: GraphqlAnswer, query: string, variables?: Record<string, unknown>): Data {
  if (!answer.errors) return answer.data;
  const sent = JSON.stringify(variables)?.slice(0, 500);
  throw new Error(`${JSON.stringify(answer.errors, null, 2)}\nfor ${query}\nwith ${sent}`);
}
