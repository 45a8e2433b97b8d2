/** The same without GraphQL: one Fastify route with JSON schemas, which compile its parser and its serializer. */
import fastify from 'fastify';
import { answer, type TensorInput } from './session.ts';

const string = { type: 'string' };
const shape = { type: 'array', items: { type: 'integer' } };
const body = {
  type: 'object',
  required: ['name', 'shape', 'base64'],
  properties: { name: string, shape, base64: string },
};
const tensor = { type: 'object', properties: { name: string, shape, base64: string } };
const output = {
  type: 'object',
  properties: { label: string, score: { type: 'number' }, tensors: { type: 'array', items: tensor } },
};

const app = fastify();
app.post<{ Body: TensorInput }>('/predict', { schema: { body, response: { 200: output } } }, async (request) => {
  return (await answer([request.body])).output;
});
console.log(`ready ${await app.listen({ port: 0, host: '127.0.0.1' })}/predict`);
