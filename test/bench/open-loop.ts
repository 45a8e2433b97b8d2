/**
 * Requests at given rates, whether or not the server keeps up. Each is timed from the moment it was due, so that a server
 * or client that falls behind is charged for every request that waited (no coordinated omission). Answers are compared
 * with the right ones. Runs as a child; reads `OpenLoopOptions` from stdin and prints `OpenLoopResult`.
 */
import { text } from 'node:stream/consumers';
import { setTimeout as sleep, setImmediate as turn } from 'node:timers/promises';
import type { Right } from './answers.ts';
import { Caller, Tally } from './caller.ts';
import { type CpuUse, watchCpu } from './cpu.ts';
import { pseudoRandom } from './graphs.ts';
import type { Spread } from './numbers.ts';

export interface Question {
  /** The body of the request: `timedPredictBodies` selects what the generator reads. */
  readonly body: string;
  readonly right: Right;
}

export interface CallerOptions {
  /** Callers with the same name are counted together. */
  readonly name: string;
  /** Such as 127.0.0.2; the server tells callers apart by it. */
  readonly localAddress: string;
  readonly questions: readonly Question[];
  /** Arrivals per second in each phase; null sends a request whenever a connection is free (a closed loop). */
  readonly perSecond: readonly (number | null)[];
  /** The most connections at a time. Requests wait in the client for a free one, and that time counts. */
  readonly connections: number;
}

export interface OpenLoopOptions {
  readonly url: string;
  readonly seed: number;
  readonly arrivals: 'poisson' | 'constant';
  /** Duration of each phase. The phases follow one another without a pause. */
  readonly phases: readonly { readonly seconds: number }[];
  readonly callers: readonly CallerOptions[];
  /** An answer that is right, but later than this after it was due, is `late`. */
  readonly deadlineMs: number;
  /** The client gives up after this time and closes the connection. */
  readonly timeoutMs: number;
  /** Processes whose CPU time is reported for each phase, by group. */
  readonly watch: Readonly<Record<string, readonly number[]>>;
}

/** Requests count for the phase in which they were due. */
export interface PhaseResult {
  readonly due: number;
  /** Right answers within the deadline. */
  readonly right: number;
  readonly wrong: number;
  readonly late: number;
  readonly timeouts: number;
  /** Never sent, because too many requests were waiting in the client. */
  readonly unsent: number;
  /** Of right answers within the deadline, by when they arrived, not by when they were due. */
  readonly goodputPerSecond: number;
  /** Of right answers, from the moment they were due, in ms. */
  readonly latency: Spread;
  /** By code: problems (DEADLINE_EXCEEDED with its phase), GraphQL errors, other statuses and broken connections. */
  readonly refusals: Readonly<Record<string, Spread>>;
  /** All of them. */
  readonly refused: Spread;
  /** How late the client itself was to send. Above 1 or 2 ms, the client was overloaded too. */
  readonly sendDelay: Spread;
  /** Right answers by the size of the batch that they were part of. */
  readonly batchSizes: Readonly<Record<string, number>>;
  /** The first wrong answer or unexpected refusal. */
  readonly example: string | null;
}

export interface OpenLoopResult {
  readonly callers: readonly { readonly name: string; readonly phases: readonly PhaseResult[] }[];
  /** Of each phase; the group `client` is the generator itself. */
  readonly cpu: readonly CpuUse[];
}

/** Time to prepare the requests. */
const START_MS = 200;
/** After this many requests in a row that were already due, the generator reads answers. */
const BURST = 16;

async function arrive(caller: Caller, options: CallerOptions & { begun: number }, all: OpenLoopOptions, seed: number) {
  const random = pseudoRandom(seed);
  const gap = (perSecond: number) => (1_000 / perSecond) * (all.arrivals === 'constant' ? 1 : -Math.log(1 - random()));
  let end = options.begun;
  for (const [phase, { seconds }] of all.phases.entries()) {
    let due = end;
    end += 1_000 * seconds;
    const perSecond = options.perSecond[phase] ?? null;
    if (perSecond === null) {
      await caller.sendWheneverFree(phase, end);
      continue;
    }
    // A constant rate starts at a random point, so that callers do not all send at the same instants.
    if (all.arrivals === 'constant' && perSecond > 0) due -= random() * gap(perSecond);
    for (let burst = 0; perSecond > 0; ) {
      due += gap(perSecond);
      if (due >= end) break;
      const waitMs = due - performance.now();
      if (waitMs > 0) await sleep(waitMs);
      else if (++burst % BURST === 0) await turn();
      caller.send(phase, due);
    }
    await sleep(Math.max(0, end - performance.now()));
  }
}

async function watchPhases({ phases, watch }: OpenLoopOptions, begun: number): Promise<CpuUse[]> {
  const spent = watchCpu({ ...watch, client: [process.pid] });
  const uses: CpuUse[] = [];
  let end = begun;
  for (const { seconds } of phases) {
    end += 1_000 * seconds;
    await sleep(Math.max(0, end - performance.now()));
    uses.push(spent());
  }
  return uses;
}

async function run(options: OpenLoopOptions): Promise<OpenLoopResult> {
  const begun = performance.now() + START_MS;
  const tallies = new Map(options.callers.map(({ name }) => [name, options.phases.map(() => new Tally())]));
  const callers = options.callers.map((one) => new Caller(one, options, tallies.get(one.name) as Tally[], begun));
  await sleep(begun - performance.now());
  const watching = watchPhases(options, begun);
  await Promise.all(
    callers.map((caller, i) =>
      arrive(caller, { ...(options.callers[i] as CallerOptions), begun }, options, options.seed + i),
    ),
  );
  const cpu = await watching;
  await Promise.all(callers.map((caller) => caller.settled()));
  const results = Array.from(tallies, ([name, ofPhases]) => {
    const phases = ofPhases.map((tally, i) => tally.result(options.phases[i]?.seconds ?? Number.NaN));
    return { name, phases };
  });
  return { callers: results, cpu };
}

console.log(JSON.stringify(await run(JSON.parse(await text(process.stdin)))));
process.exit(0);
