/**
 * How the time of each read grows with the catalog and the history. Run by `npm run bench:growth -- FOLDER MODELS
 * PREDICTIONS`: fills the folder if it has no catalog yet, and prints the median and the longest of nine runs, and the
 * CPU time of one, which depends less on what else the machine does. 100,000
 * models take 3 GB and two minutes, 10 million predictions 8 GB and a minute.
 */
import 'reflect-metadata';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { openDatabases } from '#src/storage/database.js';
import { indexMissing } from '#src/storage/search.js';
import { fillCatalogFile, fillPredictionsFile } from './growth-data.ts';
import { runnableReads } from './growth-run.ts';

const RUNS = 9;

const [folder = 'data-growth', models = '10000', predictions = '1000000'] = process.argv.slice(2);
const isFilled = existsSync(path.join(folder, 'catalog.db'));
const databases = await openDatabases(folder);
if (!isFilled) {
  fillCatalogFile(folder, Number(models));
  fillPredictionsFile(folder, Number(predictions));
}
await indexMissing(databases.catalogDb);
for (const { name, run } of await runnableReads(databases)) {
  const times: number[] = [];
  const before = process.cpuUsage();
  for (let i = 0; i < RUNS; i++) {
    const from = performance.now();
    await run();
    times.push(performance.now() - from);
  }
  const { user, system } = process.cpuUsage(before);
  times.sort((a, b) => a - b);
  const cpuMs = (user + system) / 1_000 / RUNS;
  const [median = 0, longest = 0] = [times[Math.floor(RUNS / 2)], times.at(-1)];
  console.log(
    `${name.padEnd(50)} ${median.toFixed(1).padStart(8)} ms ${longest.toFixed(1).padStart(8)} ms ${cpuMs.toFixed(1).padStart(8)} ms CPU`,
  );
}
await databases.close();
