/** Starting again on the same data and the same store writes nothing. */
import { rm } from 'node:fs/promises';
import type { SqliteFile } from '#src/storage/sqlite.js';
import { startTestApp } from '../support/app.js';

/** Every row of every table; of the search index what was indexed, not how. */
async function dump(file: SqliteFile): Promise<Record<string, unknown>> {
  const tables = await file.read(
    "select name from sqlite_master where type = 'table' and name not like 'model\\_fts\\_%' escape '\\'",
    [],
  );
  const rows = tables.rows.map(async ({ name }) => [
    name,
    (await file.read(`select * from "${name}" order by 1, 2`, [])).rows,
  ]);
  return Object.fromEntries(await Promise.all(rows));
}

test('a second start on the same data changes no row', async () => {
  const first = await startTestApp();
  const before = await dump(first.app.databases.catalogFile);
  await first.app.stop();

  const second = await startTestApp({ dataDir: first.dataDir });
  const after = await dump(second.app.databases.catalogFile);
  await second.app.stop();
  await rm(first.dataDir, { recursive: true, force: true });

  expect(Object.keys(before)).toEqual(expect.arrayContaining(['model', 'version', 'dataset', 'evaluation', 'metric']));
  expect(after).toEqual(before);
});
