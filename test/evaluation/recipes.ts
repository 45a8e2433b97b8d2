/** `npm run models:evaluate` computes the metrics of every card of the model store, and says which of them it reproduces. */
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { post } from '../support/graphql-client.ts';
import { startServer } from '../support/server.ts';
import { compareCard } from './compare-card.ts';

const CARDS = `{ models(first: 30) { nodes { name evaluations: version { evaluations(first: 10) { nodes { origin dataset { name rowsSha256 } } } } } } }`;

const dataDir = await mkdtemp(path.join(os.tmpdir(), 'modelgraph-recipes-'));
const server = await startServer({ DATA_DIR: dataDir, MODEL_STORE: 'model-store' });
try {
  for (const { name, evaluations } of (await send(CARDS)).models.nodes)
    for (const { origin, dataset } of evaluations?.evaluations.nodes ?? []) {
      if (origin !== 'IMPORTED') continue;
      if (dataset.rowsSha256 === null) console.log(`${name} on ${dataset.name}: its rows are not here`);
      else await report(name, dataset.name);
    }
} finally {
  await server.end('SIGTERM');
  await rm(dataDir, { recursive: true, force: true });
}

async function send(query: string, variables: Record<string, unknown> = {}) {
  const { data, errors } = await post(server.url, query, variables);
  if (errors) throw new Error(JSON.stringify(errors));
  return data;
}

async function report(version: string, dataset: string): Promise<void> {
  const begun = performance.now();
  const { metrics } = await compareCard(send, { version, dataset });
  const wrong = metrics.filter(({ isReproduced }) => !isReproduced);
  const seconds = ((performance.now() - begun) / 1_000).toFixed(1);
  console.log(
    `${version} on ${dataset}: ${metrics.length - wrong.length} of ${metrics.length} reproduced, ${seconds} s`,
  );
  for (const one of wrong) console.log(`  ${JSON.stringify(one)}`);
  if (wrong.length > 0 || metrics.length === 0) process.exitCode = 1;
}
