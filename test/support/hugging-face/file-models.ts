/** A tiny model that reads the bytes of files. */
import { TYPE } from '../onnx.ts';
import { card, encode, type Folder, floats, keepDimensions, node } from './folder.ts';

/** Values that are read: four bytes at the beginning, and four at the end. */
const VALUES = 8;

export function fileModels(): Record<string, Folder> {
  return { 'tiny-file-types': fileTypes() };
}

/**
 * The logit of "binary" is a tenth of the mean of the values read, minus 10, and that of "text" is the opposite. For a file
 * of eight "A" (65) they are −3.5 and 3.5, and "text" scores 1 / (1 + e^−7) = 0.99909. Missing bytes are 256.
 */
function fileTypes(): Folder {
  const graph = encode({
    inputs: [{ name: 'values', type: 'INT32', shape: ['batch', VALUES] }],
    outputs: [floats('probabilities', ['batch', 2])],
    nodes: [
      node('Cast', ['values'], 'numbers', [{ name: 'to', int: TYPE.FP32 }]),
      node('ReduceSum', ['numbers', 'axis_1'], 'sums', keepDimensions(true)),
      node('MatMul', ['sums', 'weights'], 'weighted'),
      node('Add', ['weighted', 'bias'], 'logits'),
      node('Softmax', ['logits'], 'probabilities', [{ name: 'axis', int: -1 }]),
    ],
    floats: [
      { name: 'weights', shape: [1, 2], data: [-0.1 / VALUES, 0.1 / VALUES] },
      { name: 'bias', shape: [2], data: [10, -10] },
    ],
  });
  return {
    'README.md': card(),
    'model.yaml': `task: file-classification
labels: [text, binary]
output: { scores: probabilities }
bytes: { begin: 4, end: 4, padding: 256, stripWithin: 16 }
`,
    '1/model.onnx': graph,
  };
}
