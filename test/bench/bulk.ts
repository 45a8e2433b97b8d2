/** Bulk: 1,000 rows in one operation against the bare batched loop. */
import type { BareOptions, BareResult } from './bare.ts';
import type { LoadOptions, LoadResult } from './load.ts';
import { ms, percent, perSecond, table } from './numbers.ts';
import { measure, type RunningServer, workerPids } from './processes.ts';
import { forest, graphFile, mlpTensor, predictManyBody, STORE, type Workload } from './requests.ts';

const HEADER = ['model', 'record', 'clients', 'items/s', 'operation p50', 'p99', 'of L1', '**of L**'];
const ROWS = 1_000;
const BATCHES = [16, 32, 64, 128, 256, 1000];
const CLIENTS = 4;

export async function bulkSection(server: RunningServer, isQuick: boolean): Promise<string> {
  const processes = (await workerPids(server.url)).length;
  const rows: string[][] = [];
  const limits: string[] = [];
  for (const workload of [await forest(), mlpTensor()]) {
    const limit = await measureLimit(workload, processes, isQuick);
    limits.push(
      `${workload.title}: L1 = ${perSecond(limit.one)} in batches of ${limit.batch}, L = ${perSecond(limit.all)}`,
    );
    for (const record of [false, true]) {
      for (const clients of isQuick ? [1] : [1, CLIENTS])
        rows.push(await measureOne({ server, workload, limit }, { record, clients, isQuick }));
    }
  }
  return `## 4. Bulk: \`predictMany\` of ${ROWS.toLocaleString('en')} rows

${table(HEADER, rows)}

Bare batched loop, one thread, inputs in memory: ${limits.join('; ')}.

*How to read it:* items/s counts rows answered with a label and a score. L1 is a bare \`session.run\` loop in one process
at its best batch size. L is the sum of ${processes} such loops running at the same time, one per worker, and is the upper limit. The
difference is JSON, GraphQL and the transfer to the worker, which the bare loop does not have.`;
}

interface Limit {
  readonly batch: number;
  readonly one: number;
  readonly all: number;
}

async function measureLimit({ model, tensor }: Workload, processes: number, isQuick: boolean): Promise<Limit> {
  const options: BareOptions = {
    graphFile: graphFile(STORE, model),
    tensor,
    seconds: isQuick ? 0.2 : 1,
    batches: BATCHES,
  };
  const { runs } = await measure<BareResult>('bare.ts', options);
  const best = runs.toSorted((a, b) => b.itemsPerSecond - a.itemsPerSecond)[0];
  if (!best) throw new Error('The bare loop measured nothing.');
  const together = await Promise.all(
    Array.from({ length: processes }, () => measure<BareResult>('bare.ts', { ...options, batches: [best.batch] })),
  );
  const all = together.reduce((sum, one) => sum + (one.runs[0]?.itemsPerSecond ?? 0), 0);
  return { batch: best.batch, one: best.itemsPerSecond, all };
}

async function measureOne(
  { server, workload, limit }: { server: RunningServer; workload: Workload; limit: Limit },
  { record, clients, isQuick }: { record: boolean; clients: number; isQuick: boolean },
): Promise<string[]> {
  const options: LoadOptions = {
    url: server.url,
    connections: clients,
    seconds: isQuick ? 0.8 : 4,
    bodies: [predictManyBody(workload, ROWS, record)],
  };
  const { requestsPerSecond, latency, failures, failure } = await measure<LoadResult>('load.ts', options);
  if (failures > 0) throw new Error(`predictMany: ${failures} operations failed, the first with ${failure}`);
  const items = ROWS * requestsPerSecond;
  const shares = [items / limit.one, items / limit.all].map(percent);
  return [
    workload.title,
    record ? 'yes' : 'no',
    String(clients),
    perSecond(items),
    ms(latency.p50),
    ms(latency.p99),
    ...shares,
  ];
}
