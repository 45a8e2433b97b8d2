/**
 * A model store of many folders, each with a small graph of its own, a card and a `model.yaml`.
 *
 *   node test/support/many-folders.ts <folder> <count>
 */
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { encodeModel } from './onnx.ts';

const YAML = `task: tabular-classification
labels: [left, right]
columns:
  - { name: a, type: number, example: 1 }
  - { name: b, type: number, example: 2 }
output: { scores: scores, activation: softmax }
`;

function card(i: number): string {
  return `---
license: mit
tags: [tiny, group-${i % 10}]
---
# Tiny model ${i}

Decides between left and right by two numbers, with the weights of folder ${i}.

## Intended use

Tests of stores with many models. ${'It has no use beyond that. '.repeat(20)}
`;
}

/** Adds the folders tiny-0000, tiny-0001 …; the scores are the row times a 2 × 2 matrix. */
export async function writeManyFolders(store: string, count: number): Promise<void> {
  for (let i = 0; i < count; i++) {
    const folder = path.join(store, `tiny-${String(i).padStart(4, '0')}`);
    await mkdir(path.join(folder, '1'), { recursive: true });
    await writeFile(path.join(folder, 'README.md'), card(i));
    await writeFile(path.join(folder, 'model.yaml'), YAML);
    await writeFile(path.join(folder, '1/model.onnx'), graph(i));
  }
}

function graph(i: number): Buffer {
  return encodeModel({
    inputs: [{ name: 'x', type: 'FP32', shape: ['N', 2] }],
    outputs: [{ name: 'scores', type: 'FP32', shape: ['N', 2] }],
    floats: [{ name: 'weights', shape: [2, 2], data: [i, 1, -1, i / 2] }],
    nodes: [{ op: 'MatMul', inputs: ['x', 'weights'], outputs: ['scores'] }],
  });
}

const [, script, folder, count] = process.argv;
if (script === import.meta.filename) await writeManyFolders(folder as string, Number(count));
