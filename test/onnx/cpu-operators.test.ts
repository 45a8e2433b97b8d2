/** Which graphs run on the CPU although a GPU is in use. */
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { runsOnCpu } from '#src/onnx/cpu-operators.js';
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
