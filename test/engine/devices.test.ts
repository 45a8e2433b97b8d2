/** Which GPU each process sees, how much of its memory versions may take, and what clients are told of both. */
import { readFileSync } from 'node:fs';
import { Engine } from '#src/engine/engine.js';
import { DEVICE_CONTEXT_BYTES, deviceRoom } from '#src/engine/residency.js';
import { startTestApp } from '../support/app.js';
import { Simulation, simulatedVersion } from '../support/simulation.js';
import { until } from '../support/until.js';

/** The GPU that CUDA would see in a process. */
function gpuOf(pid: number): string | undefined {
  return /(?:^|\0)CUDA_VISIBLE_DEVICES=([^\0]*)/.exec(readFileSync(`/proc/${pid}/environ`, 'utf8'))?.[1];
}

const servingPids = ({ workers }: Engine) =>
  workers.filter(({ purpose, isReady }) => purpose === 'pool' && isReady).map(({ pid }) => pid);

(process.platform === 'linux' ? test : test.skip)(
  'processes are spread over the GPUs, and each sees one; so does the one that replaces another',
  async () => {
    const app = await startTestApp({ workers: 4, cudaVisibleDevices: ['3', 'GPU-8932f937'] });
    const { engine } = app.app;
    await until('all workers are ready', () => servingPids(engine).length === 4);
    const before = servingPids(engine).map(gpuOf).sort();

    const killed = servingPids(engine)[0] ?? Number.NaN;
    process.kill(killed, 'SIGKILL');
    await until('it is replaced', () => !servingPids(engine).includes(killed) && servingPids(engine).length === 4);
    const all = engine.workers.map(({ pid }) => gpuOf(pid));
    await app.stop();

    expect(before).toEqual(['3', '3', 'GPU-8932f937', 'GPU-8932f937']);
    const [first, second] = ['3', 'GPU-8932f937'].map((gpu) => all.filter((one) => one === gpu).length);
    expect((first ?? 0) + (second ?? 0)).toBe(all.length);
    expect(Math.abs((first ?? 0) - (second ?? 0))).toBeLessThanOrEqual(1);
  },
);

test('answers name the GPU of the worker that made them, and so does the state of each worker', async () => {
  const simulation = new Simulation({ workers: 2, providers: ['cuda', 'cpu'], gpus: ['0', '1'] });
  const { engine } = simulation;
  await engine.start();
  await engine.preload(simulatedVersion());
  await until('both workers have the version', () => engine.servingStatus('v').replicas === 2);

  const answers = await Promise.all(
    Array.from({ length: 40 }, (_, i) => simulation.run(i, { version: simulatedVersion('v', 1) })),
  );
  const { workers, providers } = await engine.status();
  await engine.stop(0);

  expect(new Set(answers.map(({ executionProvider }) => executionProvider))).toEqual(new Set(['cuda']));
  expect([...new Set(answers.map(({ device }) => device))].sort()).toEqual(['GPU 0', 'GPU 1']);
  expect(workers.slice(0, 2).map(({ device }) => device)).toEqual(['GPU 0', 'GPU 1']);
  expect(providers[0]).toEqual({ name: 'cuda', available: true, reason: null });
});

test('CUDA is not used if one of the GPUs does not work, and the reason names it', async () => {
  const simulation = new Simulation({ workers: 1, providers: ['cuda', 'cpu'], gpus: ['0', '7'], brokenGpu: '7' });
  await simulation.engine.start();

  const { providers } = await simulation.engine.status();
  await simulation.engine.stop(0);

  expect(providers[0]).toMatchObject({ name: 'cuda', available: false, reason: expect.stringMatching(/^GPU 7: /) });
  expect(simulation.engine.provider).toBe('cpu');
});

test.each([
  ['leaves room for one version', 1, 'COLD'],
  ['is not limited', null, 'WARM'],
])('if the memory of the GPU %s, the first of two is: %s → %s', async (_, versions, expected) => {
  // One worker, a spare and a quarantine worker; a small version counts as 2 MB, and a quarter is kept for runs.
  const deviceMemoryBytes = versions && 3 * (DEVICE_CONTEXT_BYTES + versions * 3_000_000);
  const simulation = new Simulation({ workers: 1, providers: ['cuda'], deviceMemoryBytes });
  const { engine } = simulation;
  await engine.start();

  await simulation.run(1, { version: simulatedVersion('a') });
  await simulation.run(1, { version: simulatedVersion('b') });
  const { servingState } = engine.servingStatus('a');
  await engine.stop(0);

  expect(servingState).toBe(expected);
  expect(engine.counters.all.reduce((sum, { evictions }) => sum + evictions, 0)).toBe(expected === 'COLD' ? 1 : 0);
});

test('the memory of a GPU is shared by the processes on it', () => {
  expect(deviceRoom(80e9, 2, 1)).toBe(20e9 - DEVICE_CONTEXT_BYTES);
  expect(deviceRoom(80e9, 2, 2)).toBe(40e9 - DEVICE_CONTEXT_BYTES);
  expect(deviceRoom(80e9, 3, 2)).toBe(Math.floor(80e9 / 3) - DEVICE_CONTEXT_BYTES);
  expect(deviceRoom(1e9, 2, 1)).toBeLessThan(0);
});
