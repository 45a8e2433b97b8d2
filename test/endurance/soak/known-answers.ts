/** Small graphs with known answers, and a temporary model store and data folder for them. */
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { createStore } from '../../support/model-store.ts';
import { encodeModel, type GraphSpec } from '../../support/onnx.ts';

export interface KnownAnswer {
  readonly graph: GraphSpec;
  readonly example: unknown;
  readonly inputOf: (value: number) => unknown;
  readonly answerOf: (value: number) => number;
}

const vector = (name: string) => ({ name, type: 'FP32' as const, shape: ['N'] });
const constant = (name: string, value: number) => ({ name, shape: [1], data: [value] });
const floats = (name: string, ...data: number[]) => ({ name, datatype: 'FP32', shape: [data.length], data });
const wide = (name: string) => ({ name, type: 'INT64' as const, shape: ['N'] });

function longs(name: string, value: bigint) {
  return {
    name,
    datatype: 'INT64',
    shape: [1],
    base64: Buffer.from(BigInt64Array.of(value).buffer).toString('base64'),
  };
}

/** 3x + 7, exact for whole numbers up to five million. */
export const AFFINE: KnownAnswer = {
  graph: {
    inputs: [vector('x')],
    outputs: [vector('y')],
    floats: [constant('three', 3), constant('seven', 7)],
    nodes: [
      { op: 'Mul', inputs: ['x', 'three'], outputs: ['product'] },
      { op: 'Add', inputs: ['product', 'seven'], outputs: ['y'] },
    ],
  },
  example: { tensors: [floats('x', 1)] },
  inputOf: (value) => ({ tensors: [floats('x', value)] }),
  answerOf: (value) => 3 * value + 7,
};

/** a / b in int64, which processors do not divide in vectors: −2⁶³ / −1 crashes the process at any position of a batch. */
export const DIVISION = {
  graph: {
    inputs: [wide('a'), wide('b'), vector('tag')],
    outputs: [wide('quotient'), vector('tag_out')],
    nodes: [
      { op: 'Div', inputs: ['a', 'b'], outputs: ['quotient'] },
      { op: 'Identity', inputs: ['tag'], outputs: ['tag_out'] },
    ],
  } satisfies GraphSpec,
  example: { tensors: [longs('a', 6n), longs('b', 2n), floats('tag', 0)] },
  /** An input whose quotient is `value`. */
  inputOf: (value: number) => ({ tensors: [longs('a', BigInt(value)), longs('b', 1n), floats('tag', 0)] }),
  /** A poison input, different for each tag, since an input with a strike is not run again. */
  crashInput: (tag: number) => ({ tensors: [longs('a', -(2n ** 63n)), longs('b', -1n), floats('tag', tag)] }),
};

export const PREDICT_MANY = `mutation ($input: PredictManyInput!) { predictMany(input: $input) {
  results { prediction { output { ... on Tensors { tensors { data } } } } problem { code message } } problem { message } } }`;

export const PREDICT_ROWS = `mutation ($input: PredictManyInput!) { predictMany(input: $input) {
  columns { tensors { data } problems { row } } problem { message } } }`;

export async function withStore<T>(
  models: Readonly<Record<string, Pick<KnownAnswer, 'graph' | 'example'>>>,
  work: (env: { DATA_DIR: string; MODEL_STORE: string }) => Promise<T>,
): Promise<T> {
  const store = await createStore();
  const dataDir = await mkdtemp(path.join(os.tmpdir(), 'modelgraph-soak-'));
  try {
    for (const [name, { graph, example }] of Object.entries(models)) {
      const yaml = `example: ${JSON.stringify(example)}`;
      await store.write(name, { '1/model.onnx': encodeModel(graph), 'model.yaml': yaml });
    }
    return await work({ DATA_DIR: dataDir, MODEL_STORE: store.folder });
  } finally {
    await Promise.all([store.remove(), rm(dataDir, { recursive: true, force: true })]);
  }
}
