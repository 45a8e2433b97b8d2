/**
 * `npm run test:relay`: Relay's compiler accepts the schema, with lists as `@connection`. The compiler has binaries for
 * every platform, 118 MB, so it is installed into a temporary folder, from the registry.
 */
import { execFile } from 'node:child_process';
import { copyFile, mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';

const COMPILER = 'relay-compiler@21.0.1';
const CONFIG = { src: '.', schema: 'schema.graphql', language: 'typescript', eagerEsModules: true };

const DOCUMENTS = `
graphql\`query appQuery { ...app_models  node(id: "x") { __typename } }\`;
graphql\`fragment app_models on Query @refetchable(queryName: "appPageQuery")
  @argumentDefinitions(first: { type: "Int", defaultValue: 20 }, after: { type: "String" }) {
  models(first: $first, after: $after) @connection(key: "app_models") { edges { node { id name } } totalCount }
}\`;
graphql\`fragment app_model on Model @refetchable(queryName: "appModelQuery")
  @argumentDefinitions(first: { type: "Int", defaultValue: 10 }, after: { type: "String" }) {
  versions(first: $first, after: $after) @connection(key: "app_versions") { edges { node { id ref } } }
}\`;
graphql\`mutation appMutation($input: PredictInput!) {
  predict(input: $input) {
    prediction { id output { __typename ... on Classification { label score } } }
    problem { __typename code message }
  }
}\`;
`;

const run = promisify(execFile);
const folder = await mkdtemp(path.join(os.tmpdir(), 'modelgraph-relay-'));
try {
  await writeFile(path.join(folder, 'package.json'), '{ "private": true }');
  await writeFile(path.join(folder, 'relay.config.json'), JSON.stringify(CONFIG));
  await writeFile(path.join(folder, 'app.ts'), DOCUMENTS);
  await copyFile(path.resolve(import.meta.dirname, '../../schema/schema.graphql'), path.join(folder, 'schema.graphql'));
  await run('npm', ['install', '--no-audit', '--no-fund', '--no-save', COMPILER], { cwd: folder });
  const { stdout } = await run('npx', ['relay-compiler', 'relay.config.json'], { cwd: folder });
  console.log(stdout.trimEnd());
} finally {
  await rm(folder, { recursive: true, force: true });
}
