/**
 * Generated graphs in temporary model stores: perceptrons of several sizes, "heavy", which keeps a worker computing with
 * little input and output, and chains that take about 0.65, 5 or 30 ms for an item, with and without batches.
 */

import { createStore, type TestStore } from '../support/model-store.ts';
import { encodeModel, type GraphSpec, type NodeSpec } from '../support/onnx.ts';

export const MEDIUM = { name: 'medium', width: 512, layers: 18, outputs: 10 } as const;
export const HEAVY = { name: 'heavy', rows: 256, width: 1024, layers: 8 } as const;

/** Perceptrons that return ten scores. Without `canBatch`, the graph takes one row at a time. */
export const PERCEPTRONS = [
  { name: 'mlp-2mb', widths: [512, 768, 128], canBatch: true },
  { name: 'mlp-5m', widths: [512, 2048, 2048], canBatch: true },
  { name: 'light-alone', widths: [100, 64, 64], canBatch: false },
] as const;
export type PerceptronName = (typeof PERCEPTRONS)[number]['name'];

/** A light perceptron that ends in a LabelEncoder, so that its label is an output of the graph. */
export const LABELED = { name: 'light-labels', widths: [16, 64, 64] } as const;
export const OUTPUTS = 10;

/**
 * Chains of products of a row and one matrix. With these layers, one item takes `ms` on one core of a server processor; `rig.ts`
 * chooses as many as take that long on this machine.
 */
export const CHAINS = [
  { name: 'two-thirds-ms-alone', ms: 0.65, layers: 16, canBatch: false },
  { name: 'five-ms', ms: 5, layers: 130, canBatch: true },
  { name: 'five-ms-alone', ms: 5, layers: 130, canBatch: false },
  { name: 'thirty-ms', ms: 30, layers: 800, canBatch: true },
  { name: 'thirty-ms-alone', ms: 30, layers: 800, canBatch: false },
] as const;
type Chain = (typeof CHAINS)[number];
export type ChainName = (typeof CHAINS)[number]['name'];
export const CHAIN_WIDTH = 1024;

/** Pseudo-random numbers, the same in every run. */
export function pseudoRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

/** Weights that preserve the magnitude of activations. */
function weights(name: string, rows: number, columns: number) {
  const random = pseudoRandom(rows + columns);
  const scale = Math.sqrt(6 / rows);
  const data = Array.from({ length: rows * columns }, () => (2 * random() - 1) * scale);
  return { name, shape: [rows, columns], data };
}

function layer(input: string, matrix: string, output: string): NodeSpec[] {
  return [
    { op: 'MatMul', inputs: [input, matrix], outputs: [`${output}-linear`] },
    { op: 'Relu', inputs: [`${output}-linear`], outputs: [output] },
  ];
}

/** A perceptron with 4.7 million parameters; each layer has its own weights. */
export function mediumGraph(): GraphSpec {
  const { width, layers, outputs } = MEDIUM;
  const names = Array.from({ length: layers }, (_, i) => `w${i}`);
  return {
    inputs: [{ name: 'x', type: 'FP32', shape: ['N', width] }],
    outputs: [{ name: 'y', type: 'FP32', shape: ['N', outputs] }],
    nodes: [
      ...names.flatMap((name, i) => layer(i === 0 ? 'x' : `h${i - 1}`, name, `h${i}`)),
      { op: 'MatMul', inputs: [`h${layers - 1}`, 'last'], outputs: ['logits'] },
      { op: 'Softmax', inputs: ['logits'], outputs: ['y'], attributes: [{ name: 'axis', int: 1 }] },
    ],
    floats: [...names.map((name) => weights(name, width, width)), weights('last', width, outputs)],
  };
}

/** Scores of ten classes, `y`, by dense layers of the given widths from `x`. */
function perceptron(widths: readonly number[], rows: 'N' | 1) {
  const [width = 0] = widths;
  const sizes = widths.map((size, i) => [size, widths[i + 1] ?? OUTPUTS] as const);
  const nodes = sizes.flatMap((_, i): NodeSpec[] =>
    i < sizes.length - 1
      ? layer(i === 0 ? 'x' : `h${i}`, `w${i}`, `h${i + 1}`)
      : [
          { op: 'MatMul', inputs: [`h${i}`, `w${i}`], outputs: ['logits'] },
          { op: 'Softmax', inputs: ['logits'], outputs: ['y'], attributes: [{ name: 'axis', int: 1 }] },
        ],
  );
  return {
    inputs: [{ name: 'x', type: 'FP32', shape: [rows, width] }],
    outputs: [{ name: 'y', type: 'FP32', shape: [rows, OUTPUTS] }],
    nodes,
    floats: sizes.map(([from, to], i) => weights(`w${i}`, from, to)),
  } as const satisfies GraphSpec;
}

function labeledGraph(): GraphSpec {
  const graph = perceptron(LABELED.widths, 'N');
  const keys = Array.from({ length: OUTPUTS }, (_, i) => i);
  return {
    ...graph,
    outputs: [{ name: 'label', type: 'BYTES', shape: ['N'] }, ...graph.outputs],
    nodes: [
      ...graph.nodes,
      {
        op: 'ArgMax',
        inputs: ['y'],
        outputs: ['best'],
        attributes: [
          { name: 'axis', int: 1 },
          { name: 'keepdims', int: 0 },
        ],
      },
      {
        op: 'LabelEncoder',
        domain: 'ai.onnx.ml',
        inputs: ['best'],
        outputs: ['label'],
        attributes: [
          { name: 'keys_int64s', ints: keys },
          { name: 'values_strings', strings: keys.map((key) => `class ${key}`) },
        ],
      },
    ],
  };
}

function labeledManifest(): string {
  const columns = Array.from(
    { length: LABELED.widths[0] },
    (_, i) => `  - { name: c${i}, type: number, example: 0.5 }`,
  );
  return ['preload: true', 'task: tabular-classification', 'columns:', ...columns, ''].join('\n');
}

/** 256 numbers in and 256 out, with a chain of products by one shared matrix between them. */
export function heavyGraph(): GraphSpec {
  const { rows, width, layers } = HEAVY;
  const chain = Array.from({ length: layers }, (_, i) => layer(`h${i}`, 'w', `h${i + 1}`)).flat();
  return {
    inputs: [{ name: 'x', type: 'FP32', shape: [rows, 1] }],
    outputs: [{ name: 'y', type: 'FP32', shape: [rows, 1] }],
    nodes: [
      { op: 'MatMul', inputs: ['x', 'first'], outputs: ['h0'] },
      ...chain,
      { op: 'MatMul', inputs: [`h${layers}`, 'last'], outputs: ['y'] },
    ],
    floats: [weights('first', 1, width), weights('w', width, width), weights('last', width, 1)],
  };
}

/**
 * A reflection (Householder matrix) preserves lengths, so that any number of layers neither overflows nor vanishes, and
 * an even number returns the row itself: rounding errors stay small and every input has its own answer.
 */
function reflection(name: string, width: number) {
  const random = pseudoRandom(width);
  const normal = Array.from({ length: width }, () => 2 * random() - 1);
  const square = normal.reduce((sum, value) => sum + value * value, 0);
  const data = normal.flatMap((a, row) => normal.map((b, column) => (row === column ? 1 : 0) - (2 * a * b) / square));
  return { name, shape: [width, width], data };
}

function chainGraph({ layers, canBatch }: { layers: number; canBatch: boolean }): GraphSpec {
  const rows = canBatch ? 'N' : 1;
  const chain = Array.from({ length: layers }, (_, i): NodeSpec => {
    return { op: 'MatMul', inputs: [i === 0 ? 'x' : `h${i}`, 'reflection'], outputs: [`h${i + 1}`] };
  });
  return {
    inputs: [{ name: 'x', type: 'FP32', shape: [rows, CHAIN_WIDTH] }],
    outputs: [{ name: 'y', type: 'FP32', shape: [rows, OUTPUTS] }],
    nodes: [...chain, { op: 'MatMul', inputs: [`h${layers}`, 'last'], outputs: ['y'] }],
    floats: [reflection('reflection', CHAIN_WIDTH), weights('last', CHAIN_WIDTH, OUTPUTS)],
  };
}

export function chainNamed(name: ChainName): Chain {
  return CHAINS.find((one) => one.name === name) as Chain;
}

/** One of the chains alone, so that a server starts fast. `layers` must be even. */
export async function createChainStore(name: ChainName, layers: number): Promise<TestStore> {
  const store = await createStore();
  const graph = encodeModel(chainGraph({ ...chainNamed(name), layers }));
  await store.write(name, { '1/model.onnx': graph, 'model.yaml': PRELOAD });
  return store;
}

const PRELOAD = 'preload: true\n';

/** "medium" and "heavy". */
export async function createGeneratedStore(): Promise<TestStore> {
  const store = await createStore();
  for (const [name, graph] of [
    [MEDIUM.name, mediumGraph()],
    [HEAVY.name, heavyGraph()],
  ] as const) {
    await store.write(name, { '1/model.onnx': encodeModel(graph), 'model.yaml': PRELOAD });
  }
  return store;
}

const COMPARED_CHAINS: readonly ChainName[] = ['two-thirds-ms-alone', 'thirty-ms'];

/** All that answer one item at a time or many rows in comparisons with peers. */
export const COMPARED: readonly string[] = [...PERCEPTRONS.map(({ name }) => name), ...COMPARED_CHAINS, LABELED.name];

export async function createComparedStore(): Promise<TestStore> {
  const store = await createStore();
  for (const { name, widths, canBatch } of PERCEPTRONS) {
    const graph = encodeModel(perceptron(widths, canBatch ? 'N' : 1));
    await store.write(name, { '1/model.onnx': graph, 'model.yaml': PRELOAD });
  }
  for (const one of CHAINS.filter(({ name }) => COMPARED_CHAINS.includes(name)))
    await store.write(one.name, { '1/model.onnx': encodeModel(chainGraph(one)), 'model.yaml': PRELOAD });
  await store.write(LABELED.name, { '1/model.onnx': encodeModel(labeledGraph()), 'model.yaml': labeledManifest() });
  return store;
}
