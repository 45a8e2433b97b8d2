/**
 * Compares the schema with the released one, `schema/released.graphql`: every breaking change must be explained in
 * `schema/breaking-changes.json`, by its message. Part of `npm run check`.
 */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { CriticalityLevel, diff } from '@graphql-inspector/core';
import { buildSchema } from 'graphql';

const FOLDER = path.resolve(import.meta.dirname, '../../schema');
const read = (file: string) => readFile(path.join(FOLDER, file), 'utf8');

/** The messages of changes that break clients of the released schema. */
async function breakingChanges(released: string, next: string): Promise<string[]> {
  const changes = await diff(buildSchema(released), buildSchema(next));
  return changes
    .filter(({ criticality }) => criticality.level === CriticalityLevel.Breaking)
    .map(({ message }) => message);
}

/** What is wrong with the schema, or with the explanations; empty if nothing is. */
export async function unexplained(released: string, next: string, reasons: Record<string, string>): Promise<string[]> {
  const breaking = await breakingChanges(released, next);
  return [
    ...breaking.filter((message) => !reasons[message]).map((message) => `Breaking: ${message}`),
    ...Object.keys(reasons)
      .filter((message) => !breaking.includes(message))
      .map((message) => `Explained, but no change: ${message}`),
  ];
}

if (process.argv[1] === import.meta.filename) {
  const reasons: Record<string, string> = JSON.parse(await read('breaking-changes.json'));
  const problems = await unexplained(await read('released.graphql'), await read('schema.graphql'), reasons);
  for (const problem of problems) console.error(problem);
  if (problems.length > 0) process.exitCode = 1;
}
