/** How a probe interprets the exit of its process. Processes are simulated. */
import { pino } from 'pino';
import type { Child, ChildEvents, StartChild } from '#src/engine/child.js';
import { MAX_USES_PER_PROCESS } from '#src/engine/disposable-worker.js';
import { Pool } from '#src/engine/pool.js';
import { ImportStoppedError } from '#src/importing/import-errors.js';
import { type Candidate, ProbeKilledError, probeCandidate } from '#src/importing/probe.js';

const CANDIDATE = { artifactSha256: '', artifactPath: '', dataFiles: [] as Candidate['dataFiles'] } as Candidate;

function poolOf(startChild: StartChild): Pool {
  return new Pool({
    workers: 1,
    workerFile: '',
    memoryBytes: 1,
    emptyFolder: '',
    providers: ['cpu'],
    log: pino({ level: 'silent' }),
    onMessage: () => {},
    onExit: () => {},
    startChild,
  });
}

/** The error of a probe whose processes exit with code 1, and the number of processes it started. */
async function probedWith(endsWhen: 'at once' | 'asked'): Promise<{ error: unknown; processes: number }> {
  let processes = 0;
  const startChild = (_: string, events: ChildEvents): Child => {
    const end = () => events.onExit(null, 'exit code 1');
    processes++;
    setImmediate(() => (endsWhen === 'at once' ? end() : events.onMessage({ kind: 'ready' })));
    return { pid: processes, send: () => setImmediate(end), kill: () => {}, memory: async () => null };
  };
  const pool = poolOf(startChild);
  const error = await probeCandidate(
    { provider: 'cpu', workerMemoryBytes: 1, processes: pool.startProbes() },
    CANDIDATE,
  ).catch((error: unknown) => error);
  return { error, processes };
}

test('a process that exits before it is ready does not count against the version', async () => {
  const { error, processes } = await probedWith('at once');

  expect(error).toBeInstanceOf(ProbeKilledError);
  expect(error).toMatchObject({
    message: 'the inference process ended before it was ready (exit code 1), 3 times',
  });
  expect(processes).toBe(3);
});

test('a process that exits while it examines the version fails the version', async () => {
  const { error, processes } = await probedWith('asked');

  expect(error).not.toBeInstanceOf(ProbeKilledError);
  expect(error).toMatchObject({ message: 'the inference process ended (exit code 1)' });
  expect(processes).toBe(1);
});

test('a process is used a fixed number of times, and never after a use that failed', async () => {
  const startChild: StartChild = (_, events) => {
    setImmediate(() => events.onMessage({ kind: 'ready' }));
    return { pid: 1, send: () => {}, kill: () => {}, memory: async () => null };
  };
  const processes = poolOf(startChild).startProbes();
  const succeed = async () => 'done';
  const fail = () => Promise.reject(new Error('no'));

  expect(await processes.inUsedProcess(succeed)).toBeNull();
  await processes.inFreshProcess(succeed);
  let uses = 1;
  while (await processes.inUsedProcess(succeed)) uses++;
  expect(uses).toBe(MAX_USES_PER_PROCESS);

  await processes.inFreshProcess(succeed);
  expect(await processes.inUsedProcess(fail)).toBeNull();
  expect(await processes.inUsedProcess(succeed)).toBeNull();
  expect(processes.started).toBe(2);
});

test('a stop during a probe fails no version for good, and starts no other process', async () => {
  const startChild: StartChild = (_, events) => {
    setImmediate(() => events.onMessage({ kind: 'ready' }));
    let isKilled = false;
    const kill = () => {
      if (!isKilled) setImmediate(() => events.onExit('SIGKILL', 'signal SIGKILL'));
      isKilled = true;
    };
    return { pid: 1, send: () => setImmediate(() => pool.stop()), kill, memory: async () => null };
  };
  const pool = poolOf(startChild);
  const processes = pool.startProbes();
  const probe = () =>
    probeCandidate({ provider: 'cpu', workerMemoryBytes: 1, processes }, CANDIDATE).catch((error: unknown) => error);

  expect(await probe()).toBeInstanceOf(ImportStoppedError);
  expect(await probe()).toBeInstanceOf(ImportStoppedError);
  expect(processes.started).toBe(1);
});
