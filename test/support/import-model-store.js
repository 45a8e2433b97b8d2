/**
 * Runs before all test files: imports the model store once. Each test app starts with a copy of this data folder.
 */
import { mkdtemp } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { pino } from 'pino';
import { startApp } from '#src/app.js';
import { loadConfig } from '#src/config.js';

export default async function createTemplate() {
  // Servers and commands start faster.
  process.env.NODE_COMPILE_CACHE = path.resolve('node_modules/.cache/compile');
  process.env.FAULT_LOG = path.join(os.tmpdir(), `modelgraph-faults-${process.pid}.log`);
  const dataDir = await mkdtemp(path.join(os.tmpdir(), 'modelgraph-template-'));
  const app = await startApp(
    { ...loadConfig({}), port: 0, dataDir, workers: 1, executionProviders: ['cpu'] },
    pino({ level: 'error' }),
  );
  await app.stop();
  process.env.MODELGRAPH_TEMPLATE = dataDir;
}
