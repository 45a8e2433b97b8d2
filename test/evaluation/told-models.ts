/**
 * Models whose versions answer what the rows tell them: version 1 answers the column `v1`, version 2 the column `v2` and so
 * on. So a test decides which rows each version answers right.
 */
import { createStore, type TestStore } from '../support/model-store.js';
import { encodeModel, type NodeSpec } from '../support/onnx.js';

export const VERSIONS = 5;

const COLUMNS = Array.from({ length: VERSIONS }, (_, i) => `  - { name: v${i + 1}, type: number, example: 0.5 }`).join(
  '\n',
);

/** The probability of "yes" is above a half if v is. */
function classifier(version: number): Buffer {
  const data = Array.from({ length: VERSIONS }, (_, i) => (i + 1 === version ? [-1, 1] : [0, 0])).flat();
  return encodeModel({
    inputs: [{ name: 'x', type: 'FP32', shape: ['N', VERSIONS] }],
    outputs: [{ name: 'y', type: 'FP32', shape: ['N', 2] }],
    nodes: [
      { op: 'MatMul', inputs: ['x', 'w'], outputs: ['chosen'] },
      { op: 'Add', inputs: ['chosen', 'b'], outputs: ['logits'] },
      { op: 'Softmax', inputs: ['logits'], outputs: ['y'] },
    ],
    floats: [
      { name: 'w', shape: [VERSIONS, 2], data },
      { name: 'b', shape: [2], data: [1, 0] },
    ],
  });
}

/** Numbers; version 2 has no answer to negative ones. */
function regressor(version: number): Buffer {
  const data = Array.from({ length: VERSIONS }, (_, i) => (i + 1 === version ? 1 : 0));
  const squareOfRoot: NodeSpec[] = [
    { op: 'Sqrt', inputs: ['chosen'], outputs: ['root'] },
    { op: 'Mul', inputs: ['root', 'root'], outputs: ['y'] },
  ];
  return encodeModel({
    inputs: [{ name: 'x', type: 'FP32', shape: ['N', VERSIONS] }],
    outputs: [{ name: 'y', type: 'FP32', shape: ['N', 1] }],
    nodes: [
      { op: 'MatMul', inputs: ['x', 'w'], outputs: [version === 2 ? 'chosen' : 'y'] },
      ...(version === 2 ? squareOfRoot : []),
    ],
    floats: [{ name: 'w', shape: [VERSIONS, 1], data }],
  });
}

/** A store with the models `told-class`, of the classes "no" and "yes", and `told-number`. */
export async function toldModels(): Promise<TestStore> {
  const store = await createStore();
  const graphs = (graphOf: (version: number) => Buffer) =>
    Object.fromEntries(
      Array.from({ length: VERSIONS }, (_, i) => [`${i + 1}/model.onnx`, graphOf(i + 1)] as [string, Buffer]),
    );
  await store.write('told-class', {
    ...graphs(classifier),
    'model.yaml': `task: tabular-classification\nlabels: ["no", "yes"]\ncolumns:\n${COLUMNS}\noutput: { scores: y }`,
  });
  await store.write('told-number', {
    ...graphs(regressor),
    'model.yaml': `task: tabular-regression\ncolumns:\n${COLUMNS}\noutput: { value: y }`,
  });
  return store;
}

/** What each version answers to a row, and what is true. */
export type ToldRow = readonly [truth: unknown, ...answers: number[]];

/** As the content of a dataset of JSON lines. What is not told differs from row to row, because equal rows are refused. */
export function toldRows(rows: readonly ToldRow[]): string {
  return rows
    .map(([truth, ...answers], row) => {
      const columns = Array.from({ length: VERSIONS }, (_, i) => [`v${i + 1}`, answers[i] ?? (row + 1) / 10_000]);
      return `${JSON.stringify({ ...Object.fromEntries(columns), truth })}\n`;
    })
    .join('');
}
