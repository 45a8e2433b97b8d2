/**
 * Runs one graph on one execution provider without the server, and prints what it found as JSON:
 * `node test/gpu/bare.ts <provider> <model.onnx> <seconds per batch size>`.
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { InferenceSession, Tensor } from 'onnxruntime-node';

export interface BareRuns {
  readonly createMs: number;
  /** Growth of the process's data memory. */
  readonly dataBytes: number;
  /** Nodes of a run, by the provider that ran them. */
  readonly nodes: Readonly<Record<string, number>>;
  /** `firstMs`: the first run of this size. `difference`: from the CPU, relative for numbers above 1. */
  readonly batches: readonly { size: number; firstMs: number; medianMs: number; difference: number }[];
}

const BATCHES = [1, 2, 8, 32, 128];
/** The size of symbolic dimensions behind the first, such as the length of a text. */
const OTHER_SIZE = 32;
const LEAST_RUNS = 3;
/** Larger batches are not measured after a run as long as this. */
const LONG_RUN_MS = 100;
const OPTIONS = { intraOpNumThreads: 1, interOpNumThreads: 1, logSeverityLevel: 4 } as const;

type Feeds = Record<string, Tensor>;

function tensorOf(type: string, shape: readonly number[]): Tensor {
  const count = shape.reduce((product, size) => product * size, 1);
  const numbers = Array.from({ length: count }, (_, i) => ((i * 7919) % 1009) / 1009);
  if (type === 'string') return new Tensor('string', numbers.map(String), shape);
  if (type === 'int64')
    return new Tensor(
      'int64',
      BigInt64Array.from(numbers, (n) => BigInt(Math.round(n * 2))),
      shape,
    );
  return new Tensor(type as 'float32', Float32Array.from(numbers), shape);
}

function feedsOf(session: InferenceSession, batch: number): Feeds {
  return Object.fromEntries(
    session.inputMetadata.map((input) => {
      if (!input.isTensor) throw new Error(`The input ${input.name} is not a tensor.`);
      const shape = input.shape.map((size, i) => (typeof size === 'number' ? size : i === 0 ? batch : OTHER_SIZE));
      return [input.name, tensorOf(input.type, shape)];
    }),
  );
}

/** The batch sizes that the graph accepts: one if its first dimension is fixed. */
function sizesOf({ inputMetadata: [first] }: InferenceSession): number[] {
  const size = first?.isTensor ? first.shape[0] : undefined;
  return typeof size === 'number' ? [size] : BATCHES;
}

function numbersOf(outputs: InferenceSession.OnnxValueMapType): number[] {
  return Object.values(outputs).flatMap(({ type, data }) =>
    type === 'string' ? [] : Array.from(data as ArrayLike<number | bigint>, Number),
  );
}

function largestDifference(found: readonly number[], expected: readonly number[]): number {
  return found.reduce((largest, number, i) => {
    const other = expected[i] as number;
    return Math.max(largest, Math.abs(number - other) / Math.max(1, Math.abs(other)));
  }, 0);
}

function dataBytes(): number {
  if (process.platform !== 'linux') return 0;
  return Number(/VmData:\s+(\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]) * 1024;
}

async function measure(provider: string, model: string, seconds: number): Promise<Omit<BareRuns, 'nodes'>> {
  const before = dataBytes();
  const reference = await InferenceSession.create(model, { ...OPTIONS, executionProviders: ['cpu'] });
  const begun = performance.now();
  const session = await InferenceSession.create(model, { ...OPTIONS, executionProviders: [provider] });
  const createMs = performance.now() - begun;
  const batches = [];
  for (const size of sizesOf(session)) {
    const feeds = feedsOf(session, size);
    const wanted = tensorOutputs(session);
    const timed = async () => {
      const begun = performance.now();
      await session.run(feeds, wanted);
      return performance.now() - begun;
    };
    const firstMs = await timed();
    const times: number[] = [];
    for (let spent = 0; spent < seconds * 1_000 || times.length < LEAST_RUNS; spent += times.at(-1) as number)
      times.push(await timed());
    const medianMs = times.toSorted((a, b) => a - b)[times.length >> 1] as number;
    const [found, expected] = [await session.run(feeds, wanted), await reference.run(feeds, wanted)];
    batches.push({ size, firstMs, medianMs, difference: largestDifference(numbersOf(found), numbersOf(expected)) });
    if (medianMs > LONG_RUN_MS) break;
  }
  const grown = dataBytes() - before;
  await session.release();
  return { createMs, dataBytes: grown, batches };
}

/** ZipMap's sequences of maps cannot be read. */
function tensorOutputs({ outputMetadata }: InferenceSession): string[] {
  return outputMetadata.filter(({ isTensor }) => isTensor).map(({ name }) => name);
}

/** Only a profile tells where a node ran. */
async function placement(provider: string, model: string): Promise<Record<string, number>> {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'modelgraph-profile-'));
  const session = await InferenceSession.create(model, {
    ...OPTIONS,
    executionProviders: [provider],
    enableProfiling: true,
    profileFilePrefix: path.join(folder, 'run'),
  });
  await session.run(feedsOf(session, sizesOf(session)[0] as number), tensorOutputs(session));
  session.endProfiling();
  const nodes: Record<string, number> = {};
  for (const file of readdirSync(folder)) {
    const events = JSON.parse(readFileSync(path.join(folder, file), 'utf8'));
    for (const { cat, args } of events as { cat: string; args?: { provider?: string } }[])
      if (cat === 'Node' && args?.provider) nodes[args.provider] = (nodes[args.provider] ?? 0) + 1;
  }
  rmSync(folder, { recursive: true });
  return nodes;
}

if (import.meta.main) {
  const [provider = 'cpu', model = '', seconds = '0.5'] = process.argv.slice(2);
  const measured = await measure(provider, model, Number(seconds));
  console.log(JSON.stringify({ ...measured, nodes: await placement(provider, model) }));
}
