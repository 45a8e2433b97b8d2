/** The schema and the resolvers of the peers that speak GraphQL: the same mutation as ours, and answers of the same shape. */
import { randomUUID } from 'node:crypto';
import { answer, type TensorInput } from './session.ts';

export const typeDefs = `
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

export const resolvers = {
  Query: { ready: () => true },
  Mutation: {
    async predict(_root: unknown, { input }: { input: { input: { tensors: TensorInput[] } } }) {
      return { prediction: { id: randomUUID(), ...(await answer(input.input.tensors)) }, problem: null };
    },
  },
};
