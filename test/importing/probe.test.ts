/** What the end of a probe says about the version, with simulated processes. */
import { pino } from 'pino';
import type { Child, ChildEvents } from '#src/engine/child.js';
import { Pool } from '#src/engine/pool.js';
import { type Candidate, ProbeKilledError, probeCandidate } from '#src/importing/probe.js';

const CANDIDATE = { artifactSha256: '', artifactPath: '' } as Candidate;

/** The reason of a probe whose processes end with exit code 1, and how many there were. */
async function probedWith(endsWhen: 'at once' | 'asked'): Promise<{ error: unknown; processes: number }> {
  let processes = 0;
  const startChild = (_: string, events: ChildEvents): Child => {
    const end = () => events.onExit(null, 'exit code 1');
    processes++;
    setImmediate(() => (endsWhen === 'at once' ? end() : events.onMessage({ kind: 'ready' })));
    return { pid: processes, send: () => setImmediate(end), kill: () => {}, residentBytes: async () => null };
  };
  const pool = new Pool({
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
  const error = await probeCandidate(pool, CANDIDATE).catch((error: unknown) => error);
  return { error, processes };
}

test('a process that ends before it has begun says nothing about the version', async () => {
  const { error, processes } = await probedWith('at once');

  expect(error).toBeInstanceOf(ProbeKilledError);
  expect(error).toMatchObject({
    message: 'the process ended before it had begun (exit code 1), 3 times',
  });
  expect(processes).toBe(3);
});

test('one that ends when it is asked about the version does', async () => {
  const { error, processes } = await probedWith('asked');

  expect(error).not.toBeInstanceOf(ProbeKilledError);
  expect(error).toMatchObject({ message: 'the process ended (exit code 1)' });
  expect(processes).toBe(1);
});
