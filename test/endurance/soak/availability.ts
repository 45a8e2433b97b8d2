/**
 * Kills one worker every second while 32 clients predict; no request may fail. Then kills the only worker of a server
 * several times and measures the time until the spare answers, and until the pool is complete again.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { post } from '../../support/graphql-client.ts';
import { startServer } from '../../support/server.ts';
import { until } from '../../support/until.ts';
import { Kills } from './kills.ts';
import { AFFINE, withStore } from './known-answers.ts';

export interface AvailabilityReport {
  readonly seconds: number;
  readonly requests: number;
  readonly kills: number;
  readonly failed: number;
  readonly latencyMs: { readonly p50: number; readonly p99: number; readonly longest: number };
  readonly deaths: number;
  readonly servedAgainMs: { readonly p50: number; readonly longest: number };
  readonly wholeAgainMs: { readonly p50: number; readonly longest: number };
}

const CLIENTS = 32;
const KILL_EVERY_MS = 1_000;

const PREDICT = `mutation ($input: PredictInput!) { predict(input: $input) {
  prediction { output { ... on Tensors { tensors { data } } } } problem { code message } } }`;
const WORKERS = '{ engine { workers { pid state loadedVersions { ref } } } }';

/** `deaths`: how often the only worker of a server is killed. */
export function availability(seconds: number, deaths: number): Promise<AvailabilityReport> {
  return withStore({ affine: AFFINE }, async (env) => {
    const underLoad = await killUnderLoad(env, seconds);
    return { ...underLoad, ...(await killAlone(env, deaths)) };
  });
}

async function killUnderLoad(env: Record<string, string>, seconds: number) {
  const server = await startServer({ ...env, WORKERS: '2' });
  const latencies: number[] = [];
  const kills = new Kills();
  let [isOver, failed] = [false, 0];
  const client = async (number: number) => {
    for (let i = 0; !isOver; i++) {
      const begun = performance.now();
      if (!(await kills.during(() => isAnswered(server.url, number * 100_000 + i, {})))) failed++;
      latencies.push(performance.now() - begun);
    }
  };
  const clients = Array.from({ length: CLIENTS }, (_, i) => client(i));
  const end = performance.now() + seconds * 1_000;
  while (performance.now() < end) {
    await kills.allowed();
    const serving = (await workersOf(server.url)).filter(({ state }) => state === 'BUSY' || state === 'READY');
    const victim = serving.find(({ state }) => state === 'BUSY') ?? serving[0];
    if (victim) kills.kill(victim.pid);
    await sleep(KILL_EVERY_MS);
  }
  isOver = true;
  await Promise.all(clients);
  await server.end('SIGTERM');
  const { p50, p99, longest } = summary(latencies);
  return { seconds, requests: latencies.length, kills: kills.count, failed, latencyMs: { p50, p99, longest } };
}

async function killAlone(env: Record<string, string>, deaths: number) {
  const server = await startServer({ ...env, WORKERS: '1' });
  const served: number[] = [];
  const whole: number[] = [];
  await isAnswered(server.url, 1, { record: false });
  await wholePool(server.url);
  for (let i = 0; i < deaths; i++) {
    const [first] = await workersOf(server.url);
    if (!first) throw new Error('The pool has no worker.');
    const begun = performance.now();
    process.kill(first.pid, 'SIGKILL');
    await isAnswered(server.url, i, { record: false });
    served.push(performance.now() - begun);
    await wholePool(server.url);
    whole.push(performance.now() - begun);
  }
  await server.end('SIGTERM');
  const { p50, longest } = summary(served);
  const again = summary(whole);
  return {
    deaths,
    servedAgainMs: { p50, longest },
    wholeAgainMs: { p50: again.p50, longest: again.longest },
  };
}

async function isAnswered(url: string, value: number, more: Record<string, unknown>): Promise<boolean> {
  const input = { model: 'affine', input: AFFINE.inputOf(value), ...more };
  const { data } = await post(url, PREDICT, { input });
  return data.predict.prediction?.output.tensors[0].data[0] === AFFINE.answerOf(value);
}

interface ShownWorker {
  readonly pid: number;
  readonly state: string;
  readonly loadedVersions: readonly unknown[];
}

async function workersOf(url: string): Promise<ShownWorker[]> {
  return (await post(url, WORKERS)).data.engine.workers;
}

async function wholePool(url: string): Promise<void> {
  const isWarm = ({ loadedVersions }: ShownWorker) => loadedVersions.length > 0;
  await until('the worker and the spare have the version loaded', async () => {
    return (await workersOf(url)).filter(isWarm).length >= 2;
  });
}

function summary(values: readonly number[]) {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (share: number) => Math.round(10 * (sorted[Math.floor(share * (sorted.length - 1))] ?? 0)) / 10;
  return { p50: at(0.5), p99: at(0.99), longest: at(1) };
}
