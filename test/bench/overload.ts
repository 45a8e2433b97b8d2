/** Overload: goodput, refusals, late work and recovery when far more arrives than can be answered. */
import type { CpuUse } from './cpu.ts';
import type { ChainName } from './graphs.ts';
import type { LoopDelay } from './inside-server.ts';
import { ms, percent, perSecond, ratio, table } from './numbers.ts';
import type { OpenLoopResult, PhaseResult } from './open-loop.ts';
import { chainSubject, checkAnswers, describeCpu, efficiency, isPinned, judged, type Rig, startRig } from './rig.ts';
import type { Goal, Section } from './sections.ts';

const CASES: readonly { readonly model: ChainName; readonly factor: number; readonly inQuick: boolean }[] = [
  { model: 'thirty-ms-alone', factor: 10, inQuick: false },
  { model: 'five-ms-alone', factor: 3, inQuick: true },
  { model: 'thirty-ms', factor: 10, inQuick: false },
  { model: 'five-ms', factor: 3, inQuick: false },
];
const HEADER = [
  'model',
  'L',
  'peak',
  'of L',
  'η',
  'offered',
  '**goodput**',
  '**refusal p99**',
  '**in the server**',
  '**late work**',
  'p99 before',
  '**p99 after**',
];
const CALLERS = 8;
const CONNECTIONS = 1_000;
const MIN_GOODPUT = 0.95;
const MAX_REFUSAL_MS = 5;
const MAX_LATE = 0.005;
/** "After" is like "before" up to this factor or a batch more. */
const RECOVERED = 1.2;

export async function overloadSection(isQuick: boolean): Promise<Section> {
  const measured: Measured[] = [];
  for (const one of CASES.filter(({ inQuick }) => inQuick || !isQuick)) measured.push(await measureOne(one, isQuick));
  return {
    goals: measured.flatMap(({ goals }) => goals),
    markdown: `## Overload

${table(
  HEADER,
  measured.map(({ row }) => row),
)}

${measured.map(({ notes }) => notes).join('\n')}

*How to read it:* Poisson arrivals from ${CALLERS} callers, each timed from the moment it was due; every answer was compared with
the bare graph's. Deadlines are 1 s. The chains have as many layers as take 30 or 5 ms on this machine. ${isPinned ? 'The server and the clients share one core, the only worker has another. ' : ''}"L" is a
bare loop on the worker's core at its best batch size, "peak" the best goodput of closed loops, "η" the share of the
service's CPU time at the peak that bare runs of the same batches take. "in the server" is the time of a refusal from the end of its headers
until the answer is handed to the system; "refusal p99" also has the delays of the client, which shares the core, and of
both event loops. Then the given multiple of the peak arrives for
${isQuick ? '8' : '30'} s. "late work" is the share of items that were in a worker when their deadline passed, or answered
after it. "before" and "after" are half the peak; "after" begins 1 s after the end. Goals: goodput at least
${MIN_GOODPUT} of the peak, a refusal within ${MAX_REFUSAL_MS} ms at p99, at most ${percent(MAX_LATE)} late work, and the p99 of before.`,
  };
}

interface Measured {
  readonly row: string[];
  readonly goals: readonly Goal[];
  readonly notes: string;
}

async function measureOne(
  { model, factor }: { model: ChainName; factor: number },
  isQuick: boolean,
): Promise<Measured> {
  const rig = await startRig(await chainSubject(model), isQuick);
  try {
    const peak = await measurePeak(rig, isQuick);
    const seconds = { normal: isQuick ? 3 : 8, overload: isQuick ? 8 : 30 };
    const [normal, offered] = [peak.goodput / 2, factor * peak.goodput];
    const one = (i: number) => ({
      name: 'all',
      localAddress: `127.0.0.${2 + i}`,
      questions: rig.questions,
      perSecond: [normal, offered, normal, normal].map((rate) => rate / CALLERS),
      connections: CONNECTIONS,
    });
    const endWatch = rig.server.watchLoop();
    const result = await rig.load({
      phases: [{ seconds: seconds.normal }, { seconds: seconds.overload }, { seconds: 1 }, { seconds: seconds.normal }],
      callers: Array.from({ length: CALLERS }, (_, i) => one(i)),
    });
    const server = await endWatch();
    checkAnswers(result);
    return describe({ model, offered, rig, peak, result, server });
  } finally {
    await rig.stop();
  }
}

interface Peak {
  readonly goodput: number;
  readonly connections: number;
  readonly efficiency: number;
  /** Per second of the workers' CPU time, which depends less on what else the machine does. */
  readonly goodputPerCpuSecond: number;
}

/** The best of two closed loops, one with few clients and one with a quarter of a second's work in flight. */
export async function measurePeak(rig: Rig, isQuick: boolean): Promise<Peak> {
  const clients = [4, Math.min(128, Math.max(8, Math.round(rig.best.itemsPerSecond / 4)))];
  const phases = [{ seconds: 2 }, ...clients.map(() => ({ seconds: isQuick ? 3 : 5 }))];
  const callers = clients.map((connections, i) => ({
    name: String(connections),
    localAddress: `127.0.0.${2 + i}`,
    questions: rig.questions,
    perSecond: phases.map((_, phase) => (phase === i + 1 || (phase === 0 && i === 1) ? null : 0)),
    connections,
  }));
  const result = await rig.load({ phases, callers });
  checkAnswers(result);
  const peaks = clients.map((connections, i): Peak => {
    const phase = result.callers[i]?.phases[i + 1] as PhaseResult;
    const cpu = result.cpu[i + 1] as CpuUse;
    return {
      goodput: phase.goodputPerSecond,
      connections,
      efficiency: efficiency(rig, phase, cpu),
      goodputPerCpuSecond: perCpuSecond(phase, cpu),
    };
  });
  return peaks.reduce((a, b) => (b.goodput > a.goodput ? b : a));
}

function perCpuSecond({ goodputPerSecond }: PhaseResult, { groups, seconds }: CpuUse): number {
  return (goodputPerSecond * seconds) / (groups['workers'] ?? 0);
}

interface Measurement {
  readonly model: ChainName;
  readonly offered: number;
  readonly rig: Rig;
  readonly peak: Peak;
  readonly result: OpenLoopResult;
  readonly server: LoopDelay;
}

function describe({ model, offered, rig, peak, result, server }: Measurement): Measured {
  const [before, during, after] = [0, 1, 3].map((i) => result.callers[0]?.phases[i]) as [
    PhaseResult,
    PhaseResult,
    PhaseResult,
  ];
  const cpu = result.cpu[1] as CpuUse;
  const kept = during.goodputPerSecond / peak.goodput;
  const lateItems = during.late + (during.refusals['DEADLINE_EXCEEDED in run']?.count ?? 0);
  const late = lateItems / Math.max(1, lateItems + during.right);
  const isRecovered =
    after.latency.p99 <= RECOVERED * before.latency.p99 + (1_000 * rig.best.batch) / rig.best.itemsPerSecond;
  const row = [
    model,
    perSecond(rig.best.itemsPerSecond),
    perSecond(peak.goodput),
    ratio(peak.goodput / rig.best.itemsPerSecond),
    peak.efficiency.toFixed(2),
    perSecond(offered),
    judged(`${perSecond(during.goodputPerSecond)} = ${ratio(kept)}`, kept >= MIN_GOODPUT),
    judged(ms(during.refused.p99), during.refused.p99 <= MAX_REFUSAL_MS),
    judged(ms(server.refusals.p99), server.refusals.p99 <= MAX_REFUSAL_MS),
    judged(percent(late), late <= MAX_LATE),
    ms(before.latency.p99),
    judged(ms(after.latency.p99), isRecovered),
  ];
  const codes = Object.entries(during.refusals).map(([code, { count, p99 }]) => `${code} ${count} (p99 ${ms(p99)})`);
  const keptPerCpu = perCpuSecond(during, cpu) / peak.goodputPerCpuSecond;
  const notes = `- ${model}: peak with ${peak.connections} connections. Per second of the worker's CPU time, goodput was ${ratio(keptPerCpu)} that of the peak. During overload ${during.due} requests: ${during.right} right (p99 ${ms(during.latency.p99)}),
  ${during.late} late, ${during.timeouts} timeouts, ${codes.join(', ')}. The client sent at p99 ${ms(during.sendDelay.p99)} late; the event loop of the server was delayed by p99 ${ms(server.p99)}. CPU: ${describeCpu(cpu)}.`;
  return { row, notes, goals: [efficiencyGoal(model, peak.efficiency)] };
}

function efficiencyGoal(model: ChainName, measured: number): Goal {
  const aim = model.startsWith('thirty') ? 0.97 : 0.92;
  return { what: `${model}: η`, aim: `≥ ${aim}`, measured: measured.toFixed(2), isMet: measured >= aim };
}
