/**
 * The models of the audit: those of the store, tiny ones of every task, graphs that compute much, and a model of each kind
 * of tokenizer.
 */

import { encode, type Folder, floats, node } from '../../support/hugging-face/folder.ts';
import { VOCABULARY } from '../../support/hugging-face/text-folder.ts';
import { huggingFaceFolders } from '../../support/hugging-face.ts';
import type { TestStore } from '../../support/model-store.ts';
import { encodeModel, type Initializer, type NodeSpec, TYPE } from '../../support/onnx.ts';
import { golden } from '../../support/tokenizers.ts';
import { fillModels } from '../fuzz/material.ts';

/** WordPiece, byte-level BPE, BPE with a fallback to bytes, and Unigram with NFKC. */
const TOKENIZERS = ['bert-uncased', 'gpt2-trimmed', 'llama2', 't5'];

/** Returns the path of the folder with all models. */
export async function fillAuditedModels(store: TestStore): Promise<string> {
  const models = await fillModels(store);
  for (const [name, folder] of Object.entries(dearModels())) await store.write(`models/${name}`, folder);
  return models;
}

export function dearModels(): Record<string, Folder> {
  const folders = huggingFaceFolders();
  return {
    ...Object.fromEntries(TOKENIZERS.map((name) => [`tokenizer-${name}`, tokenizerModel(name)])),
    'dear-embeddings': { ...folders['tiny-embed'], 'onnx/model.onnx': transformer('last_hidden_state', WIDTH) },
    'dear-entities': { ...folders['tiny-ner'], 'onnx/model.onnx': transformer('logits', 3) },
    'dear-images': { ...folders['tiny-vit'], 'onnx/model.onnx': convolutions() },
    'dear-tensors': { '1/model.onnx': layers() },
  };
}

/** An embedding of one dimension: the token's id. */
function tokenizerModel(name: string): Folder {
  const tokens = ['batch', 'sequence'];
  const graph = encode({
    inputs: [
      { name: 'input_ids', type: 'INT64', shape: tokens },
      { name: 'attention_mask', type: 'INT64', shape: tokens },
    ],
    outputs: [floats('last_hidden_state', [...tokens, 1])],
    nodes: [
      node('Mul', ['input_ids', 'attention_mask'], 'present'),
      node('Cast', ['present'], 'numbers', [{ name: 'to', int: TYPE.FP32 }]),
      node('Unsqueeze', ['numbers', 'axis_2'], 'last_hidden_state'),
    ],
  });
  return {
    'config.json': '{ "architectures": ["BertModel"], "max_position_embeddings": 512 }',
    'tokenizer.json': JSON.stringify(golden(name).spec),
    'onnx/model.onnx': graph,
  };
}

const WIDTH = 192;
const LAYERS = 1;

/** Layers of attention and of a feed-forward network, like those of small sentence embeddings. */
function transformer(output: string, width: number): Buffer {
  const nodes: NodeSpec[] = [
    node('Gather', ['words', 'input_ids'], 'hidden'),
    node('Cast', ['attention_mask'], 'present', [{ name: 'to', int: TYPE.FP32 }]),
    node('Unsqueeze', ['present', 'axis_2'], 'mask'),
    node('Mul', ['hidden', 'mask'], 'h0'),
  ];
  const weights = [weight('words', VOCABULARY.length, WIDTH)];
  for (let i = 0; i < LAYERS; i++) {
    const multiply = (input: string, name: string, rows: number, columns: number, result: string) => {
      const matrix = `${name}_weights${i}`;
      weights.push(weight(matrix, rows, columns));
      nodes.push(node('MatMul', [input, matrix], result));
    };
    for (const part of ['q', 'k', 'v']) multiply(`h${i}`, part, WIDTH, WIDTH, `${part}${i}`);
    nodes.push(
      node('Transpose', [`k${i}`], `k${i}_turned`, [{ name: 'perm', ints: [0, 2, 1] }]),
      node('MatMul', [`q${i}`, `k${i}_turned`], `scores${i}`),
      node('Softmax', [`scores${i}`], `attention${i}`, [{ name: 'axis', int: 2 }]),
      node('MatMul', [`attention${i}`, `v${i}`], `attended${i}`),
    );
    multiply(`attended${i}`, 'wide', WIDTH, 4 * WIDTH, `wide${i}`);
    nodes.push(node('Relu', [`wide${i}`], `active${i}`));
    multiply(`active${i}`, 'narrow', 4 * WIDTH, WIDTH, `h${i + 1}`);
  }
  nodes.push(node('MatMul', [`h${LAYERS}`, 'head'], output));
  const tokens = ['batch', 'sequence'];
  return encode({
    inputs: ['input_ids', 'attention_mask'].map((name) => ({ name, type: 'INT64', shape: tokens })),
    outputs: [floats(output, [...tokens, width])],
    nodes,
    floats: [...weights, weight('head', WIDTH, width)],
  });
}

/** Three convolutions at full size, and a classifier. */
function convolutions(): Buffer {
  const channels = [3, 64, 64, 64];
  return encode({
    inputs: [floats('pixel_values', ['batch', 3, 'height', 'width'])],
    outputs: [floats('logits', ['batch', 3])],
    nodes: [
      ...[1, 2, 3].map((i) =>
        node('Conv', [i === 1 ? 'pixel_values' : `c${i - 1}`, `w${i}`], `c${i}`, [
          { name: 'kernel_shape', ints: [3, 3] },
          { name: 'pads', ints: [1, 1, 1, 1] },
        ]),
      ),
      node('GlobalAveragePool', ['c3'], 'pooled'),
      node('Flatten', ['pooled'], 'flat'),
      node('MatMul', ['flat', 'head'], 'logits'),
    ],
    floats: [...[1, 2, 3].map((i) => weight(`w${i}`, 64, channels[i - 1] ?? 1, 3, 3)), weight('head', 64, 3)],
  });
}

/** Fully connected layers. */
function layers(): Buffer {
  const count = 4;
  return encodeModel({
    inputs: [{ name: 'x', type: 'FP32', shape: ['N', 512] }],
    outputs: [{ name: 'y', type: 'FP32', shape: ['N', 512] }],
    nodes: Array.from({ length: count }, (_, i) =>
      node('MatMul', [i === 0 ? 'x' : `h${i}`, `w${i}`], i === count - 1 ? 'y' : `h${i + 1}`),
    ),
    floats: Array.from({ length: count }, (_, i) => weight(`w${i}`, 512, 512)),
  });
}

/** Small weights, all different, so that nothing grows beyond the range of floats. */
function weight(name: string, ...shape: number[]): Initializer {
  const count = shape.reduce((product, size) => product * size, 1);
  return {
    name,
    shape,
    data: Float32Array.from({ length: count }, (_, i) => (((i * 7_919) % 1_009) / 1_009 - 0.5) / 64),
  };
}
