/** Open loop: the latency of Poisson arrivals at shares of the capacity, from the moment each request was due. */
import { createStore } from '../support/model-store.ts';
import type { ChainName } from './graphs.ts';
import { ms, percent, perSecond, table } from './numbers.ts';
import type { PhaseResult } from './open-loop.ts';
import { measurePeak } from './overload.ts';
import { curves } from './plots.ts';
import { copyModel, mlpTensor } from './requests.ts';
import { chainSubject, checkAnswers, describeCpu, isPinned, type Rig, type Subject, startRig } from './rig.ts';
import type { Goal, Section } from './sections.ts';

const HEADER = [
  'model',
  'offered',
  'of capacity',
  'answered',
  'p50',
  'p99',
  'longest',
  '**within SLO**',
  'client late p99',
];
const SHARES = [0.2, 0.5, 0.8, 0.95];
const CALLERS = 8;
const CONNECTIONS = 500;
const MIN_SLO_MS = 20;
const SLO_RUNS = 4;
/** The share of the capacity at which nearly all requests should be within the SLO. */
const JUDGED = { share: 0.8, aim: 0.9999 };
/** Between rates, until the queue is empty. */
const PAUSE = { seconds: 1 };

interface Measured {
  readonly title: string;
  readonly capacity: number;
  readonly sloMs: number;
  readonly phases: readonly PhaseResult[];
  readonly cpu: string;
}

export async function ratesSection(isQuick: boolean): Promise<Section> {
  const subjects = [async () => lightSubject(), ...CHAINS.map((name) => async () => chainSubject(name))];
  const measured: Measured[] = [];
  for (const subject of isQuick ? subjects.slice(0, 1) : subjects)
    measured.push(await measureOne(await subject(), isQuick));
  const rows = measured.flatMap(({ title, capacity, phases }) =>
    phases.map((phase, i) => [
      title,
      perSecond(capacity * (SHARES[i] ?? 0)),
      percent(SHARES[i] ?? 0),
      phase.due.toLocaleString('en'),
      ms(phase.latency.p50),
      ms(phase.latency.p99),
      ms(phase.latency.max),
      slo(phase),
      ms(phase.sendDelay.p99),
    ]),
  );
  const notes = measured.map(
    ({ title, capacity, sloMs, cpu }) =>
      `- ${title}: capacity ${perSecond(capacity)}, SLO ${ms(sloMs)}. CPU at ${percent(SHARES.at(-1) ?? 0)}: ${cpu}.`,
  );
  return {
    goals: measured.map(goalOf),
    plots: { 'rates.svg': curves('Latency of Poisson arrivals', measured.flatMap(curvesOf)) },
    markdown: `## Open loop: latency at shares of the capacity

![p50 and p99 over the offered share of the capacity](rates.svg)

${table(HEADER, rows)}

${notes.join('\n')}

*How to read it:* Poisson arrivals from ${CALLERS} callers, each timed from the moment it was due, whether or not the client could
send it then ("client late"). The capacity is the best rate of closed loops in the same setting. ${isPinned ? 'The server and the clients\nshare one core, the only worker has another. ' : ''}The SLO is ${MIN_SLO_MS} ms or ${SLO_RUNS} bare runs, whichever is longer;
refusals count as missed. Every answer was compared with the bare graph's.`,
  };
}

const CHAINS: readonly ChainName[] = ['five-ms', 'thirty-ms-alone'];

async function lightSubject(): Promise<Subject> {
  const store = await createStore();
  const workload = mlpTensor();
  await copyModel(workload.model, store.folder);
  return { workload, store, canBatch: true };
}

async function measureOne(subject: Subject, isQuick: boolean): Promise<Measured> {
  const rig = await startRig(subject, isQuick);
  try {
    const { goodput: capacity } = await measurePeak(rig, isQuick);
    const sloMs = Math.max(MIN_SLO_MS, SLO_RUNS * (rig.curve[0]?.p50 ?? 0));
    const { phases, cpu } = await offer(rig, { capacity, sloMs, seconds: isQuick ? 2 : 10 });
    return { title: subject.workload.title, capacity, sloMs, phases, cpu };
  } finally {
    await rig.stop();
  }
}

async function offer(rig: Rig, { capacity, sloMs, seconds }: { capacity: number; sloMs: number; seconds: number }) {
  const rates = SHARES.flatMap((share) => [share * capacity, 0]);
  const result = await rig.load({
    deadlineMs: sloMs,
    phases: SHARES.flatMap(() => [{ seconds }, PAUSE]),
    callers: Array.from({ length: CALLERS }, (_, i) => ({
      name: 'all',
      localAddress: `127.0.0.${2 + i}`,
      questions: rig.questions,
      perSecond: rates.map((rate) => rate / CALLERS),
      connections: CONNECTIONS,
    })),
  });
  checkAnswers(result);
  const phases = result.callers[0]?.phases.filter((_, i) => i % 2 === 0) ?? [];
  const last = result.cpu.at(-2);
  return { phases, cpu: last ? describeCpu(last) : '' };
}

const within = ({ right, due }: PhaseResult) => right / due;

function slo(phase: PhaseResult): string {
  return `${(100 * within(phase)).toFixed(2)} %`;
}

function goalOf({ title, phases }: Measured): Goal {
  const phase = phases[SHARES.indexOf(JUDGED.share)] as PhaseResult;
  return {
    what: `${title}: within the SLO at ${percent(JUDGED.share)} of the capacity`,
    aim: `≥ ${100 * JUDGED.aim} %`,
    measured: `${slo(phase)} of ${phase.due.toLocaleString('en')}`,
    isMet: within(phase) >= JUDGED.aim,
  };
}

function curvesOf({ title, phases }: Measured, color: number) {
  return (['p50', 'p99'] as const).map((which) => ({
    label: `${title}, ${which}`,
    points: phases.map((phase, i) => [SHARES[i] ?? 0, phase.latency[which]] as const),
    isDashed: which === 'p50',
    color,
  }));
}
