/** The estimate of a graph's operations, compared with a count by hand. */

import { operationsPerValue } from '#src/onnx/graph-operations.js';
import { fieldsOf } from '#src/onnx/protobuf.js';
import { encodeModel, type GraphSpec, type Initializer, type NodeSpec, type ValueInfo } from '../support/onnx.js';

/** Of a row. Writing an element counts as 8 multiplications. */
const WRITE = 8;
/** Sizes that the graph leaves open. */
const OPEN = 64;

const input = (shape: ValueInfo['shape'], type: ValueInfo['type'] = 'FP32'): ValueInfo => ({ name: 'x', type, shape });
const weight = (name: string, ...shape: number[]): Initializer => ({
  name,
  shape,
  data: new Float32Array(shape.reduce((product, size) => product * size, 1)),
});
const node = (op: string, inputs: string[], output: string, attributes: NodeSpec['attributes'] = []): NodeSpec => ({
  op,
  inputs,
  outputs: [output],
  attributes,
});
const conv = (from: string, by: string, to: string, strides: readonly number[], group = 1) =>
  node('Conv', [from, by], to, [
    { name: 'strides', ints: strides },
    { name: 'group', int: group },
  ]);

/** Operations for a row of the input, with sizes that are open as `OPEN`. */
function operations(graph: Omit<GraphSpec, 'outputs'>): number {
  const bytes = encodeModel({ ...graph, outputs: [{ name: 'y', type: 'FP32', shape: ['N'] }] });
  const [, ...shape] = graph.inputs[0]?.shape ?? [];
  const values = shape.map((size) => (typeof size === 'number' ? size : OPEN)).reduce((a, b) => a * b, 1);
  const parts = [...fieldsOf(bytes)];
  return operationsPerValue(parts.find(({ number }) => number === 7)?.bytes as Uint8Array) * values;
}

test.each<[string, Omit<GraphSpec, 'outputs'>, number]>([
  [
    'a fully connected layer multiplies with each weight once',
    { inputs: [input(['N', 100])], nodes: [node('MatMul', ['x', 'w'], 'y')], floats: [weight('w', 100, 10)] },
    1_000 + WRITE * 10,
  ],
  [
    'transposed weights have their rows and columns exchanged',
    {
      inputs: [input(['N', 100])],
      nodes: [node('Gemm', ['x', 'w'], 'y', [{ name: 'transB', int: 1 }])],
      floats: [weight('w', 10, 100)],
    },
    1_000 + WRITE * 10,
  ],
  [
    'a convolution multiplies at each pixel of its output',
    { inputs: [input(['N', 3, 32, 32])], nodes: [conv('x', 'w', 'y', [2, 2])], floats: [weight('w', 8, 3, 3, 3)] },
    16 * 16 * (8 * 3 * 3 * 3 + WRITE * 8),
  ],
  [
    'a depthwise convolution has one filter for each channel',
    { inputs: [input(['N', 8, 32, 32])], nodes: [conv('x', 'w', 'y', [1, 1], 8)], floats: [weight('w', 8, 1, 3, 3)] },
    32 * 32 * (8 * 3 * 3 + WRITE * 8),
  ],
  [
    'the head after convolutions multiplies with each weight once, with and without a known shape between them',
    {
      inputs: [input(['N', 1, 8, 8])],
      nodes: [conv('x', 'w', 'c', [2, 2]), node('Reshape', ['c', 'computed'], 'f'), node('MatMul', ['f', 'head'], 'y')],
      floats: [weight('w', 4, 1, 3, 3), weight('head', 4 * 4 * 4, 10)],
    },
    16 * (4 * 9 + WRITE * 4) + WRITE * 64 + (640 + WRITE * 10),
  ],
  [
    'tokens multiply with each weight at each position',
    {
      inputs: [input(['N', 'T'], 'INT64')],
      nodes: [node('Gather', ['words', 'x'], 'h'), node('MatMul', ['h', 'w'], 'y')],
      floats: [weight('words', 1_000, 32), weight('w', 32, 16)],
    },
    OPEN * (WRITE * 32 + 32 * 16 + WRITE * 16),
  ],
  [
    'attention multiplies each position with each other',
    {
      inputs: [input(['N', 'T', 32])],
      nodes: [node('MatMul', ['x', 'x'], 'y')],
    },
    OPEN * OPEN * 32 + WRITE * OPEN * 32,
  ],
  [
    'looking up words costs what is written, not what is stored',
    {
      inputs: [input(['N', 'T'], 'INT64')],
      nodes: [node('Gather', ['words', 'x'], 'y')],
      floats: [weight('words', 10_000, 4)],
    },
    OPEN * WRITE * 4,
  ],
  [
    'an operator that is not known reads its weights',
    { inputs: [input(['N', 10])], nodes: [node('Mystery', ['x', 'w'], 'y')], floats: [weight('w', 50, 50)] },
    2_500 + WRITE * 10,
  ],
  [
    'weights of a subgraph are used once',
    { inputs: [input(['N', 10])], nodes: [node('Relu', ['x'], 'y')], floats: [weight('inner', 500)] },
    500 + WRITE * 10,
  ],
  [
    'strides of zero do not make it infinite',
    { inputs: [input(['N', 3, 32, 32])], nodes: [conv('x', 'w', 'y', [0, 0])], floats: [weight('w', 8, 3, 3, 3)] },
    32 * 32 * (8 * 27 + WRITE * 8),
  ],
])('%s', (_, graph, expected) => {
  expect(operations(graph)).toBeCloseTo(expected, 6);
});

test('a node with hundreds of thousands of inputs is counted', () => {
  const graph = { inputs: [input(['N', 10])], nodes: [node('Sum', Array(200_000).fill('x'), 'y')] };

  expect(operations(graph)).toBeCloseTo(WRITE * 10, 6);
});
