/** What all peers in Node.js do for a prediction: one ONNX Runtime session in their own process. */
import { InferenceSession, Tensor } from 'onnxruntime-node';
import type { PeerOptions } from '../processes.ts';

export interface TensorInput {
  readonly name: string;
  readonly shape: readonly number[];
  /** Float32 values. */
  readonly base64: string;
}

const { graphFile, labels } = JSON.parse(process.argv[2] ?? '') as PeerOptions;
const session = await InferenceSession.create(graphFile, { intraOpNumThreads: 1, logSeverityLevel: 4 });

function tensorOf({ shape, base64 }: TensorInput): Tensor {
  const { buffer, byteOffset, byteLength } = Buffer.from(base64, 'base64');
  return new Tensor('float32', new Float32Array(buffer.slice(byteOffset, byteOffset + byteLength)), shape);
}

function outputOf(outputs: Readonly<Record<string, Tensor>>) {
  const [name = '', found] = Object.entries(outputs).find(([, { type }]) => type === 'float32') ?? [];
  const { data, dims } = found as Tensor;
  const scores = data as Float32Array;
  const label = Object.values(outputs).find(({ type }) => type === 'string')?.data[0];
  if (label !== undefined || labels.length > 0) {
    const score = Math.max(...scores);
    return { __typename: 'Classification', label: label ?? labels[scores.indexOf(score)], score };
  }
  const base64 = Buffer.from(scores.buffer, scores.byteOffset, scores.byteLength).toString('base64');
  return { __typename: 'Tensors', tensors: [{ name, shape: dims, base64 }] };
}

export async function answer(tensors: readonly TensorInput[]) {
  const begun = performance.now();
  const feeds = Object.fromEntries(tensors.map((tensor) => [tensor.name, tensorOf(tensor)]));
  const prepared = performance.now();
  const outputs = await session.run(feeds);
  const inferMs = performance.now() - prepared;
  const output = outputOf(outputs);
  return { output, timing: { totalMs: performance.now() - begun, inferMs, batchSize: 1 } };
}
