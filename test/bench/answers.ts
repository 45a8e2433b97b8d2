/** Whether an answer is right: every answer of every server is compared with that of the bare graph. */
import type { BareAnswer } from './bare.ts';
import type { Reply } from './connection.ts';

/** The right answer for one input: a label with its score, or the values of the output in base64. */
export type Right = { readonly label: string; readonly score: number } | { readonly base64: string };

/** What a server answers for one input. */
export interface Output {
  readonly label?: string;
  readonly score?: number | null;
  readonly tensors?: readonly { readonly base64: string }[];
}

/** The most that a right value may differ, relative to it or absolute. */
const TOLERANCE = 1e-4;

/** `labels`: the names of the scores, for a graph that returns no label itself; none if its output is the answer. */
export function rightOf({ label, base64 }: BareAnswer, labels: readonly string[]): Right {
  const scores = [...floatsOf(base64)];
  const score = Math.max(...scores);
  if (label !== null) return { label, score };
  return labels.length > 0 ? { label: labels[scores.indexOf(score)] ?? '', score } : { base64 };
}

export function isRight(output: Output | undefined, right: Right): boolean {
  if (!output) return false;
  if ('label' in right) return output.label === right.label && isNear(output.score ?? Number.NaN, right.score);
  const received = output.tensors?.[0]?.base64;
  if (received === undefined || received === right.base64) return received !== undefined;
  const [ours, expected] = [floatsOf(received), floatsOf(right.base64)];
  return ours.length === expected.length && expected.every((value, i) => isNear(ours[i] ?? Number.NaN, value));
}

function isNear(value: number, right: number): boolean {
  return Math.abs(value - right) <= TOLERANCE * Math.max(1, Math.abs(right));
}

function floatsOf(base64: string): Float32Array {
  const bytes = new Uint8Array(Buffer.from(base64, 'base64'));
  return new Float32Array(bytes.buffer, 0, Math.floor(bytes.length / 4));
}

/** The outputs that an answer has, and the size of the batch that computed them if the server says so. */
export interface Answered {
  readonly outputs: readonly (Output | undefined)[];
  readonly batchSize: number;
}

interface Prediction {
  readonly output: Output;
  readonly timing?: { readonly batchSize: number };
}

interface Columns {
  readonly count: number;
  readonly labels?: readonly string[];
  readonly scores?: readonly number[];
  readonly tensors?: readonly { readonly base64: string }[];
  readonly problems: readonly unknown[];
}

function labelsOf({ labels = [], scores }: Columns): Output[] {
  return labels.map((label, i) => ({ label, score: scores?.[i] ?? null }));
}

/** Each row of the first tensor, of float32 values. */
function rowsOf({ count, tensors }: Columns): Output[] {
  const bytes = Buffer.from(tensors?.[0]?.base64 ?? '', 'base64');
  const size = bytes.length / count;
  return Array.from({ length: count }, (_, i) => {
    return { tensors: [{ base64: bytes.subarray(i * size, (i + 1) * size).toString('base64') }] };
  });
}

/** How a server answers. Each throws if the answer is not what it should be. */
export const FORMATS = {
  predict({ body }: Reply): Answered {
    const { prediction, problem } = JSON.parse(body).data.predict as { prediction: Prediction; problem: unknown };
    if (problem) throw new Error('Expected no problem.');
    return { outputs: [prediction.output], batchSize: prediction.timing?.batchSize ?? Number.NaN };
  },
  predictMany({ body }: Reply): Answered {
    const { results, problem } = JSON.parse(body).data.predictMany as {
      results: { prediction: Prediction | null }[];
      problem: unknown;
    };
    if (problem) throw new Error('Expected no problem.');
    return { outputs: results.map(({ prediction }) => prediction?.output), batchSize: Number.NaN };
  },
  predictManyColumns({ body }: Reply): Answered {
    const { columns, problem } = JSON.parse(body).data.predictMany as { columns: Columns; problem: unknown };
    if (problem || columns.problems.length > 0) throw new Error('Expected no problem.');
    return { outputs: columns.tensors ? rowsOf(columns) : labelsOf(columns), batchSize: Number.NaN };
  },
  /** The body is the output. */
  rest({ body }: Reply): Answered {
    return { outputs: [JSON.parse(body)], batchSize: Number.NaN };
  },
  /** Open Inference Protocol with binary tensors: JSON about one output, and then its bytes, as `latin1`. */
  oip({ body }: Reply): Answered {
    const end = body.indexOf(']}') + ']}'.length;
    const bytes = /"binary_data_size":(\d+)/.exec(body)?.[1];
    if (end < ']}'.length || bytes === undefined) throw new Error('Expected a binary tensor.');
    const base64 = Buffer.from(body.slice(-Number(bytes)), 'latin1').toString('base64');
    return { outputs: [{ tensors: [{ base64 }] }], batchSize: Number.NaN };
  },
} as const;
export type Format = keyof typeof FORMATS;
