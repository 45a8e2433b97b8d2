/** What the project aims at in the comparison with its peers, and whether it is met. */
import { closeSync, fdatasyncSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { describeRange, p50, p99, type Range, type Round, rate, ratios } from './contest.ts';
import { median, ms } from './numbers.ts';
import type { Goal } from './sections.ts';
import { NAIVE, OURS, OURS_RECORDED, type Played } from './throughput.ts';

/** What the project aims at, for a model and a number of clients. */
const AIMS: readonly {
  readonly title: string;
  readonly connections: number;
  readonly unrecorded: { readonly rate: number; readonly p99?: number };
  readonly recorded?: { readonly rate: number; readonly p99?: number };
  readonly mainMicros?: number;
}[] = [
  {
    title: 'light',
    connections: 64,
    unrecorded: { rate: 2, p99: 0.7 },
    recorded: { rate: 1.5, p99: 1 },
    mainMicros: 65,
  },
  {
    title: '5 M parameters',
    connections: 64,
    unrecorded: { rate: 4.8, p99: 0.15 },
    recorded: { rate: 3.8, p99: 0.15 },
  },
  { title: 'light, does not batch', connections: 64, unrecorded: { rate: 1.5 } },
  { title: '0.65 ms, does not batch', connections: 64, unrecorded: { rate: 1.3 } },
];
/** Of the median request of one client, in ms. */
const MAX_BEYOND_NAIVE = 0.15;

export function goalsOf(played: readonly Played[]): Goal[] {
  return played.flatMap(({ contest: { title }, connections, contenders, rounds }) => {
    const of = (name: string) => rounds[contenders.findIndex((one) => one.title === name)] ?? [];
    const [naive, ours, recorded] = [of(NAIVE), of(OURS), of(OURS_RECORDED)];
    if (title === 'light' && connections === 1) return latencyGoals(naive, ours, recorded);
    const aim = AIMS.find((one) => one.title === title && one.connections === connections);
    if (!aim) return [];
    const what = `${title}, ${connections} clients`;
    return [
      ...ratioGoals(`${what}, unrecorded`, ours, naive, aim.unrecorded),
      ...(aim.recorded ? ratioGoals(`${what}, recorded`, recorded, naive, aim.recorded) : []),
      ...(aim.mainMicros ? [mainThreadGoal(`${what}, unrecorded`, ours, aim.mainMicros)] : []),
    ];
  });
}

function ratioGoals(
  what: string,
  ours: readonly Round[],
  naive: readonly Round[],
  aim: { rate: number; p99?: number },
) {
  const goal = (name: string, range: Range, sign: '≥' | '≤', bound: number): Goal => ({
    what: `${what}: ${name}`,
    aim: `${sign} ${bound}`,
    measured: describeRange(range),
    isMet: sign === '≥' ? range.median >= bound : range.median <= bound,
  });
  const goals = [goal('requests/s × naive', ratios(ours, naive, rate), '≥', aim.rate)];
  if (aim.p99) goals.push(goal('p99 × naive', ratios(ours, naive, p99), '≤', aim.p99));
  return goals;
}

function mainThreadGoal(what: string, ours: readonly Round[], most: number): Goal {
  const measured = median(ours.map(({ mainMicros }) => mainMicros));
  return {
    what: `${what}: main thread`,
    aim: `≤ ${most} µs`,
    measured: `${Math.round(measured)} µs`,
    isMet: measured <= most,
  };
}

function latencyGoals(naive: readonly Round[], ours: readonly Round[], recorded: readonly Round[]): Goal[] {
  const middle = (rounds: readonly Round[]) => median(rounds.map(p50));
  const sync = syncMs();
  const goal = (what: string, rounds: readonly Round[], more: number, aim: string): Goal => {
    const beyond = middle(rounds) - middle(naive);
    return {
      what: `light, 1 client, ${what}: p50 beyond naive`,
      aim,
      measured: ms(beyond),
      isMet: beyond <= MAX_BEYOND_NAIVE + more,
    };
  };
  return [
    goal('unrecorded', ours, 0, `≤ ${MAX_BEYOND_NAIVE} ms`),
    goal('recorded', recorded, sync, `≤ ${MAX_BEYOND_NAIVE} ms + one fsync, here ${ms(sync)}`),
  ];
}

const SYNCS = 200;

/** How long the disk of temporary files takes to keep 4 KiB at the end of a file; the median. */
function syncMs(): number {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'fsync-bench-'));
  const file = openSync(path.join(folder, 'file'), 'w');
  const times = Array.from({ length: SYNCS }, () => {
    writeSync(file, Buffer.alloc(4_096));
    const begun = performance.now();
    fdatasyncSync(file);
    return performance.now() - begun;
  });
  closeSync(file);
  rmSync(folder, { recursive: true });
  return median(times);
}
