/**
 * The requests: one mutation for every server, and for each model its inputs and the tensors they become.
 */
import { readFileSync } from 'node:fs';
import { cp, readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { parse } from 'yaml';
import type { Right } from './answers.ts';
import {
  CHAIN_WIDTH,
  type ChainName,
  HEAVY,
  LABELED,
  PERCEPTRONS,
  type PerceptronName,
  pseudoRandom,
} from './graphs.ts';
import type { LoadRequest } from './load.ts';

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

/** Every server can be asked: inputs are one tensor of float32 values. */
export interface TensorWorkload extends Workload {
  /** Every input as a tensor of the graph. */
  readonly tensors: readonly BareTensor[];
  /** Names of the scores, where the service answers one; none where it answers the output itself. */
  readonly labels: readonly string[];
}

const ANSWER = `output { ... on Classification { label score } ... on Tensors { tensors { name shape base64 } } }`;

export const PREDICT = `mutation Predict($input: PredictInput!) {
  predict(input: $input) { prediction { id ${ANSWER} timing { totalMs inferMs batchSize } } problem { code } }
}`;

/** What the open-loop generator reads. */
const PREDICT_TIMED = `mutation ($input: PredictInput!) {
  predict(input: $input) {
    prediction { output { ... on Classification { label score } ... on Tensors { tensors { base64 } } } timing { batchSize } }
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

/** Requests of `load.ts`, one for each input. */
export function predictRequests(workload: TensorWorkload, right: readonly Right[], record: boolean): LoadRequest[] {
  return predictBodies(workload, record).map((body, i) => ({ body, right: [right[i] as Right] }));
}

/** For a route that takes one tensor. */
export function restRequests({ tensors }: TensorWorkload, right: readonly Right[]): LoadRequest[] {
  return tensors.map(({ name, shape, values }, i) => {
    return { body: JSON.stringify({ name, shape, base64: base64Of(values) }), right: [right[i] as Right] };
  });
}

/** Open Inference Protocol: JSON about the tensor, and then its bytes. The answer has the bytes of the output `y`. */
export function oipRequests({ tensors }: TensorWorkload, right: readonly Right[]): LoadRequest[] {
  return tensors.map(({ name, shape, values }, i) => {
    const bytes = Buffer.from(base64Of(values), 'base64');
    const head = JSON.stringify({
      inputs: [{ name, shape, datatype: 'FP32', parameters: { binary_data_size: bytes.length } }],
      outputs: [{ name: 'y', parameters: { binary_data: true } }],
    });
    return {
      body: Buffer.concat([Buffer.from(head), bytes]).toString('base64'),
      encoding: 'base64',
      headers: { 'content-type': 'application/octet-stream', 'inference-header-content-length': String(head.length) },
      right: [right[i] as Right],
    };
  });
}

function base64Of(values: readonly (number | string)[]): string {
  return Buffer.from(Float32Array.from(values as number[]).buffer).toString('base64');
}

/** How the rows of a request are sent and answered. */
export type Rows = 'objects' | 'columns' | 'tensor';

/** Its cost for 1,000 inputs is at the limit, so it selects one kind of output. */
const predictObjects = (output: string) => `mutation PredictMany($input: PredictManyInput!) {
  predictMany(input: $input) { results { prediction { output { ... on ${output} } } problem { code } } problem { code } }
}`;

const predictColumns = (output: string) => `mutation PredictColumns($input: PredictManyInput!) {
  predictMany(input: $input) { columns { count ${output} problems { row } } problem { code } }
}`;

/** Request bodies, one for each input. */
export function predictBodies({ model, inputs }: Workload, record: boolean): string[] {
  return inputs.map((input) => JSON.stringify({ query: PREDICT, variables: { input: { model, input, record } } }));
}

/** So that no row is refused where other programs slow the machine down. */
const BULK_DEADLINE_MS = 60_000;

export function predictManyRequest(
  workload: TensorWorkload,
  right: readonly Right[],
  { rows, count, record }: { rows: Rows; count: number; record: boolean },
): LoadRequest {
  const { model, labels } = workload;
  const repeated = <T>(values: readonly T[]) => Array.from({ length: count }, (_, i) => values[i % values.length] as T);
  const [classes, outputs] = ['label score', 'tensors { base64 }'];
  const isClasses = labels.length > 0;
  const query =
    rows === 'objects'
      ? predictObjects(isClasses ? `Classification { ${classes} }` : `Tensors { ${outputs} }`)
      : predictColumns(isClasses ? 'labels scores' : outputs);
  const inputs = repeated(workload.inputs);
  const given =
    rows === 'objects' ? { inputs } : { rows: rows === 'columns' ? columnsOf(inputs) : tensorOf(workload, count) };
  const body = JSON.stringify({
    query,
    variables: { input: { model, ...given, record, deadlineMs: BULK_DEADLINE_MS } },
  });
  return { body, right: repeated(right) };
}

function columnsOf(inputs: readonly unknown[]) {
  const rows = (inputs as { row: Record<string, number> }[]).map(({ row }) => row);
  const names = Object.keys(rows[0] ?? {});
  return { columns: Object.fromEntries(names.map((name) => [name, rows.map((row) => row[name])])) };
}

function tensorOf({ tensors }: TensorWorkload, count: number) {
  const [{ name, shape }] = tensors as [BareTensor];
  const values = Array.from({ length: count }, (_, i) => tensors[i % tensors.length]?.values ?? []).flat();
  return { tensors: [{ name, datatype: 'FP32', shape: [count, ...shape.slice(1)], base64: base64Of(values) }] };
}

export async function forest(): Promise<TensorWorkload> {
  const model = 'breast-cancer-forest';
  const inputs = (await goldenInputs(model)) as { row: Record<string, number> }[];
  const tensors = inputs.map(({ row }) => {
    const values = Object.values(row);
    return { name: 'input', datatype: 'float32', shape: [1, values.length], values } as const;
  });
  const title = 'breast-cancer-forest, row';
  return { title, model, inputs, tensors, tensor: tensors[0] as BareTensor, labels: labelsOf(model) };
}

function labelsOf(model: string): string[] {
  return parse(readFileSync(path.join(STORE, model, 'model.yaml'), 'utf8')).labels;
}

export async function spamFilter(): Promise<Workload> {
  const inputs = (await goldenInputs('spam-filter')) as { text: string }[];
  const tensor = { name: 'text', datatype: 'string', shape: [1, 1], values: [inputs[0]?.text ?? ''] } as const;
  return { title: 'spam-filter, text', model: 'spam-filter', inputs, tensor };
}

export async function mlpImage(): Promise<Workload> {
  const { model, tensor } = mlpTensor();
  return { title: 'fashion-mlp, image', model, inputs: await goldenInputs(model), tensor };
}

export function mlpTensor(): TensorWorkload {
  const workload = floats({ title: 'fashion-mlp, tensor', model: 'fashion-mlp', name: 'input', shape: [1, 100] });
  return { ...workload, labels: labelsOf(workload.model) };
}

export function perceptronTensor(model: PerceptronName): TensorWorkload {
  const [width = 0] = PERCEPTRONS.find(({ name }) => name === model)?.widths ?? [];
  return floats({ title: model, model, name: 'x', shape: [1, width] });
}

export function labeled(): TensorWorkload {
  return floats({ title: LABELED.name, model: LABELED.name, name: 'x', shape: [1, LABELED.widths[0]] });
}

export function heavy(): TensorWorkload {
  return floats({ title: 'heavy, tensor', model: HEAVY.name, name: 'x', shape: [HEAVY.rows, 1] });
}

export function chain(model: ChainName): TensorWorkload {
  return floats({ title: model, model, name: 'x', shape: [1, CHAIN_WIDTH] });
}

const DIFFERENT_INPUTS = 16;

function floats(of: { title: string; model: string; name: string; shape: [number, number] }): TensorWorkload {
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
  return { title, model, inputs, tensors, tensor: tensors[0] as BareTensor, labels: [] };
}

export function graphFile(store: string, model: string): string {
  return path.join(store, model, '1/model.onnx');
}

/** Copies a model of the store into another one. */
export function copyModel(model: string, folder: string): Promise<void> {
  return cp(path.join(STORE, model), path.join(folder, model), { recursive: true });
}

async function goldenInputs(model: string): Promise<unknown[]> {
  return (await goldenCases(model)).map(({ input }) => input);
}

/** The right answers to the inputs of a classifier's golden cases. */
export async function goldenRight(model: string): Promise<Right[]> {
  return (await goldenCases(model)).map(({ expect: { label, scores } }) => ({
    label,
    score: scores[label] ?? Number.NaN,
  }));
}

interface GoldenCase {
  readonly input: unknown;
  readonly expect: { readonly label: string; readonly scores: Readonly<Record<string, number>> };
}

async function goldenCases(model: string): Promise<GoldenCase[]> {
  const versions = (await readdir(path.join(STORE, model))).filter((name) => /^\d+$/.test(name));
  const newest = versions.toSorted((a, b) => Number(b) - Number(a))[0] ?? '1';
  return JSON.parse(await readFile(path.join(STORE, model, newest, 'golden.json'), 'utf8')).cases;
}

export const STORE = path.resolve(import.meta.dirname, '../../model-store');
