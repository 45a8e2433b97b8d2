/** Added latency: a single `predict` over HTTP compared with a bare run of the same graph. */
import { rightOf } from './answers.ts';
import type { BareOptions, BareResult } from './bare.ts';
import { ms, type Spread, table } from './numbers.ts';
import { measure, type RunningServer } from './processes.ts';
import {
  forest,
  goldenRight,
  graphFile,
  mlpImage,
  mlpTensor,
  predictBodies,
  STORE,
  spamFilter,
  type TensorWorkload,
  type Workload,
} from './requests.ts';
import type { Section } from './sections.ts';
import type { SingleOptions, SingleResult } from './single.ts';

const HEADER = [
  'input',
  'record',
  'bare p50',
  'total p50',
  'total p99',
  '**added p50**',
  '**added p99**',
  'engine p50',
];
const VARIANTS = [true, false];

export async function latencySection(server: RunningServer, isQuick: boolean): Promise<Section> {
  const rows: string[][] = [];
  for (const workload of [await forest(), mlpTensor(), await mlpImage(), await spamFilter()])
    rows.push(...(await measureOne(server, workload, isQuick)));
  return {
    markdown: `## Added latency, one client

${table(HEADER, rows)}

*How to read it:* "bare" is \`session.run\` in a separate process with one thread, warm, with its input in memory. "total"
is the same input as a GraphQL mutation over HTTP, measured by the client, one request at a time. "added" is total minus
bare p50: HTTP, GraphQL, checks, the transfer to the worker and back, decoding the input and, with record, writing to
disk. "engine" is the share that the server reports in \`timing.totalMs\` (check, queue, worker, run). Requests with and
without record alternated over one connection. Lower is better; 0 is the physical limit.`,
  };
}

async function measureOne(server: RunningServer, workload: Workload, isQuick: boolean): Promise<string[][]> {
  const { bare, right } = await measureBare(workload, isQuick ? 0.3 : 2);
  const options: SingleOptions = {
    url: server.url,
    seconds: isQuick ? 0.8 : 5,
    variants: VARIANTS.map((record) => predictBodies(workload, record)),
    right,
  };
  const { variants } = await measure<SingleResult>('single.ts', options);
  return variants.map(({ total, engine }, i) => [
    workload.title,
    VARIANTS[i] ? 'yes' : 'no',
    ms(bare.p50),
    ms(total.p50),
    ms(total.p99),
    ms(total.p50 - bare.p50),
    ms(total.p99 - bare.p50),
    ms(engine.p50),
  ]);
}

/** Right answers are those of the bare graph to tensors, and those of the golden cases to their inputs. */
async function measureBare(workload: Workload | TensorWorkload, seconds: number) {
  const { model, tensor } = workload;
  const questions = 'tensors' in workload ? workload.tensors : [];
  const options: BareOptions = { graphFile: graphFile(STORE, model), tensor, questions, seconds, batches: [1] };
  const { runs, answers } = await measure<BareResult>('bare.ts', options);
  const right =
    'tensors' in workload ? answers.map((answer) => rightOf(answer, workload.labels)) : await goldenRight(model);
  return { bare: runs[0] as Spread, right };
}
