/**
 * The requests: one mutation for every server, and for each model its inputs and the tensors they become.
 */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { CHAIN_WIDTH, type ChainName, HEAVY, MEDIUM, pseudoRandom } from './graphs.ts';

export interface BareTensor {
  readonly name: string;
  readonly datatype: 'float32' | 'string';
  readonly shape: readonly number[];
  readonly values: readonly (number | string)[];
}

export interface Workload {
  readonly title: string;
  readonly model: string;
  /** Inputs as a client sends them. */
  readonly inputs: readonly unknown[];
  /** The first input as tensors of the graph. */
  readonly tensor: BareTensor;
}

export interface ChainWorkload extends Workload {
  readonly model: ChainName;
  /** Every input as tensors of the graph. */
  readonly tensors: readonly BareTensor[];
}

const ANSWER = `output { ... on Classification { label score } ... on Tensors { tensors { name shape base64 } } }`;

export const PREDICT = `mutation Predict($input: PredictInput!) {
  predict(input: $input) { prediction { id ${ANSWER} timing { totalMs inferMs batchSize } } problem { code } }
}`;

/** What the open-loop generator reads. */
const PREDICT_TIMED = `mutation ($input: PredictInput!) {
  predict(input: $input) {
    prediction { output { ... on Tensors { tensors { base64 } } } timing { batchSize } }
    problem { code ... on DeadlineExceeded { phase } }
  }
}`;

/** Unrecorded predictions for the open-loop generator, one for each input. */
export function timedPredictBodies({ model, inputs }: Workload, deadlineMs: number): string[] {
  return inputs.map((input) => {
    const variables = { input: { model, input, deadlineMs, record: false } };
    return JSON.stringify({ query: PREDICT_TIMED, variables });
  });
}

/** Its cost for 1,000 inputs is exactly the limit, so it can select nothing more. */
export const PREDICT_MANY = `mutation PredictMany($input: PredictManyInput!) {
  predictMany(input: $input) {
    results { prediction { output { ... on Classification { label score } } } problem { code } }
    problem { code }
  }
}`;

/** Request bodies, one for each input. */
export function predictBodies({ model, inputs }: Workload, record: boolean): string[] {
  return inputs.map((input) => JSON.stringify({ query: PREDICT, variables: { input: { model, input, record } } }));
}

export function predictManyBody({ model, inputs }: Workload, rows: number, record: boolean): string {
  const many = Array.from({ length: rows }, (_, i) => inputs[i % inputs.length]);
  return JSON.stringify({ query: PREDICT_MANY, variables: { input: { model, inputs: many, record } } });
}

/** Whether the answer has no GraphQL error and no problem. */
export function isAnswered(body: string): boolean {
  return body.startsWith('{"data":{') && !body.includes('"problem":{') && !body.includes('"errors":');
}

export async function forest(): Promise<Workload> {
  const inputs = (await goldenInputs('breast-cancer-forest')) as { row: Record<string, number> }[];
  const values = Object.values(inputs[0]?.row ?? {});
  const tensor = { name: 'input', datatype: 'float32', shape: [1, values.length], values } as const;
  return { title: 'breast-cancer-forest, row', model: 'breast-cancer-forest', inputs, tensor };
}

export async function spamFilter(): Promise<Workload> {
  const inputs = (await goldenInputs('spam-filter')) as { text: string }[];
  const tensor = { name: 'text', datatype: 'string', shape: [1, 1], values: [inputs[0]?.text ?? ''] } as const;
  return { title: 'spam-filter, text', model: 'spam-filter', inputs, tensor };
}

export async function mlpImage(): Promise<Workload> {
  const inputs = await goldenInputs('fashion-mlp');
  return { ...mlpTensor(), title: 'fashion-mlp, image', inputs };
}

export function mlpTensor(): Workload {
  return floats({ title: 'fashion-mlp, tensor', model: 'fashion-mlp', name: 'input', shape: [1, 100] });
}

export function medium(): Workload {
  return floats({ title: 'medium, tensor', model: MEDIUM.name, name: 'x', shape: [1, MEDIUM.width] });
}

export function heavy(): Workload {
  return floats({ title: 'heavy, tensor', model: HEAVY.name, name: 'x', shape: [HEAVY.rows, 1] });
}

export function chain(model: ChainName): ChainWorkload {
  const workload = floats({ title: model, model, name: 'x', shape: [1, CHAIN_WIDTH] });
  return { ...workload, model };
}

const DIFFERENT_INPUTS = 16;

function floats(of: { title: string; model: string; name: string; shape: [number, number] }) {
  const { title, model, name, shape } = of;
  const random = pseudoRandom(1);
  const rows = Array.from({ length: DIFFERENT_INPUTS }, () =>
    Float32Array.from({ length: shape[0] * shape[1] }, random),
  );
  const inputs = rows.map((row) => {
    const base64 = Buffer.from(row.buffer).toString('base64');
    return { tensors: [{ name, datatype: 'FP32', shape, base64 }] };
  });
  const tensors = rows.map((row) => ({ name, datatype: 'float32' as const, shape, values: [...row] }));
  return { title, model, inputs, tensors, tensor: tensors[0] as BareTensor };
}

export function graphFile(store: string, model: string): string {
  return path.join(store, model, '1/model.onnx');
}

async function goldenInputs(model: string): Promise<unknown[]> {
  const { cases } = JSON.parse(await readFile(path.join(STORE, model, '1/golden.json'), 'utf8'));
  return cases.map(({ input }: { input: unknown }) => input);
}

export const STORE = path.resolve(import.meta.dirname, '../../model-store');
