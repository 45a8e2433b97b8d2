/**
 * Compares the answers of a server with those of the frameworks that models come from. Run by `npm run models:table`, or
 * `npm run models:table -- <family> …` for some families: generates models of each kind with Python, imports them, predicts
 * over HTTP, and prints a table. Exits with 1 if a version is READY and wrong, or a refusal names nothing to change.
 *
 * `TABLE_PYTHON` names a Python that has the packages already; otherwise `PYTHON` names one of 3.12 or later, with which they
 * are installed into `test/table/.cache/`.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { startServer } from '../support/server.ts';
import { type Case, casesIn, writeStore } from './cases.ts';
import { type Judgment, judge } from './judge.ts';
import { printTable } from './print.ts';
import { buildCases, families } from './python.ts';

const chosen = process.argv.slice(2);
const unknown = chosen.filter((name) => !families().includes(name));
if (unknown.length > 0) throw new Error(`there is no family ${unknown.join(', ')}; there are ${families().join(', ')}`);

const judgments: Judgment[] = [];
for (const family of chosen.length > 0 ? chosen : families()) {
  const cases = casesIn(await buildCases(family));
  judgments.push(...(await judged(cases)));
}
const isRight = printTable(judgments);
process.exitCode = isRight ? 0 : 1;

/** Imports the cases into a new server and judges them. */
async function judged(cases: readonly Case[]): Promise<Judgment[]> {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'modelgraph-table-'));
  const [store, data] = [path.join(folder, 'store'), path.join(folder, 'data')];
  writeStore(store, cases);
  const server = await startServer({ MODEL_STORE: store, DATA_DIR: data, LOG_LEVEL: 'fatal' });
  const found: Judgment[] = [];
  for (const one of cases) found.push(await judge(server.url, one));
  await server.end('SIGTERM');
  rmSync(folder, { recursive: true });
  return found;
}
