/** Runs after all test files: removes the template, and fails a full run that missed a fault point. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import path from 'node:path';

export default async function removeTemplate({ testPathPatterns, testNamePattern }) {
  await rm(process.env.MODELGRAPH_TEMPLATE, { recursive: true, force: true });
  const isWholeRun = testPathPatterns.patterns.length === 0 && !testNamePattern;
  if (isWholeRun) assertEveryPointFired(process.env.FAULT_LOG);
  await rm(process.env.FAULT_LOG, { force: true });
}

function assertEveryPointFired(log) {
  const fired = new Set(existsSync(log) ? readFileSync(log, 'utf8').split('\n') : []);
  const points = faultPoints();
  const missing = points.filter((name) => !fired.has(name));
  if (missing.length > 0) throw new Error(`No test reached the fault points ${missing.join(', ')}.`);
  process.stderr.write(`${points.length} fault points, all reached\n`);
}

function faultPoints() {
  const files = readdirSync('src', { recursive: true }).filter((file) => file.endsWith('.ts'));
  const lines = files.flatMap((file) => readFileSync(path.join('src', file), 'utf8').split('\n'));
  return lines.flatMap((line) => /(?:faultPoint|corruptFrame)\('([^']+)'.*\/\/ @fault$/.exec(line)?.[1] ?? []);
}
