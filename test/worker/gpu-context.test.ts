/** What starting a GPU costs is not counted as the memory of a version. */
import { type FromWorker, loadMessage } from '#src/engine/messages.js';
import { WorkerBody } from '#src/worker/body.js';
import type { WorkerRuntime } from '#src/worker/load.js';
import { simulatedVersion } from '../support/simulation.js';

const CONTEXT_BYTES = 300_000_000;
const VERSION_BYTES = 5_000_000;

test('the first version that is loaded on a GPU is charged its own memory only', async () => {
  let opened = 0;
  const open: WorkerRuntime['openSession'] = async () => {
    opened++;
    return { inputs: [], outputs: [], run: async () => [], release: async () => {} };
  };
  const runtime = {
    tools: {},
    readArtifact: async () => new Uint8Array(),
    verifyFile: async () => {},
    openSession: open,
    cpuMs: () => 0,
    dataBytes: async () => (opened === 0 ? 0 : CONTEXT_BYTES + opened * VERSION_BYTES),
  } as unknown as WorkerRuntime;
  const replies: FromWorker[] = [];
  const body = new WorkerBody(runtime, (message) => replies.push(message));
  const load = loadMessage(simulatedVersion(), 'cuda');

  await body.receive({ ...load, id: 1, key: 'first' });
  await body.receive({ ...load, id: 2, key: 'second' });

  expect(replies).toMatchObject([
    { kind: 'loaded', key: 'first', residentBytes: VERSION_BYTES },
    { kind: 'loaded', key: 'second', residentBytes: VERSION_BYTES },
  ]);
  expect(opened).toBe(3);
});
