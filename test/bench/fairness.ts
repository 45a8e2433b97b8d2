/** Fairness: what one caller that sends far more than its share does to the others. */
import type { CpuUse } from './cpu.ts';
import type { ChainName } from './graphs.ts';
import { ms, percent, perSecond, table } from './numbers.ts';
import type { OpenLoopResult, PhaseResult } from './open-loop.ts';
import { measurePeak } from './overload.ts';
import { chainSubject, checkAnswers, describeCpu, isPinned, judged, startRig } from './rig.ts';
import type { Goal, Section } from './sections.ts';

const CASES: readonly { readonly model: ChainName; readonly inQuick: boolean }[] = [
  { model: 'five-ms-alone', inQuick: true },
  { model: 'thirty-ms', inQuick: false },
];
const HEADER = ['model', 'load', 'offered', 'answered', 'p50', '**p99**'];
const CALLERS = 20;
const TIMES = 20;
/** A victim sends this part of its share of the capacity. */
const VICTIM_PART = 0.5;
const MAX_RISE = 1.2;
const CONNECTIONS = 500;

export async function fairnessSection(isQuick: boolean): Promise<Section> {
  const measured = [];
  for (const { model } of CASES.filter(({ inQuick }) => inQuick || !isQuick))
    measured.push(await measureOne(model, isQuick));
  return {
    goals: measured.flatMap(({ goals }) => goals),
    markdown: `## Fairness

${table(
  HEADER,
  measured.flatMap(({ rows }) => rows),
)}

${measured.map(({ notes }) => notes).join('\n')}

*How to read it:* ${CALLERS} callers (loopback addresses), Poisson arrivals, deadlines of 1 s. A caller's share is the peak divided by
${CALLERS}. "victims alone": ${CALLERS - 1} callers send ${VICTIM_PART} of their share. "victims": the same, while the "abuser" sends ${TIMES} times its share. "evenly":
the same total from ${CALLERS} callers alike. ${isPinned ? 'The server and the clients share one core, the only worker has another. ' : ''}Goal: the victims' p99 is at
most ${MAX_RISE} times that of "evenly" plus one batch, and no smaller part of their requests is answered.`,
  };
}

/** Between loads, until the queue is empty. */
const PAUSE = { seconds: 1.5 };
const LOADS = ['victims alone', 'evenly', 'victims', 'abuser'] as const;
/** The phase of each load. */
const PHASE = { 'victims alone': 0, evenly: 2, victims: 4, abuser: 4 } as const;

async function measureOne(model: ChainName, isQuick: boolean) {
  const rig = await startRig(await chainSubject(model), isQuick);
  try {
    const { goodput } = await measurePeak(rig, isQuick);
    const load = { seconds: isQuick ? 8 : 20 };
    const share = goodput / CALLERS;
    const victim = VICTIM_PART * share;
    const total = (CALLERS - 1) * victim + TIMES * share;
    const phases = [load, PAUSE, load, PAUSE, load];
    const callers = (name: (typeof LOADS)[number], first: number, count: number, perSecond: number) =>
      Array.from({ length: count }, (_, i) => ({
        name,
        localAddress: `127.0.0.${2 + first + i}`,
        questions: rig.questions,
        perSecond: phases.map((_, phase) => (phase === PHASE[name] ? perSecond : 0)),
        connections: CONNECTIONS,
      }));
    const result = await rig.load({
      phases,
      callers: [
        ...callers('victims alone', 0, CALLERS - 1, victim),
        ...callers('evenly', 0, CALLERS, total / CALLERS),
        ...callers('victims', 0, CALLERS - 1, victim),
        ...callers('abuser', CALLERS - 1, 1, TIMES * share),
      ],
    });
    checkAnswers(result);
    return describe(model, result, {
      seconds: load.seconds,
      batchMs: (1_000 * rig.best.batch) / rig.best.itemsPerSecond,
    });
  } finally {
    await rig.stop();
  }
}

function describe(
  model: ChainName,
  result: OpenLoopResult,
  { seconds, batchMs }: { seconds: number; batchMs: number },
) {
  const of = (name: (typeof LOADS)[number]) =>
    result.callers.find((one) => one.name === name)?.phases[PHASE[name]] as PhaseResult;
  const answered = ({ right, due }: PhaseResult) => right / due;
  const [even, victims] = [of('evenly'), of('victims')];
  const isFair = victims.latency.p99 <= MAX_RISE * even.latency.p99 + batchMs && answered(victims) >= answered(even);
  const rows = LOADS.map((name) => {
    const phase = of(name);
    const p99 = ms(phase.latency.p99);
    return [
      model,
      name,
      perSecond(phase.due / seconds),
      percent(answered(phase)),
      ms(phase.latency.p50),
      name === 'victims' ? judged(p99, isFair) : p99,
    ];
  });
  const cpu = result.cpu[PHASE.victims] as CpuUse;
  const goal: Goal = {
    what: `${model}: p99 of the victims of one abusive caller`,
    aim: `≤ ${MAX_RISE} × evenly + one batch`,
    measured: `${ms(victims.latency.p99)}, evenly ${ms(even.latency.p99)}`,
    isMet: isFair,
  };
  return {
    rows,
    goals: [goal],
    notes: `- ${model}: a batch takes ${ms(batchMs)}. CPU while the abuser sends: ${describeCpu(cpu)}.`,
  };
}
