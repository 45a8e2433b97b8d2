/**
 * The naive peer, as a frontend team might write it in an afternoon: Apollo's standalone server and one ONNX Runtime
 * session in the same process; the resolver awaits `session.run`. It accepts the same mutation and returns the same shape.
 */
import { randomUUID } from 'node:crypto';
import { ApolloServer } from '@apollo/server';
import { startStandaloneServer } from '@apollo/server/standalone';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import type { NaiveOptions } from './processes.ts';

const typeDefs = `#graphql
  type Query { ready: Boolean! }
  type Mutation { predict(input: PredictInput!): PredictPayload }
  input PredictInput { model: String!, input: ModelInput!, record: Boolean }
  input ModelInput { tensors: [TensorInput!]! }
  input TensorInput { name: String!, datatype: String!, shape: [Int!]!, base64: String! }
  type PredictPayload { prediction: Prediction, problem: Problem }
  type Prediction { id: ID!, output: Output, timing: Timing }
  type Timing { totalMs: Float!, inferMs: Float!, batchSize: Int! }
  type Problem { code: String! }
  union Output = Classification | Tensors
  type Classification { label: String!, score: Float }
  type Tensors { tensors: [Tensor!]! }
  type Tensor { name: String!, shape: [Int!]!, base64: String }
`;

interface PredictArguments {
  readonly input: { input: { tensors: { name: string; shape: number[]; base64: string }[] } };
}

const { graphFile, labels } = JSON.parse(process.argv[2] ?? '') as NaiveOptions;
const session = await InferenceSession.create(graphFile, { intraOpNumThreads: 1, logSeverityLevel: 4 });

function feedsOf({ input }: PredictArguments): Record<string, Tensor> {
  return Object.fromEntries(
    input.input.tensors.map(({ name, shape, base64 }) => {
      const { buffer, byteOffset, byteLength } = Buffer.from(base64, 'base64');
      const data = new Float32Array(buffer.slice(byteOffset, byteOffset + byteLength));
      return [name, new Tensor('float32', data, shape)];
    }),
  );
}

function outputOf(name: string, { dims, data }: Tensor) {
  const scores = data as Float32Array;
  if (labels.length > 0) {
    const score = Math.max(...scores);
    return { __typename: 'Classification', label: labels[scores.indexOf(score)], score };
  }
  const base64 = Buffer.from(scores.buffer, scores.byteOffset, scores.byteLength).toString('base64');
  return { __typename: 'Tensors', tensors: [{ name, shape: dims, base64 }] };
}

async function predict(_root: unknown, args: PredictArguments) {
  const begun = performance.now();
  const feeds = feedsOf(args);
  const prepared = performance.now();
  const outputs = await session.run(feeds);
  const inferMs = performance.now() - prepared;
  const [name = ''] = session.outputNames;
  const output = outputOf(name, outputs[name] as Tensor);
  const timing = { totalMs: performance.now() - begun, inferMs, batchSize: 1 };
  return { prediction: { id: randomUUID(), output, timing }, problem: null };
}

async function warmUp(): Promise<void> {
  const [name = ''] = session.inputNames;
  const [metadata] = session.inputMetadata;
  const shape = (metadata?.isTensor ? metadata.shape : []).map((size) => (typeof size === 'number' ? size : 1));
  const values = new Float32Array(shape.reduce((product, size) => product * size, 1));
  for (let i = 0; i < 20; i++) await session.run({ [name]: new Tensor('float32', values, shape) });
}

await warmUp();
const server = new ApolloServer({ typeDefs, resolvers: { Query: { ready: () => true }, Mutation: { predict } } });
const { url } = await startStandaloneServer(server, { listen: { port: 0, host: '127.0.0.1' } });
console.log(`ready ${url}`);
