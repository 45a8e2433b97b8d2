/** Servers that answer the same requests in interleaved rounds (A B C A B C …), and what each round took. */
import { watchCpu } from './cpu.ts';
import type { LoadOptions, LoadResult } from './load.ts';
import { median, ms, perSecond } from './numbers.ts';
import { familyOf, mainThreadSeconds, measure, type RunningServer } from './processes.ts';

export interface Contender extends Pick<LoadOptions, 'format' | 'requests'> {
  readonly title: string;
  readonly server: RunningServer;
  /** The share of requests that may remain unanswered in a round. */
  readonly maxLost?: number;
}

export interface Round extends LoadResult {
  /** CPU time of all processes of the server per request. */
  readonly cpuMicros: number;
  /** The part of it that the main thread of its first process took. */
  readonly mainMicros: number;
}

export interface Amount {
  readonly connections: number;
  /** Of one round of one server. */
  readonly seconds: number;
  readonly rounds: number;
}

/** The rounds of each contender, after one that does not count. */
export async function play(contenders: readonly Contender[], amount: Amount): Promise<Round[][]> {
  const rounds: Round[][] = contenders.map(() => []);
  for (const contender of contenders) await playRound(contender, amount);
  for (let i = 0; i < amount.rounds; i++)
    for (const [c, contender] of contenders.entries()) rounds[c]?.push(await playRound(contender, amount));
  return rounds;
}

/**
 * @throws Error if an answer is wrong, or more requests remain unanswered than the contender may lose: none, unless it
 * says otherwise
 */
export async function playRound(
  { title, server, format, requests, maxLost = 0 }: Contender,
  { connections, seconds }: Pick<Amount, 'connections' | 'seconds'>,
): Promise<Round> {
  server.resume();
  const spent = watchCpu({ server: familyOf(server.pid) });
  const before = mainThreadSeconds(server.pid);
  const options: LoadOptions = { url: server.url, format, requests, connections, seconds };
  const result = await measure<LoadResult>('load.ts', options);
  const { answered, failures, failure, lost, loss } = result;
  if (failures > 0) throw new Error(`${title}: ${failures} answers were wrong, the first: ${failure}`);
  if (answered === 0 || lost > maxLost * answered)
    throw new Error(`${title}: ${lost} of ${answered + lost} requests had no answer, the first: ${loss}`);
  const cpu = spent().groups['server'] ?? Number.NaN;
  const main = mainThreadSeconds(server.pid) - before;
  server.pause();
  return { ...result, cpuMicros: (1e6 * cpu) / answered, mainMicros: (1e6 * main) / answered };
}

/** The median of some values, with the smallest and the largest. */
export interface Range {
  readonly median: number;
  readonly least: number;
  readonly most: number;
}

export function rangeOf(values: readonly number[]): Range {
  return { median: median(values), least: Math.min(...values), most: Math.max(...values) };
}

/** Ratios of rounds that took place one after the other. */
export function ratios(rounds: readonly Round[], to: readonly Round[], of: (round: Round) => number): Range {
  return rangeOf(rounds.map((round, i) => of(round) / of(to[i] as Round)));
}

export const rate = ({ requestsPerSecond }: Round) => requestsPerSecond;
export const p50 = ({ latency }: Round) => latency.p50;
export const p99 = ({ latency }: Round) => latency.p99;

export function describeRange({ median, least, most }: Range, digits = 2): string {
  return `${median.toFixed(digits)} [${least.toFixed(digits)}–${most.toFixed(digits)}]`;
}

export const ROUND_HEADER = ['requests/s', '**×**', 'p50', 'p99', 'p99 ×', 'batch', 'CPU', 'main thread'];

/** The cells of `ROUND_HEADER`: medians of the rounds, and ratios to the rounds of a reference. */
export function describeRounds(rounds: readonly Round[], reference: readonly Round[]): string[] {
  const middle = (of: (round: Round) => number) => median(rounds.map(of));
  const batch = middle(({ meanBatch }) => meanBatch ?? Number.NaN);
  return [
    perSecond(middle(rate)),
    describeRange(ratios(rounds, reference, rate)),
    ms(middle(p50)),
    ms(middle(p99)),
    ratios(rounds, reference, p99).median.toFixed(2),
    Number.isNaN(batch) ? '–' : batch.toFixed(1),
    micros(middle(({ cpuMicros }) => cpuMicros)),
    micros(middle(({ mainMicros }) => mainMicros)),
  ];
}

export function micros(value: number): string {
  return `${Math.round(value)} µs`;
}
