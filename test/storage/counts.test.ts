/** Counts stop at 10,000, and say so. */
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { openDatabases } from '#src/storage/database.js';
import { MAX_COUNT } from '#src/storage/pages.js';
import { fillPredictionsFile } from '../bench/growth-data.js';
import { type Data, startTestApp } from '../support/app.js';

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

test('facets count all models, and 10,000 of those that a filter selects', async () => {
  const app = await startTestApp({ empty: true, modelStore: '/nowhere' });
  await app.app.databases.catalogFile.write(
    `insert into model (id, name, title, task, owner, license, visibility, card, created_at, updated_at)
     with recursive i(n) as (select 0 union all select n + 1 from i where n < ${MAX_COUNT})
     select 'model_' || n, 'm' || n, 'Model', 'TENSOR', 'owner-' || (n % 60), 'mit', 'public', '{}', n, n from i`,
    [],
  );

  const { all, some } = await app.query(`{
    all: models { totalCount totalCountCapped facets { field buckets { value count } } }
    some: models(filter: { licenses: ["mit"] }) { totalCount totalCountCapped facets { field buckets { value count } } }
  }`);

  const capped = { totalCount: MAX_COUNT, totalCountCapped: true };
  const task = (count: number) => [{ field: 'TASK', buckets: [{ value: 'TENSOR', count }] }];
  expect(all).toMatchObject({ ...capped, facets: expect.arrayContaining(task(MAX_COUNT + 1)) });
  expect(some).toMatchObject({ ...capped, facets: expect.arrayContaining(task(MAX_COUNT)) });
  expect(all.facets.find(({ field }: Data) => field === 'OWNER').buckets).toHaveLength(50);
  await app.stop();
});
