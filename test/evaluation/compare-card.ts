/** Compares what the card of a model states with what a server computes on the same dataset. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Data } from '../support/graphql-client.ts';

const METRICS = 'metrics { name average label value interval { low high } }';
const CARD = `query ($ref: VersionRef!, $dataset: String!) { version(ref: $ref) {
  evaluation(dataset: $dataset, origin: IMPORTED) { ${METRICS} } } }`;
const EVALUATE = `mutation ($input: EvaluateInput!) { evaluate(input: $input) { evaluation { id } problem { message } } }`;
const READ = `query ($id: ID!) { node(id: $id) { ... on Evaluation { jobState origin evaluatedRows failedRows executionProvider
  progress { percent } problem { message } ${METRICS} } } }`;
/** Metrics without an interval; cards may be computed in another precision. */
const TOLERANCE = 1e-5;
const POLL_MS = 100;

export interface ComparedMetric {
  readonly name: string;
  readonly stated: number;
  readonly computed: number | null;
  readonly interval: { readonly low: number; readonly high: number } | null;
  readonly isReproduced: boolean;
}

/** Only metrics that both have. `send`: as the caller who may evaluate. */
export async function compareCard(
  send: (query: string, variables: Record<string, unknown>) => Promise<Data>,
  { version, dataset }: { readonly version: string; readonly dataset: string },
): Promise<{ evaluation: Data; metrics: ComparedMetric[] }> {
  const imported = (await send(CARD, { ref: version, dataset })).version.evaluation;
  if (!imported) return { evaluation: null, metrics: [] };
  const { evaluation, problem } = (await send(EVALUATE, { input: { version, dataset } })).evaluate;
  if (problem) throw new Error(problem.message);
  let computed: Data = null;
  do {
    await sleep(POLL_MS);
    computed = (await send(READ, { id: evaluation.id })).node;
  } while (['QUEUED', 'RUNNING'].includes(computed.jobState));
  const byKey = new Map<string, Data>(computed.metrics.map((metric: Data) => [keyOf(metric), metric]));
  const metrics = imported.metrics
    .filter((metric: Data) => byKey.has(keyOf(metric)))
    .map((metric: Data) => compared(metric, byKey.get(keyOf(metric))));
  return { evaluation: computed, metrics };
}

const keyOf = ({ name, average, label }: Data) => [name, average, label].join(' ').trim();

function compared(stated: Data, { value, interval }: Data): ComparedMetric {
  const isWithin = interval ? stated.value >= interval.low && stated.value <= interval.high : false;
  const isSame = Math.abs(value - stated.value) <= TOLERANCE * Math.abs(stated.value);
  return { name: keyOf(stated), stated: stated.value, computed: value, interval, isReproduced: isWithin || isSame };
}
