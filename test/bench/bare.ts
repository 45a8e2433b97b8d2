/**
 * The lower bound: ONNX Runtime alone with one intra-op thread, warm, with its inputs in memory. Runs as a child; reads
 * `BareOptions` from stdin and prints `BareResult`.
 */
import { text } from 'node:stream/consumers';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { type Spread, spreadOf } from './numbers.ts';
import type { BareTensor } from './requests.ts';

export interface BareOptions {
  readonly graphFile: string;
  readonly tensor: BareTensor;
  /** For each batch size. */
  readonly seconds: number;
  readonly batches: readonly number[];
}

export interface BareResult {
  /** Time of a run of one batch, in ms. */
  readonly runs: readonly (Spread & { readonly batch: number; readonly itemsPerSecond: number })[];
}

const WARM_UP_RUNS = 20;

function stacked({ name, datatype, shape, values }: BareTensor, batch: number): Record<string, Tensor> {
  const repeated = Array.from({ length: batch }, () => values).flat();
  const sizes = [batch * (shape[0] ?? 1), ...shape.slice(1)];
  if (datatype === 'string') return { [name]: new Tensor('string', repeated as string[], sizes) };
  return { [name]: new Tensor('float32', Float32Array.from(repeated as number[]), sizes) };
}

async function time(session: InferenceSession, feeds: Record<string, Tensor>, seconds: number): Promise<number[]> {
  for (let i = 0; i < WARM_UP_RUNS; i++) await session.run(feeds);
  const times: number[] = [];
  const end = performance.now() + 1000 * seconds;
  for (let begun = performance.now(); begun < end; begun = performance.now()) {
    await session.run(feeds);
    times.push(performance.now() - begun);
  }
  return times;
}

const { graphFile, tensor, seconds, batches } = JSON.parse(await text(process.stdin)) as BareOptions;
const session = await InferenceSession.create(graphFile, { intraOpNumThreads: 1, logSeverityLevel: 4 });
const runs = [];
for (const batch of batches) {
  const times = await time(session, stacked(tensor, batch), seconds);
  const spent = times.reduce((sum, one) => sum + one, 0);
  runs.push({ batch, itemsPerSecond: (1000 * batch * times.length) / spent, ...spreadOf(times) });
}
console.log(JSON.stringify({ runs } satisfies BareResult));
