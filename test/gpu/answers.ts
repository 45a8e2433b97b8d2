/** The golden inputs of a model store, what a server answers to them, and how far two servers' answers are apart. */
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { MEDIUM } from '../bench/graphs.ts';
import type { Data } from '../support/graphql-client.ts';
import { OUTPUT, SPAN } from '../support/output-selection.ts';
import type { GpuServer } from './server.ts';

export interface ModelInputs {
  readonly model: string;
  readonly inputs: readonly object[];
}
/** By model, one for each input. */
export type Answers = Readonly<Record<string, readonly Data[]>>;

const MAX_INPUTS = 20;
export const MEDIUM_INPUTS: ModelInputs = {
  model: MEDIUM.name,
  inputs: Array.from({ length: 4 }, (_, n) => ({
    tensors: [
      {
        name: 'x',
        datatype: 'FP32',
        shape: [1, MEDIUM.width],
        data: Array.from({ length: MEDIUM.width }, (_, i) => ((i * 31 + n) % 17) / 17),
      },
    ],
  })),
};

export function goldenInputs(store: string): ModelInputs[] {
  const folders = readdirSync(store, { withFileTypes: true }).filter((entry) => entry.isDirectory());
  const shipped = folders.flatMap(({ name: model }) => {
    const versions = readdirSync(path.join(store, model)).filter((name) => /^\d+$/.test(name));
    const newest = versions.sort((a, b) => Number(b) - Number(a)).map((version) => `${version}/golden.json`);
    const golden = ['golden.json', ...newest].map((file) => path.join(store, model, file)).find(exists);
    if (!golden) return [];
    const { cases } = JSON.parse(readFileSync(golden, 'utf8'));
    return [{ model, inputs: cases.slice(0, MAX_INPUTS).map(({ input }: { input: object }) => input) }];
  });
  return shipped;
}

function exists(file: string): boolean {
  try {
    readFileSync(file);
    return true;
  } catch {
    return false;
  }
}

export const PREDICT = `mutation ($input: PredictManyInput!) { predictMany(input: $input) { results {
  prediction { ${OUTPUT} runtime { executionProvider device } timing { inferMs batchSize } } problem { code message } } } } ${SPAN}`;

export async function answersOf(server: Pick<GpuServer, 'query'>, models: readonly ModelInputs[]): Promise<Answers> {
  const answers: Record<string, Data[]> = {};
  for (const { model, inputs } of models)
    answers[model] = (await server.query(PREDICT, { input: { model, inputs, record: false } })).predictMany.results;
  return answers;
}

export interface Difference {
  /** Of a number, relative for numbers above 1; infinite where answers differ in kind. */
  readonly difference: number;
  readonly executionProvider: string | null;
  readonly device: string | null;
  readonly problem: string | null;
}

/** The largest difference of each model. */
export function largestDifference(found: Answers, expected: Answers): Readonly<Record<string, Difference>> {
  return Object.fromEntries(
    Object.entries(found).map(([model, answers]) => {
      const differences = answers.map((answer, i) =>
        differenceOf(answer.prediction?.output, expected[model]?.[i]?.prediction?.output),
      );
      const { executionProvider = null, device = null } = answers[0]?.prediction?.runtime ?? {};
      const problem = answers.find((answer) => answer.problem)?.problem.message ?? null;
      return [model, { difference: Math.max(...differences), executionProvider, device, problem }];
    }),
  );
}

function differenceOf(a: Data, b: Data): number {
  if (typeof a === 'number' && typeof b === 'number') return Math.abs(a - b) / Math.max(1, Math.abs(b));
  if (a === null || typeof a !== 'object') return a === b && a !== undefined ? 0 : Infinity;
  if (b === null || typeof b !== 'object') return Infinity;
  // Encoded bytes repeat the numbers beside them.
  const keys = Object.keys({ ...a, ...b }).filter((key) => !/base64/i.test(key));
  return Math.max(0, ...keys.map((key) => differenceOf(a[key], b[key])));
}

/** Shipped models of trees, linear models and counts of words, for which no provider of a GPU has code. */
const ON_CPU = new Set(['breast-cancer-forest', 'penguin-mass', 'penguins', 'spam-filter']);

/** The provider that runs a model of the test if `provider` is in use. */
export function providerOf(model: string, provider: string): string {
  return ON_CPU.has(model) ? 'cpu' : provider;
}
