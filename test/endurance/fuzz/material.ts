/** The material of all cases: the schema, the example operations, models, images, and values that the server returned. */
import { cp, readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { buildSchema, type GraphQLSchema } from 'graphql';
import { type Data, post } from '../../support/graphql-client.ts';
import { huggingFaceFolders } from '../../support/hugging-face.ts';
import type { TestStore } from '../../support/model-store.ts';
import { encodeModel, type TypeName } from '../../support/onnx.ts';
import type { Harvest, Operation } from './grammar.ts';
import { baseImages } from './images.ts';
import type { Target } from './inputs.ts';

export interface Material {
  readonly schema: GraphQLSchema;
  readonly operations: readonly Operation[];
  readonly harvest: Harvest;
  readonly targets: readonly Target[];
  readonly images: readonly Buffer[];
}

const ROOT = path.resolve(import.meta.dirname, '../../..');
const OPERATIONS = path.join(ROOT, 'schema/operations');

/** Echo graphs, which return their input: they cover the datatypes that the models of the store do not use. */
const ECHOES: readonly [TypeName, readonly (number | string)[]][] = [
  ['FP32', ['N', 'M']],
  ['INT32', ['N', 2]],
  ['INT64', ['N']],
  ['BOOL', ['N', 'M', 'K']],
  ['BYTES', ['N']],
];

/** Writes the models of the store, tiny ones of every task and the echo graphs to `models/`; returns that folder's path. */
export async function fillModels(store: TestStore): Promise<string> {
  const models = path.join(store.folder, 'models');
  await cp(path.join(ROOT, 'model-store'), models, { recursive: true });
  for (const [name, folder] of Object.entries(huggingFaceFolders())) await store.write(`models/${name}`, folder);
  for (const [type, shape] of ECHOES) {
    const graph = {
      inputs: [{ name: 'x', type, shape }],
      outputs: [{ name: 'y', type, shape }],
      nodes: [{ op: 'Identity', inputs: ['x'], outputs: ['y'] }],
    };
    await store.write(`models/echo-${type.toLowerCase()}`, { '1/model.onnx': encodeModel(graph) });
  }
  return models;
}

const SURVEY = `{
  models(first: 30) {
    nodes {
      id
      name
      version {
        id
        ref
        signature { example inputs { name datatype shape } }
        evaluations { edges { cursor node { id } } }
      }
      versions { edges { cursor } }
    }
    edges { cursor }
  }
  newest: models(orderBy: { field: UPDATED_AT, direction: DESC }) { edges { cursor } }
  datasets { edges { cursor node { id name trainedVersions { edges { cursor } } } } }
  predictions { edges { cursor node { id } } }
}`;

/** Runs the example operations once, so that the server has predictions, and collects the material. */
export async function survey(url: string): Promise<Material> {
  const operations = await readOperations();
  for (const { query, variables } of operations) await post(url, query, variables);
  const { data } = await post(url, SURVEY);
  return {
    schema: buildSchema(await readFile(path.join(ROOT, 'schema/schema.graphql'), 'utf8')),
    operations,
    harvest: harvestOf(data),
    targets: data.models.nodes.map(({ name, version }: Data) => ({ ref: name, ...version.signature })),
    images: await baseImages(),
  };
}

export async function readOperations(): Promise<Operation[]> {
  const files = (await readdir(OPERATIONS)).filter((file) => file.endsWith('.graphql')).sort();
  return Promise.all(
    files.map(async (file) => {
      const variables = path.join(OPERATIONS, file.replace('.graphql', '.variables.json'));
      return {
        query: await readFile(path.join(OPERATIONS, file), 'utf8'),
        variables: JSON.parse(await readFile(variables, 'utf8').catch(() => '{}')),
      };
    }),
  );
}

function harvestOf(data: Data): Harvest {
  const [ids, cursors, names] = [new Set<string>(), new Set<string>(), new Set<string>()];
  const homes: Readonly<Record<string, Set<string>>> = { id: ids, cursor: cursors, name: names, ref: names };
  JSON.stringify(data, (key, value) => {
    if (typeof value === 'string') homes[key]?.add(value);
    return value;
  });
  return { ids: [...ids], cursors: [...cursors], names: [...names] };
}
