/** `npm run tasks`: runs one prediction of each task on a running service and writes the README's table of tasks. */
import { readFileSync, writeFileSync } from 'node:fs';
import { startModelgraph } from './bench/processes.ts';
import { createTasksStore, type Query, storeOptionalAnswers, tasksTable } from './support/tasks-table.ts';

const store = await createTasksStore();
const server = await startModelgraph({ MODEL_STORE: store.folder });

const query: Query = async (query, variables) => {
  const headers = { 'content-type': 'application/json' };
  const response = await fetch(server.url, { method: 'POST', headers, body: JSON.stringify({ query, variables }) });
  const { data, errors } = (await response.json()) as { data: unknown; errors?: unknown };
  if (errors) throw new Error(JSON.stringify(errors));
  return data;
};

try {
  const missing = await storeOptionalAnswers(query);
  if (missing.length > 0)
    process.stdout.write(`Stored answers are shown of ${missing.join(', ')}: see npm run models:add\n`);
  const table = await tasksTable(query);
  const readme = readFileSync('README.md', 'utf8');
  writeFileSync(
    'README.md',
    readme.replace(/(<!-- tasks -->\n).*?(\n<!-- \/tasks -->)/s, (_, a, b) => a + table + b),
  );
  process.stdout.write(`${table}\n`);
} finally {
  await server.stop();
  await store.remove();
}
