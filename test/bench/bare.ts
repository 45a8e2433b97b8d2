/**
 * The physical limit: ONNX Runtime alone with one intra-op thread, warm, with its inputs in memory. Also computes the
 * right answers for the requests. Runs as a child; reads `BareOptions` from stdin and prints `BareResult`.
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
  /** Runs that are started before the first is awaited; 1 by default. */
  readonly inFlight?: number;
  /** Inputs to answer, one at a time. */
  readonly questions?: readonly BareTensor[];
}

export interface BareResult {
  readonly runs: readonly BareRun[];
  readonly answers: readonly BareAnswer[];
}

/** What the graph returns for one input. */
export interface BareAnswer {
  /** Of the first output of strings; null if there is none. */
  readonly label: string | null;
  /** The bytes of the first output of float32 values, in base64. */
  readonly base64: string;
}

/** The spread is that of the time of a run of one batch, in ms. */
export interface BareRun extends Spread {
  readonly batch: number;
  readonly itemsPerSecond: number;
  /** CPU time of the process for a batch. */
  readonly cpuMicrosPerBatch: number;
}

const WARM_UP_SHARE = 0.3;

function stacked({ name, datatype, shape, values }: BareTensor, batch: number): Record<string, Tensor> {
  const repeated = Array.from({ length: batch }, () => values).flat();
  const sizes = [batch * (shape[0] ?? 1), ...shape.slice(1)];
  if (datatype === 'string') return { [name]: new Tensor('string', repeated as string[], sizes) };
  return { [name]: new Tensor('float32', Float32Array.from(repeated as number[]), sizes) };
}

async function time(
  session: InferenceSession,
  feeds: Record<string, Tensor>,
  { seconds, inFlight = 1 }: BareOptions,
): Promise<number[]> {
  const times: number[] = [];
  const end = performance.now() + 1000 * seconds;
  const loop = async () => {
    for (let begun = performance.now(); begun < end || times.length === 0; begun = performance.now()) {
      await session.run(feeds);
      times.push(performance.now() - begun);
    }
  };
  await Promise.all(Array.from({ length: inFlight }, loop));
  return times;
}

async function measureBatch(session: InferenceSession, batch: number, options: BareOptions): Promise<BareRun> {
  const feeds = stacked(options.tensor, batch);
  await time(session, feeds, { ...options, seconds: WARM_UP_SHARE * options.seconds });
  const [cpu, begun] = [process.cpuUsage(), performance.now()];
  const times = await time(session, feeds, options);
  const spent = performance.now() - begun;
  const { user, system } = process.cpuUsage(cpu);
  const itemsPerSecond = (1000 * batch * times.length) / spent;
  return { batch, itemsPerSecond, cpuMicrosPerBatch: (user + system) / times.length, ...spreadOf(times) };
}

async function answer(session: InferenceSession, tensor: BareTensor): Promise<BareAnswer> {
  const outputs = Object.values(await session.run(stacked(tensor, 1)));
  const label = outputs.find(({ type }) => type === 'string')?.data[0] as string | undefined;
  const values = Float32Array.from(outputs.find(({ type }) => type === 'float32')?.data as Float32Array);
  return { label: label ?? null, base64: Buffer.from(values.buffer).toString('base64') };
}

const options = JSON.parse(await text(process.stdin)) as BareOptions;
const session = await InferenceSession.create(options.graphFile, { intraOpNumThreads: 1, logSeverityLevel: 4 });
const answers: BareAnswer[] = [];
for (const question of options.questions ?? []) answers.push(await answer(session, question));
const runs: BareRun[] = [];
for (const batch of options.batches) runs.push(await measureBatch(session, batch, options));
console.log(JSON.stringify({ runs, answers } satisfies BareResult));
