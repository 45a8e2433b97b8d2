/** Counts stop at 10,000, and say so. */
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { openDatabases } from '#src/storage/database.js';
import { MAX_COUNT } from '#src/storage/pages.js';
import { fillPredictionsFile } from '../bench/growth-data.js';
import { startTestApp } from '../support/app.js';

test.each([
  [MAX_COUNT, false],
  [MAX_COUNT + 1, true],
])('a list of %d predictions counts 10,000, capped: %s', async (count, totalCountCapped) => {
  const dataDir = await mkdtemp(path.join(os.tmpdir(), 'modelgraph-counts-'));
  await (await openDatabases(dataDir)).close();
  fillPredictionsFile(dataDir, count);
  // The predictions are from 2023, and the sweeper runs at start.
  const app = await startTestApp({ dataDir, modelStore: '/nowhere', retentionDays: 3_650 });

  const { predictions } = await app.query('{ predictions { totalCount totalCountCapped nodes { id } } }');

  expect(predictions).toMatchObject({ totalCount: MAX_COUNT, totalCountCapped });
  expect(predictions.nodes).toHaveLength(20);
  await app.stop();
  await rm(dataDir, { recursive: true, force: true });
});
