/** What the operators of a graph say about how it runs on a GPU. */
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { hasConvolutions, runsOnCpu } from '#src/onnx/provider-operators.js';
import { STORE } from '../support/app.js';
import { encodeModel } from '../support/onnx.js';

/** The graph of the first version in the folder of a model. */
function graphOf(model: string): Buffer {
  const folder = path.join(STORE, model);
  const file = readdirSync(folder, { recursive: true, encoding: 'utf8' }).find((name) => name.endsWith('model.onnx'));
  return readFileSync(path.join(folder, file ?? ''));
}

test.each([
  ['breast-cancer-forest', true],
  ['penguins', true],
  ['penguin-mass', true],
  ['spam-filter', true],
  ['face-detector', false],
  ['fashion-cnn', false],
  ['fashion-mlp', false],
  ['spam-embeddings', false],
])('the shipped model %s runs on the CPU only: %s', (model, expected) => {
  expect(runsOnCpu(graphOf(model))).toBe(expected);
});

test('the shipped models with convolutions are known', () => {
  const all = ['breast-cancer-forest', 'penguins', 'face-detector', 'fashion-cnn', 'fashion-mlp', 'spam-embeddings'];

  expect(all.filter((model) => hasConvolutions(graphOf(model)))).toEqual(['face-detector', 'fashion-cnn']);
});

test('a graph with a label encoder behind a net does not run on the CPU only', () => {
  const graph = encodeModel({
    inputs: [{ name: 'x', type: 'FP32', shape: ['N', 2] }],
    outputs: [{ name: 'y', type: 'INT64', shape: ['N'] }],
    nodes: [
      { op: 'MatMul', inputs: ['x', 'w'], outputs: ['h'] },
      { op: 'LabelEncoder', inputs: ['h'], outputs: ['y'] },
    ],
    floats: [{ name: 'w', shape: [2, 1], data: [1, 2] }],
  });

  expect(runsOnCpu(graph)).toBe(false);
});
