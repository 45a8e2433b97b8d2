/** Bulk: 1,000 rows in one operation against the bare pipelined loop, in interleaved rounds. */
import { type Right, rightOf } from './answers.ts';
import type { BareOptions, BareResult } from './bare.ts';
import {
  type Contender,
  describeRange,
  micros,
  p50,
  p99,
  playRound,
  type Range,
  type Round,
  rangeOf,
  rate,
} from './contest.ts';
import { median, ms, percent, perSecond, table } from './numbers.ts';
import { measure, type RunningServer } from './processes.ts';
import { graphFile, predictManyRequest, type Rows, type TensorWorkload } from './requests.ts';
import type { Goal, Section } from './sections.ts';

export interface BulkCase {
  readonly workload: TensorWorkload;
  /** The folder of the model store. */
  readonly store: string;
  readonly ours: RunningServer;
}

const HEADER = ['model', 'rows as', 'record', 'items/s', '**of bare**', 'p50', 'p99', 'CPU per item', 'main thread'];
const ROWS = 1_000;
const BATCHES = [16, 32, 64, 128, 256, 1000];
const CLIENTS = 4;
/** Runs in flight of the bare loop: one for each of two cores. */
const IN_FLIGHT = 2;
/** The least share of the bare loop. */
const AIMS = { objects: 0.08, together: 0.5 };

interface Variant {
  readonly rows: Rows;
  readonly record: boolean;
}

/** Rows of named columns are sent together as columns, others as one tensor. */
function variantsOf({ inputs }: TensorWorkload): Variant[] {
  const together = 'row' in (inputs[0] as object) ? 'columns' : 'tensor';
  return (['objects', together] as const).flatMap((rows) => [false, true].map((record) => ({ rows, record })));
}

export async function bulkSection(cases: readonly BulkCase[], isQuick: boolean): Promise<Section> {
  const rows: string[][] = [];
  const limits: string[] = [];
  const goals: Goal[] = [];
  for (const one of cases) {
    const { title } = one.workload;
    const variants = variantsOf(one.workload);
    const { bare, batch, played } = await playAll(one, variants, isQuick);
    limits.push(`${title}: ${perSecond(median(bare))} in batches of ${batch}`);
    for (const [v, variant] of variants.entries()) {
      const rounds = played[v] ?? [];
      const share = rangeOf(rounds.map((round, i) => (ROWS * rate(round)) / (bare[i] ?? Number.NaN)));
      rows.push([title, variant.rows, variant.record ? 'yes' : 'no', ...describe(rounds, share)]);
      if (!variant.record) goals.push(goalOf(title, variant.rows, share));
    }
  }
  return {
    goals,
    markdown: `## Bulk: \`predictMany\` of ${ROWS.toLocaleString('en')} rows

${table(HEADER, rows)}

Bare pipelined loop: ${limits.join('; ')}.

*How to read it:* items/s counts rows answered with a label and a score, or with the output; every one was compared with the
bare graph's. Rows are sent as objects in \`inputs\` and answered in \`results\`, or sent as columns or one tensor in \`rows\`
and answered in \`columns\`. ${CLIENTS} clients send one operation after another. The bare loop is one process with ${IN_FLIGHT} runs in flight at its
best batch size, its inputs in memory: the upper limit of two cores. It takes turns with the servers, over ${roundsOf(isQuick)} rounds;
"of bare" is the share of it in the same round, [from–to]. The difference is JSON, GraphQL and the transfer to the worker.`,
  };
}

function roundsOf(isQuick: boolean): number {
  return isQuick ? 1 : 5;
}

function describe(rounds: readonly Round[], share: Range): string[] {
  const middle = (of: (round: Round) => number) => median(rounds.map(of));
  return [
    perSecond(ROWS * middle(rate)),
    describeRange(share, 3),
    ms(middle(p50)),
    ms(middle(p99)),
    micros(middle(({ cpuMicros }) => cpuMicros) / ROWS),
    micros(middle(({ mainMicros }) => mainMicros) / ROWS),
  ];
}

function goalOf(title: string, rows: Rows, share: Range): Goal {
  const aim = rows === 'objects' ? AIMS.objects : AIMS.together;
  return {
    what: `${title}, ${rows === 'tensor' ? 'rows as one tensor' : `rows as ${rows}`}: share of a bare pipelined loop`,
    aim: `≥ ${percent(aim)}`,
    measured: percent(share.median),
    isMet: share.median >= aim,
  };
}

async function playAll({ workload, store, ours }: BulkCase, variants: readonly Variant[], isQuick: boolean) {
  const options: BareOptions = {
    graphFile: graphFile(store, workload.model),
    tensor: workload.tensor,
    questions: workload.tensors,
    seconds: isQuick ? 0.2 : 1,
    inFlight: IN_FLIGHT,
    batches: BATCHES,
  };
  const { runs, answers } = await measure<BareResult>('bare.ts', options);
  const { batch } = runs.reduce((a, b) => (b.itemsPerSecond > a.itemsPerSecond ? b : a));
  const right = answers.map((answer) => rightOf(answer, workload.labels));
  const contenders = variants.map((variant) => contenderOf(workload, ours, right, variant));
  const amount = { connections: CLIENTS, seconds: isQuick ? 0.8 : 1.5 };
  const bare: number[] = [];
  const played: Round[][] = variants.map(() => []);
  for (const contender of contenders) await playRound(contender, amount);
  for (let i = 0; i < roundsOf(isQuick); i++) {
    const alone = await measure<BareResult>('bare.ts', { ...options, questions: [], batches: [batch] });
    bare.push(alone.runs[0]?.itemsPerSecond ?? Number.NaN);
    for (const [c, contender] of contenders.entries()) played[c]?.push(await playRound(contender, amount));
  }
  return { bare, batch, played };
}

function contenderOf(
  workload: TensorWorkload,
  server: RunningServer,
  right: readonly Right[],
  { rows, record }: Variant,
): Contender {
  const requests = [predictManyRequest(workload, right, { rows, count: ROWS, record })];
  const format = rows === 'objects' ? 'predictMany' : 'predictManyColumns';
  return { title: `predictMany, rows as ${rows}`, server, format, requests };
}
